"""Processes that read shards for training: no copies of it, and deaf to signals meant for it.

They end with the process that started them, however it ends; and it ends without them.
"""

from __future__ import annotations

import atexit
import errno
import os
import resource
import signal
import weakref
from dataclasses import dataclass
from multiprocessing import connection, forkserver, parent_process, resource_tracker
from multiprocessing.context import ForkServerContext, ForkServerProcess
from multiprocessing.queues import Queue
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from specvit.errors import MachineError, SpecvitError, TrainingError
from specvit.machine import end_with_parent

SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)
TOLD_WITHIN_S = 5  # of a reader's death


class Reader(ForkServerProcess):
    """A process that reads, and ends when the one that started it does."""

    owner: int | None = None  # the process that started it, once it has

    def start(self) -> None:
        """Start it; this process will kill it at its own end, if it is then still there."""
        super().start()
        self.owner = os.getpid()
        _STARTED.add(self)

    def run(self) -> None:
        """Do the work, watching."""
        # Torch's loader looks whether its reader has got another parent. A reader's parent is the
        # server that forked it, which lives as long as a reader does: both would stay for ever.
        end_with_parent()
        super().run()

    def end(self) -> None:
        """Kill it (it is deaf to anything less), unless it has ended."""
        if self.owner == os.getpid() and self.is_alive():
            self.kill()
            self.join()


_STARTED: weakref.WeakSet[Reader] = weakref.WeakSet()


@atexit.register
def _end_all() -> None:
    # Registered after multiprocessing's own, so before it: that one sends SIGTERM and waits.
    for reader in list(_STARTED):
        reader.end()


class ReaderQueue(Queue):  # type: ignore[type-arg]  # (not a generic class when it runs)
    """A queue whose reader ends with an error where it cannot hand on what it has read."""

    @staticmethod
    def _on_queue_feeder_error(error: Exception, item: object) -> None:
        # multiprocessing would print the error and go on, and the batch be waited for for ever.
        if parent_process() is None:
            raise error
        os._exit(error_number(error) or 1)


class ReaderContext(ForkServerContext):
    """The way to start readers, and the readers that it started."""

    def __init__(self) -> None:
        self.readers: list[Reader] = []

    def Process(self, *args: Any, **kwargs: Any) -> Reader:  # type: ignore[override]  # noqa: N802
        """Make a reader, as multiprocessing's contexts make processes."""
        self.readers.append(Reader(*args, **kwargs))
        return self.readers[-1]

    def Queue(self, maxsize: int = 0) -> ReaderQueue:  # noqa: N802
        """Make a queue between readers and this process."""
        return ReaderQueue(maxsize, ctx=self)

    def lost(self) -> SpecvitError | None:
        """What is to be said of a reader that ended before its work; None while all are well."""
        started = [reader for reader in self.readers if reader.owner]
        # A batch of a reader that has just died fails on the way, before the server tells of it.
        connection.wait([reader.sentinel for reader in started], TOLD_WITHIN_S)
        codes = {reader.pid: reader.exitcode for reader in started}
        for pid, code in codes.items():
            if code:
                return machine_error(code) or TrainingError(
                    f"a reader of the shards was lost: process {pid} {_how_it_ended(code)}. Run "
                    "the same command again: training goes on from the state saved last"
                )
        return None

    def end(self) -> None:
        """Kill the readers that have not ended."""
        for reader in self.readers:
            reader.end()


def error_number(error: Exception) -> int | None:
    """What the system refused (an errno), where torch or a socket only say it in words."""
    words = {
        "Too many open files": errno.EMFILE,
        "ancdata": errno.EMFILE,
        "No space left on device": errno.ENOSPC,
    }
    found = [number for text, number in words.items() if text in str(error)]
    return found[0] if found else getattr(error, "errno", None)


def machine_error(code: int | None) -> MachineError | None:
    """What to say of this errno (a reader ends with it as its exit code), if there is something."""
    if code == errno.EMFILE:
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        return MachineError(
            f"too many open files: a process may have {limit} here. Allow more (ulimit -n 4096), "
            "or lower train.workers"
        )
    if code in (errno.ENOSPC, -signal.SIGBUS):
        return MachineError(
            "/dev/shm is full, through which readers hand on their batches: make it larger "
            "(containers: --shm-size), or lower train.workers or train.batch_size"
        )
    return None


def _how_it_ended(code: int) -> str:
    if code == -signal.SIGKILL:
        return (
            "was killed, as the system does where memory runs short (lower train.workers, "
            "train.batch_size, or ask for more memory)"
        )
    return f"ended with exit code {code}" if code > 0 else f"died of {signal.Signals(-code).name}"


def reader_context() -> ReaderContext:
    """Return the way to start readers; the first call starts the server that they are forked from.

    A fork of the training process itself, which has threads (pinned memory, logs, torch's own), now
    and then stands still for ever at a lock that one of them held: the server has none. Readers are
    born with signals blocked: SLURM signals every process of a job, and training, which is to save
    its state, would miss a reader that died of it.
    """
    context = ReaderContext()
    context.set_forkserver_preload(["specvit.train.loader"])
    resource_tracker.ensure_running()  # before: it sets the signals of this thread free
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return context


@dataclass(frozen=True)
class SharedArray:
    """An array in memory that processes share: sent to one, it is a handle and no copy."""

    bytes: torch.Tensor
    dtype: str
    shape: tuple[int, ...]

    @classmethod
    def of(cls, array: npt.NDArray[Any]) -> SharedArray:
        """Copy an array into shared memory."""
        flat = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        memory = torch.from_numpy(flat.copy())
        memory.share_memory_()  # type: ignore[no-untyped-call]
        return cls(memory, array.dtype.str, array.shape)

    @property
    def array(self) -> npt.NDArray[Any]:
        """The array, on the shared memory itself."""
        return self.bytes.numpy().view(self.dtype).reshape(self.shape)
