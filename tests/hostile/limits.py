"""What reading one hostile file may cost."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

CPU_S = 5.0
MOST_MB = 500
STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


class HangError(BaseException):
    """Not an Exception: nothing that is tested may catch it."""


@contextmanager
def no_hang() -> Iterator[None]:
    """Raise HangError in what takes more than CPU_S of this process's own time."""

    def stop(*_: object) -> None:
        raise HangError(f"more than {CPU_S} s")

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, CPU_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def _mb(name: str) -> float:
    found = re.search(rf"{name}:\s+(\d+) kB", STATUS.read_text())
    assert found
    return int(found[1]) / 1024


@contextmanager
def little_memory() -> Iterator[None]:
    """Fail where memory in use grew by more than MOST_MB at any time (Linux tells)."""
    with suppress(OSError):
        CLEAR.write_text("5")  # sets the peak back to what is in use
    before = _mb("VmHWM") if STATUS.exists() else 0
    yield
    if STATUS.exists() and (grown := _mb("VmHWM") - before) > MOST_MB:
        pytest.fail(f"{grown:.0f} MB more in use")
