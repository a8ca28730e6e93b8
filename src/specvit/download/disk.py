"""Writing at a place of a file, and a full disk said in a sentence."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from specvit.errors import FULL, MachineError


@contextmanager
def disk_full_says(folder: Path, kept: str) -> Iterator[None]:
    """Turn "no space left" inside the block into a MachineError that says what is kept."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise MachineError(
            f"no space left on the disk of {folder}: {kept} and will not be fetched again; "
            "free some space and start again"
        ) from error


def write_at(file: int, offset: int, data: bytes) -> int:
    """Write all of the data at an offset of an open file; returns where it ends."""
    view = memoryview(data)
    while view:
        written = os.pwrite(file, view, offset)
        offset, view = offset + written, view[written:]
    return offset
