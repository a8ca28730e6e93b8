"""Plain tar files by the standard library, with fixed times and owners: equal bytes again."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from specvit.errors import DataError

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


def read_members(path: Path) -> Iterator[tuple[str, bytes]]:
    """Stream names and contents of a tar's files, one in memory at a time.

    Raises DataError where it is missing, damaged or cut off, also between two members: the end
    mark must be there.
    """
    try:
        with path.open("rb") as handle, tarfile.open(fileobj=handle, mode="r:") as tar:
            for member in tar:
                file = tar.extractfile(member)
                if file is not None:
                    yield member.name, file.read()
            # tarfile takes what is no header for the end, unless it is the first.
            handle.seek(tar.offset)
            if handle.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
                raise DataError(f"{path} is damaged or cut off at byte {tar.offset}")
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist") from error
    except tarfile.TarError as error:
        raise DataError(f"{path} is damaged or cut off: {error}") from error
