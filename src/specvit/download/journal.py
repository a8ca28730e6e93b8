"""What a job has fetched so far, in one file that a kill -9 cannot spoil.

Append-only: each spectrum, and each answer that there is none, is a frame of lengths, a JSON head
with its hash, and the bytes. Reading stops at the first frame that is not whole (the one being
written when the job was killed) and cuts it off.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from specvit.download.disk import disk_full_says
from specvit.download.ledger import Entry
from specvit.errors import DownloadError
from specvit.logs import get_logger

log = get_logger(__name__)

MAGIC = b"specvit spectra 1\n"
_FRAME = struct.Struct("<4sIIQ")  # b"spec", bytes of the head, crc32 of the head, bytes of data


@dataclass(frozen=True)
class _Frame:
    """An entry and where its bytes are."""

    file: int
    entry: Entry
    begin: int

    @property
    def end(self) -> int:
        """Where the next frame starts."""
        return self.begin + self.entry.bytes

    @property
    def data(self) -> bytes:
        """The bytes."""
        return os.pread(self.file, self.entry.bytes, self.begin)

    @property
    def is_whole(self) -> bool:
        """Whether the bytes are those that were written."""
        expected = self.entry.sha256
        return expected is None or hashlib.sha256(self.data).hexdigest() == expected


class Journal:
    """The working file of one shard; only one process at a time may have it open."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._file)
            raise DownloadError(f"another process is downloading into {path}") from error
        except OSError as error:
            # Some cluster file systems have no locks; Snakemake runs one job a shard anyway.
            log.debug("%s: no lock: %s", path, error.strerror)
        self._places: dict[str, int] = {}
        self._end = 0

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._file)

    def recover(self) -> int:
        """Find what earlier jobs kept, checking its hashes; a torn end is cut off.

        Returns the number of entries.
        """
        if os.pread(self._file, len(MAGIC), 0) == MAGIC:
            self._end = len(MAGIC)
            while (frame := self._frame(self._end)) is not None and frame.is_whole:
                self._places[frame.entry.spectrum_id] = self._end
                self._end = frame.end
        os.ftruncate(self._file, self._end)
        if not self._end:
            self._write(MAGIC)
        return len(self._places)

    def _frame(self, start: int) -> _Frame | None:
        """The frame at an offset; None where there is none, or not all of it."""
        fixed = os.pread(self._file, _FRAME.size, start)
        if len(fixed) < _FRAME.size:
            return None
        mark, head_bytes, crc, data_bytes = _FRAME.unpack(fixed)
        begin = start + _FRAME.size + head_bytes
        # Lengths first: of a spoilt frame they may be anything.
        if mark != b"spec" or begin + data_bytes > os.fstat(self._file).st_size:
            return None
        head = os.pread(self._file, head_bytes, start + _FRAME.size)
        if zlib.crc32(head) != crc:
            return None
        entry = Entry(**json.loads(head))
        return _Frame(self._file, entry, begin) if entry.bytes == data_bytes else None

    def append(self, entry: Entry, data: bytes) -> None:
        """Keep an entry and its bytes. Raises MachineError where the disk is full."""
        head = json.dumps(entry.as_dict()).encode()
        start = self._end
        self._write(_FRAME.pack(b"spec", len(head), zlib.crc32(head), len(data)) + head, data)
        self._places[entry.spectrum_id] = start

    def entry(self, spectrum_id: str) -> Entry | None:
        """The last entry of a spectrum, None where there is none."""
        start = self._places.get(spectrum_id)
        frame = None if start is None else self._frame(start)
        return None if frame is None else frame.entry

    def read(self, spectrum_id: str) -> bytes:
        """The bytes kept for a spectrum."""
        start = self._places[spectrum_id]
        _, head_bytes, _, data_bytes = _FRAME.unpack(os.pread(self._file, _FRAME.size, start))
        return os.pread(self._file, data_bytes, start + _FRAME.size + head_bytes)

    def remove(self) -> None:
        """Delete the working file, once what it holds is elsewhere."""
        self.path.unlink(missing_ok=True)

    def _write(self, *pieces: bytes) -> None:
        start = self._end
        try:
            with disk_full_says(self.path.parent, f"{len(self._places)} spectra are kept"):
                for piece in pieces:
                    view = memoryview(piece)
                    while view:
                        written = os.pwrite(self._file, view, self._end)
                        self._end += written
                        view = view[written:]
        except BaseException:
            # Nothing half written stays; cutting a file off needs no space.
            self._end = start
            os.ftruncate(self._file, start)
            raise
