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
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from specvit.download.disk import disk_full_says
from specvit.download.ledger import Entry
from specvit.errors import DownloadError
from specvit.logs import get_logger

log = get_logger(__name__)

MAGIC = b"specvit spectra 1\n"
_FRAME = struct.Struct("<4sIIQ")  # b"spec", bytes of the head, crc32 of the head, bytes of data


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
        self._places: dict[str, tuple[int, int]] = {}
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

    def recover(self) -> list[Entry]:
        """The entries of earlier jobs, each checked against its hash; a torn end is cut off."""
        entries = []
        if os.pread(self._file, len(MAGIC), 0) == MAGIC:
            self._end = len(MAGIC)
            for entry, offset in self._frames():
                entries.append(entry)
                self._places[entry.spectrum_id] = (offset, entry.bytes)
        os.ftruncate(self._file, self._end)
        if not self._end:
            self._write(MAGIC)
        return entries

    def _frames(self) -> Iterator[tuple[Entry, int]]:
        size = os.fstat(self._file).st_size
        while self._end + _FRAME.size <= size:
            mark, head_bytes, crc, data_bytes = _FRAME.unpack(
                os.pread(self._file, _FRAME.size, self._end)
            )
            offset = self._end + _FRAME.size + head_bytes
            if mark != b"spec" or offset + data_bytes > size:
                return
            head = os.pread(self._file, head_bytes, self._end + _FRAME.size)
            if zlib.crc32(head) != crc:
                return
            entry = Entry(**json.loads(head))
            if not self._is_whole(entry, offset):
                return
            self._end = offset + data_bytes
            yield entry, offset

    def _is_whole(self, entry: Entry, offset: int) -> bool:
        data = os.pread(self._file, entry.bytes, offset)
        return entry.sha256 is None or hashlib.sha256(data).hexdigest() == entry.sha256

    def append(self, entry: Entry, data: bytes) -> None:
        """Keep an entry and its bytes. Raises MachineError where the disk is full."""
        head = json.dumps(entry.as_dict()).encode()
        frame = _FRAME.pack(b"spec", len(head), zlib.crc32(head), len(data)) + head
        start = self._end
        self._write(frame, data)
        self._places[entry.spectrum_id] = (start + len(frame), len(data))

    def read(self, spectrum_id: str) -> bytes:
        """The bytes kept for a spectrum."""
        offset, size = self._places[spectrum_id]
        return os.pread(self._file, size, offset)

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
