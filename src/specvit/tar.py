"""Plain tar files by the standard library, with fixed times and owners: equal bytes again."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Self

from specvit.errors import DataError, on_one_line

PIECE = 1 << 20  # bytes copied at a time: members are smaller, and tarfile's own 16 kB are slow


class TarWriter:
    """Writes members to an open file; `close` ends the archive.

    Not webdataset's class of this name, which does the same with `tarfile`: to import it loads
    torch where that is installed, in each job of a few seconds.
    """

    def __init__(self, handle: IO[bytes]) -> None:
        self._tar = tarfile.TarFile(
            fileobj=handle, mode="w", format=tarfile.USTAR_FORMAT, copybufsize=PIECE
        )

    def add(self, name: str, data: bytes) -> int:
        """Append a member with mode 644, no owner and no time; return where its bytes begin.

        Raises DataError for a name that a plain header cannot hold.
        """
        member = tarfile.TarInfo(name)
        member.size = len(data)
        try:
            self._tar.addfile(member, io.BytesIO(data))
        except ValueError as error:
            raise DataError(f"{name[:60]}... cannot be put into a tar: {error}") from error
        padding = -len(data) % tarfile.BLOCKSIZE
        return int(self._tar.offset) - padding - len(data)

    def close(self) -> None:
        """Write the end mark."""
        self._tar.close()


class Member(tarfile.TarInfo):
    """A header of which tarfile need not be afraid: before a size below 0 it goes round for ever.

    Python 3.11.14, 3.12.12 and 3.13.6 refuse it themselves.
    """

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        """Read one header. Raises tarfile.ReadError, or another TarError, where it is none."""
        member = super().frombuf(buf, encoding, errors)
        if member.size < 0:
            raise tarfile.ReadError(f"{on_one_line(member.name)} has {member.size} bytes")
        return member


def members(path: Path) -> Iterator[tuple[str, int, int]]:
    """Name of each file in a tar, first byte of its content, and bytes of it.

    Raises DataError where it is missing, damaged or cut off, also between two members: the end
    mark must be there.
    """
    try:
        with (
            path.open("rb") as handle,
            tarfile.open(fileobj=handle, mode="r:", tarinfo=Member) as tar,
        ):
            whole = os.fstat(handle.fileno()).st_size
            for member in tar:
                if member.size > whole - member.offset_data:
                    raise DataError(
                        f"{path} is damaged or cut off: {on_one_line(member.name)} has "
                        f"{member.size} bytes, the file {whole}"
                    )
                if member.isfile():
                    yield member.name, member.offset_data, member.size
            # tarfile takes what is no header for the end, unless it is the first.
            handle.seek(tar.offset)
            if handle.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
                raise DataError(f"{path} is damaged or cut off at byte {tar.offset}")
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist") from error
    except (tarfile.TarError, OSError, ValueError, MemoryError, OverflowError) as error:
        raise DataError(f"{path} is damaged or cut off: {on_one_line(error)}") from error


def read_members(path: Path) -> Iterator[tuple[str, bytes]]:
    """Stream names and contents of a tar's files, one in memory at a time. Raises as `members`."""
    with ExitStack() as stack:
        handle: IO[bytes] | None = None
        for name, offset, size in members(path):
            handle = handle or stack.enter_context(path.open("rb"))
            handle.seek(offset)
            yield name, handle.read(size)
