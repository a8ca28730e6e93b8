"""The finished tar of a shard: written once, in order, the same bytes for the same spectra."""

from __future__ import annotations

import hashlib
import os
import tarfile
from collections.abc import Callable, Iterable
from pathlib import Path

import pyarrow.parquet as pq

from specvit.download.ledger import Entry
from specvit.errors import DataError
from specvit.io import UNREADABLE, VERIFIED, atomic_open
from specvit.tar import members

GZIP_MAGIC = b"\x1f\x8b"


def write_archive(path: Path, spectrum_ids: Iterable[str], read: Callable[[str], bytes]) -> None:
    """Write members `<spectrum_id>.fits` or `.fits.gz`, as received; time and owner are fixed."""
    with atomic_open(path) as handle:
        for spectrum_id in spectrum_ids:
            data = read(spectrum_id)
            ending = ".fits.gz" if data.startswith(GZIP_MAGIC) else ".fits"
            member = tarfile.TarInfo(spectrum_id + ending)
            member.size = len(data)
            # Whole members at once: TarFile.addfile copies in pieces of 16 kB.
            handle.write(member.tobuf(tarfile.USTAR_FORMAT))
            handle.write(data)
            handle.write(bytes(-len(data) % tarfile.BLOCKSIZE))
        handle.write(bytes(2 * tarfile.BLOCKSIZE))


class EarlierArchive:
    """Tar and ledger of an earlier catalogue: what is still wanted need not be fetched again."""

    def __init__(self, tar: Path, ledger: Path) -> None:
        self.entries: dict[str, Entry] = {}
        self._places: dict[str, tuple[int, int]] = {}
        self._file = -1
        if not (tar.exists() and ledger.exists()):
            return
        try:
            entries = [Entry(**row) for row in pq.read_table(ledger, **VERIFIED).to_pylist()]
            for name, offset, size in members(tar):
                self._places[name.split(".")[0]] = (offset, size)
        except (DataError, *UNREADABLE):
            return  # half of a pair, or of another version: as if there were none
        self._file = os.open(tar, os.O_RDONLY)
        self.entries = {entry.spectrum_id: entry for entry in entries}

    def close(self) -> None:
        """Close the tar."""
        if self._file >= 0:
            os.close(self._file)

    def read(self, spectrum_id: str) -> bytes:
        """The bytes of a spectrum."""
        offset, size = self._places[spectrum_id]
        return os.pread(self._file, size, offset)

    def holds(self, entry: Entry) -> bool:
        """Whether the tar has the bytes that the ledger speaks of."""
        if entry.spectrum_id not in self._places:
            return False
        return hashlib.sha256(self.read(entry.spectrum_id)).hexdigest() == entry.sha256
