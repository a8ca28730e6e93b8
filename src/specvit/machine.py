"""The machine a process runs on: its processor and cores, its memory, and processes beside it."""

from __future__ import annotations

import os
import platform
import resource
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from multiprocessing import connection, get_context, parent_process
from pathlib import Path


def processor_name() -> str:
    """Return the processor's name as the system gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def available_cores() -> int:
    """Return the number of cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def available_threads() -> int:
    """Return the number of threads to use: OMP_NUM_THREADS where it is a number, else all cores."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return int(asked) if asked.isdigit() and int(asked) > 0 else available_cores()


def worker_processes(number: int, setup: Callable[[], None] | None = None) -> ProcessPoolExecutor:
    """Return a pool of processes, each set up by `setup`; they end with this one, however it ends.

    They are not forked: threads of this process (pyarrow, torch have some) would not live on in a
    copy of it.
    """
    return ProcessPoolExecutor(number, get_context("spawn"), _begin, (setup,))


def _begin(setup: Callable[[], None] | None) -> None:
    end_with_parent()
    if setup is not None:
        setup()


def end_with_parent() -> None:
    """Have this process, which multiprocessing started, end with the one that asked for it.

    If that is killed, a pool's process would wait for the next task for ever.
    """
    parent = parent_process()
    if parent is not None:
        threading.Thread(target=_end_after, args=(parent.sentinel,), daemon=True).start()


def _end_after(sentinel: int) -> None:
    connection.wait([sentinel])
    os._exit(1)


def peak_rss_mb() -> float:
    """Return the largest resident memory of this process so far, in MB."""
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            # Not getrusage's figure, which on Linux begins at that of the process that started us.
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6
