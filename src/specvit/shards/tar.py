"""Plain tar files with fixed times and owners: equal contents give equal bytes."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from specvit.errors import DataError


class TarWriter:
    """Writes members to an open file; `close` ends the archive."""

    def __init__(self, handle: IO[bytes]) -> None:
        self._handle = handle

    def add(self, name: str, data: bytes) -> None:
        """Append a member."""
        member = tarfile.TarInfo(name)
        member.size = len(data)
        # Whole members at once: TarFile.addfile copies in pieces of 16 kB.
        self._handle.write(member.tobuf(tarfile.USTAR_FORMAT))
        self._handle.write(data)
        self._handle.write(bytes(-len(data) % tarfile.BLOCKSIZE))

    def close(self) -> None:
        """Write the end mark."""
        self._handle.write(bytes(2 * tarfile.BLOCKSIZE))


def read_members(path: Path) -> Iterator[tuple[str, bytes]]:
    """Stream names and contents of a tar with plain headers, as TarWriter makes them.

    Memory does not grow with the archive. Raises DataError where it is missing, damaged or cut
    off, also between two members: the end mark must be there.
    """
    try:
        handle = path.open("rb")
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist") from error
    with handle:
        while True:
            at = handle.tell()
            header = handle.read(tarfile.BLOCKSIZE)
            if len(header) < tarfile.BLOCKSIZE:
                raise DataError(f"{path} is cut off at byte {at}")
            if header == bytes(tarfile.BLOCKSIZE):
                return
            try:
                member = tarfile.TarInfo.frombuf(header, "utf-8", "strict")
            except (tarfile.TarError, ValueError) as error:
                raise DataError(f"{path} is damaged at byte {at}: {error}") from error
            data = handle.read(member.size)
            handle.seek(-member.size % tarfile.BLOCKSIZE, 1)
            if len(data) < member.size:
                raise DataError(f"{path} is cut off within {member.name}")
            yield member.name, data
