"""The processes that train together: their ranks, their device, and what they tell one another."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from specvit.errors import TrainingError
from specvit.machine import available_threads

PR_SET_PDEATHSIG = 1  # of linux/prctl.h


@dataclass(frozen=True)
class Ranks:
    """One process among `size`; alone, its methods hand back what they are given."""

    rank: int
    size: int
    device: torch.device

    @property
    def is_main(self) -> bool:
        """Whether this process writes files and talks."""
        return self.rank == 0

    def sum(self, values: Tensor) -> Tensor:
        """Sum of a vector over all ranks, in its own place on the device."""
        if self.size > 1:
            dist.all_reduce(values)
        return values

    def gather(self, value: Any) -> list[Any]:
        """The value of each rank, on every rank."""
        if self.size == 1:
            return [value]
        found: list[Any] = [None] * self.size
        dist.all_gather_object(found, value)
        return found

    def wait(self) -> None:
        """Wait until every rank is here."""
        if self.size > 1:
            dist.barrier()


@contextmanager
def join_ranks(gpus: int) -> Iterator[Ranks]:
    """Join the processes that torchrun started, if it did: nccl with GPUs, gloo without.

    Raises TrainingError where GPUs are asked for that torch or torchrun does not have.
    """
    rank, size = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    local = int(os.environ.get("LOCAL_RANK", 0))
    device = _device(gpus, size, local)
    if size == 1:
        yield Ranks(0, 1, device)
        return
    _end_with_agent()
    beside = int(os.environ.get("LOCAL_WORLD_SIZE", size))
    torch.set_num_threads(max(available_threads() // beside, 1))
    dist.init_process_group(
        "nccl" if gpus else "gloo", device_id=device if gpus else None, rank=rank, world_size=size
    )
    try:
        yield Ranks(rank, size, device)
    finally:
        dist.destroy_process_group()


def _end_with_agent() -> None:
    """Have the system send this rank SIGTERM, on which it saves its state, if its agent is killed.

    On Linux only: elsewhere such a rank trains on to its end.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _device(gpus: int, size: int, local: int) -> torch.device:
    if gpus == 0:
        return torch.device("cpu")
    if size != gpus:
        raise TrainingError(f"train.gpus = {gpus} but torchrun started {size} ranks")
    if not torch.cuda.is_available() or local >= torch.cuda.device_count():
        raise TrainingError(
            f"train.gpus = {gpus} but torch finds {torch.cuda.device_count()} GPUs on this machine "
            "(train.gpus: 0 trains on the CPU)"
        )
    device = torch.device("cuda", local)
    torch.cuda.set_device(device)
    return device
