"""What a job has fetched so far, in one file that a kill -9 cannot spoil.

Append-only: for each spectrum, and each answer that there is none, a line (its checksum, the
ledger's entry as JSON) and then the bytes. Reading stops at the first that is not whole (the one
being written when the job was killed) and cuts it off.
"""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from specvit.download.disk import disk_full_says, write_at
from specvit.download.ledger import Entry

LONGEST_LINE = 2**16  # reasons are cut long before


def _line(entry: Entry) -> bytes:
    text = json.dumps(entry.as_dict()).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def _entry(line: bytes) -> Entry | None:
    """The entry of a line; None where it is not one that this version wrote whole."""
    checksum, _, text = line.rstrip(b"\n").partition(b" ")
    if not line.endswith(b"\n") or checksum != b"%08x" % zlib.crc32(text):
        return None
    try:
        return Entry(**json.loads(text))
    except TypeError:
        return None


class Journal:
    """The working file of one shard; `open_journal` opens it."""

    def __init__(self, path: Path, file: int) -> None:
        self.path, self._file = path, file
        self._lines: dict[str, tuple[bytes, int]] = {}  # by spectrum, with where its bytes start
        self._end = 0

    def recover(self) -> int:
        """Find what earlier jobs kept, checking its hashes; a torn end is cut off.

        Returns the number of entries.
        """
        with open(self._file, "rb", closefd=False) as kept:
            while (entry := _entry(line := kept.readline(LONGEST_LINE))) is not None:
                begin, data = kept.tell(), kept.read(entry.bytes)
                digest = hashlib.sha256(data).hexdigest()
                if len(data) < entry.bytes or entry.sha256 not in (None, digest):
                    break
                self._lines[entry.spectrum_id] = (line, begin)
                self._end = begin + entry.bytes
        os.ftruncate(self._file, self._end)
        return len(self._lines)

    def append(self, entry: Entry, data: bytes) -> None:
        """Keep an entry and its bytes. Raises MachineError where the disk is full."""
        line = _line(entry)
        with disk_full_says(self.path.parent, f"{len(self._lines)} spectra are kept"):
            begin = write_at(self._file, self._end, line)
            self._end = write_at(self._file, begin, data)
        self._lines[entry.spectrum_id] = (line, begin)

    def entry(self, spectrum_id: str) -> Entry | None:
        """The last entry of a spectrum, None where there is none."""
        line, _ = self._lines.get(spectrum_id, (b"", 0))
        return _entry(line)

    def read(self, spectrum_id: str) -> bytes:
        """The bytes kept for a spectrum."""
        entry, (_, begin) = self.entry(spectrum_id), self._lines[spectrum_id]
        return os.pread(self._file, entry.bytes if entry else 0, begin)

    def remove(self) -> None:
        """Delete the working file, once what it holds is elsewhere."""
        self.path.unlink(missing_ok=True)


@contextmanager
def open_journal(path: Path) -> Iterator[Journal]:
    """Open a working file, for the one process that holds the lock of its shard."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        yield Journal(path, file)
    finally:
        os.close(file)
