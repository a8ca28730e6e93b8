"""Processes that read shards for training: no copies of it, and deaf to signals meant for it."""

from __future__ import annotations

import multiprocessing
import signal
from dataclasses import dataclass
from multiprocessing import forkserver, resource_tracker
from multiprocessing.context import ForkServerContext
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)


def reader_context() -> ForkServerContext:
    """Return the way to start readers; the first call starts the server that they are forked from.

    A fork of the training process itself, which has threads (pinned memory, logs, torch's own), now
    and then stands still for ever at a lock that one of them held: the server has none. Readers are
    born with signals blocked: SLURM signals every process of a job, and training, which is to save
    its state, would miss a reader that died of it.
    """
    context = multiprocessing.get_context("forkserver")
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
