"""Batches from WebDataset shards: every sample exactly once an epoch, in an order of one seed.

The shards' indexes say where each picture is, and an epoch is a permutation of numbers that (seed,
epoch) alone decides: the same steps are made of the same samples whatever the number of workers and
ranks, a resume in the middle of an epoch starts at a position and decodes nothing before it, and no
sample is read twice or left out because counts do not divide. The `webdataset` library deals whole
shards to ranks and workers and can promise none of these; the files stay readable with it (a test
compares the two). The price: training reads files, not streams. Remote shards become files before
the job, by Snakemake's storage plugins or a copy to the node's disk (docs/cluster.md).

Ranks stay in step without talking to one another: a step takes the next `batch_size` samples of the
epoch, dealt to ranks and accumulation passes like cards. Passes all have one size; what the last
step of an epoch lacks is filled with blank pictures without labels, and losses are divided by the
labels that the whole step has (`Batch.label_counts`), so the gradient is the mean over real samples
and the same for any number of ranks.

Shuffling: shards in random order, and within stretches of SHUFFLE_SHARDS of them all samples in
random order. Rows were dealt to shards at random, so this mixes as a full permutation would, while
the system can read whole shards ahead.
"""

from __future__ import annotations

import math
import os
import zlib
from collections import OrderedDict
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeVar

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from specvit.config.data import Render
from specvit.errors import SpecvitError
from specvit.shards.sample import decoded_png
from specvit.train.readers import (
    ReaderContext,
    SharedArray,
    error_number,
    machine_error,
    reader_context,
)
from specvit.train.samples import BadSample, Samples

SHUFFLE_SHARDS = 16
PREFETCH = 4  # passes that each worker holds ready,
PREFETCH_BYTES = 2**31  # while those of all workers together are no larger; but two at least
OPEN_FILES = 4 * SHUFFLE_SHARDS

T = TypeVar("T")


@dataclass
class Batch:
    """One pass of the model: uint8 pictures (B, C, H, W) and labels (B,), -1 or nan for none.

    `samples` (B,) are positions in `Samples`, -1 for a blank that fills a last step.
    `label_counts` are the labels of each task in the whole step, over all ranks and passes.
    """

    pictures: torch.Tensor
    labels: dict[str, torch.Tensor]
    samples: npt.NDArray[np.int64]
    epoch: int = 0
    step: int = 0
    label_counts: dict[str, int] = field(default_factory=dict)
    bad: list[BadSample] = field(default_factory=list)
    """Samples whose picture cannot be read: a blank without labels stands in their place."""

    def __getstate__(self) -> dict[str, Any]:
        """As a reader hands it on: each tensor is an open file, so only the pictures are one."""
        return {**self.__dict__, "labels": {task: v.numpy() for task, v in self.labels.items()}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        labels = {task: torch.from_numpy(v) for task, v in state["labels"].items()}
        self.__dict__ |= {**state, "labels": labels}

    @property
    def count(self) -> int:
        """Samples that are not blanks."""
        return int((self.samples >= 0).sum()) - len(self.bad)

    def to(self, device: torch.device) -> Batch:
        """Move pictures (still uint8) and labels; pinned memory is copied beside computation."""
        labels = {task: v.to(device, non_blocking=True) for task, v in self.labels.items()}
        return replace(self, pictures=self.pictures.to(device, non_blocking=True), labels=labels)

    def pin_memory(self) -> Batch:
        """Return the batch in pinned memory (called by torch's pinning thread)."""
        labels = {task: v.pin_memory() for task, v in self.labels.items()}
        return replace(self, pictures=self.pictures.pin_memory(), labels=labels)


@dataclass(frozen=True)
class Request:
    """What a worker is asked to read for one pass."""

    samples: npt.NDArray[np.int64]
    epoch: int = 0
    step: int = 0
    label_counts: dict[str, int] = field(default_factory=dict)


def epoch_order(sizes: npt.NDArray[np.int64], seed: int, epoch: int) -> npt.NDArray[np.int64]:
    """Order of all samples in an epoch, a permutation that (seed, epoch) alone decides.

    `sizes` (shards,) are the samples of each shard.
    """
    rng = np.random.default_rng([seed, epoch])
    starts = np.concatenate([[0], np.cumsum(sizes)])
    shards = rng.permutation(len(sizes))
    stretches = []
    for first in range(0, len(shards), SHUFFLE_SHARDS):
        chosen = shards[first : first + SHUFFLE_SHARDS]
        samples = np.concatenate([np.arange(starts[i], starts[i + 1]) for i in chosen])
        rng.shuffle(samples)
        stretches.append(samples)
    return np.concatenate(stretches).astype(np.int64)


def is_known(labels: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Where labels are not null (-1 or nan)."""
    return labels >= 0 if labels.dtype.kind == "i" else ~np.isnan(labels)


@dataclass(frozen=True)
class TrainOrder(Sampler[Request]):
    """Which samples each pass takes, from `start` = (epoch, step) to the end of the last epoch.

    Pass k of a step on rank r takes its samples k x ranks + r, and every (accumulate x ranks)-th
    after, filled with -1 to batch_size / (accumulate x ranks).
    """

    samples: Samples
    seed: int
    epochs: int
    batch_size: int
    accumulate: int = 1
    rank: int = 0
    ranks: int = 1
    start: tuple[int, int] = (0, 0)

    @property
    def steps_per_epoch(self) -> int:
        """Steps of an epoch; the last one may be filled in part."""
        return -(-len(self.samples) // self.batch_size)

    @property
    def pass_size(self) -> int:
        """Samples of a pass, blanks counted."""
        return self.batch_size // (self.accumulate * self.ranks)

    def __iter__(self) -> Iterator[Request]:
        sizes = self.samples.sizes
        for epoch in range(self.start[0], self.epochs):
            order = epoch_order(sizes, self.seed, epoch)
            first = self.start[1] if epoch == self.start[0] else 0
            for step in range(first, self.steps_per_epoch):
                chosen = order[step * self.batch_size : (step + 1) * self.batch_size]
                yield from self._passes(chosen, epoch, step)

    def _passes(self, chosen: npt.NDArray[np.int64], epoch: int, step: int) -> Iterator[Request]:
        labels = self.samples.labels.items()
        counts = {task: int(is_known(values[chosen]).sum()) for task, values in labels}
        slots = self.accumulate * self.ranks
        for k in range(self.accumulate):
            mine = chosen[k * self.ranks + self.rank :: slots]
            filled = np.full(self.pass_size, -1, dtype=np.int64)
            filled[: len(mine)] = mine
            yield Request(filled, epoch, step, counts)


@dataclass(frozen=True)
class EvaluationOrder(Sampler[Request]):
    """Every sample once, in the shards' order: rank r takes every ranks-th from r on."""

    count: int
    batch_size: int
    rank: int = 0
    ranks: int = 1

    def __iter__(self) -> Iterator[Request]:
        mine = np.arange(self.rank, self.count, self.ranks, dtype=np.int64)
        for step, first in enumerate(range(0, len(mine), self.batch_size)):
            yield Request(mine[first : first + self.batch_size], step=step)


class ShardReader(Dataset["Batch | SpecvitError"]):
    """Reads and decodes what a Request names; each worker process has its own."""

    def __init__(self, samples: Samples, shape: tuple[int, int, int]) -> None:
        self.samples, self.shape = samples, shape
        self._files: OrderedDict[int, int] = OrderedDict()
        self._shared: dict[str, SharedArray] | None = None

    def __getstate__(self) -> dict[str, Any]:
        """What a reader process is sent: handles of the arrays, which all readers share."""
        if self._shared is None:
            self._shared = {name: SharedArray.of(a) for name, a in self.samples.arrays().items()}
        bare = self.samples.with_arrays(dict.fromkeys(self._shared))
        return {**self.__dict__, "samples": bare, "_files": OrderedDict()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ |= state
        arrays = {name: shared.array for name, shared in state["_shared"].items()}
        self.samples = self.samples.with_arrays(arrays)

    def __getitem__(self, request: Request) -> Batch | SpecvitError:
        try:
            return self._batch(request)
        except SpecvitError as error:
            return error  # for the parent to raise: torch would add the worker's traceback to it

    def _batch(self, request: Request) -> Batch:
        samples = request.samples
        pictures = np.zeros((len(samples), *self.shape), dtype=np.uint8)
        labels = {task: values[samples] for task, values in self.samples.labels.items()}
        bad = []
        for i, sample in enumerate(samples):
            reason = "is a blank" if sample < 0 else self._picture(sample, pictures[i])
            if reason is None:
                continue
            for values in labels.values():
                values[i] = -1 if values.dtype.kind == "i" else np.nan
            if sample >= 0:
                bad.append(BadSample(self.samples.name(sample), reason))
        return Batch(
            pictures=torch.from_numpy(pictures),
            labels={task: torch.from_numpy(values) for task, values in labels.items()},
            samples=samples,
            epoch=request.epoch,
            step=request.step,
            label_counts=request.label_counts,
            bad=bad,
        )

    def _picture(self, sample: int, target: npt.NDArray[np.uint8]) -> str | None:
        """Decode into `target` (C, H, W); return what is wrong with the picture, if anything."""
        channels, *size = self.shape
        data = self._read(sample)
        if zlib.crc32(data) != self.samples.checksum[sample]:
            return "the PNG has not the checksum of its index: it was changed"
        decoded = decoded_png(data)
        expected = tuple(size) if channels == 1 else (*size, channels)
        if decoded is None or decoded.shape != expected or decoded.dtype != np.uint8:
            found = "unreadable" if decoded is None else f"{decoded.dtype} {decoded.shape}"
            return f"the PNG is {found}, not uint8 {expected}"
        # OpenCV gives blue first; the file and the backbone have red first.
        planes = (decoded,) if channels == 1 else cv2.split(decoded)[::-1]
        for channel, plane in enumerate(planes):
            target[channel] = plane
        return None

    def _read(self, sample: int) -> bytes:
        shard, (offset, size) = int(self.samples.shard[sample]), self.samples.picture[sample]
        if shard not in self._files:
            if len(self._files) >= OPEN_FILES:
                os.close(self._files.popitem(last=False)[1])
            handle = self.samples.open(shard)
            if hasattr(os, "posix_fadvise"):
                # All of the shard is needed in this stretch: let the system stream it in.
                os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_WILLNEED)
            self._files[shard] = handle
        self._files.move_to_end(shard)
        return os.pread(self._files[shard], int(size), int(offset))


def train_batches(
    order: TrainOrder, render: Render, *, workers: int = 0, pin: bool = False
) -> Generator[Batch, None, None]:
    """One Batch for each pass of the order, over all its epochs without a stop between them."""
    reader = ShardReader(order.samples, shape_of(render))
    return _batches(reader, order, workers, pin, order.pass_size * math.prod(reader.shape))


def evaluation_batches(
    samples: Samples,
    render: Render,
    batch_size: int,
    *,
    workers: int = 0,
    rank: int = 0,
    ranks: int = 1,
    pin: bool = False,
) -> Generator[Batch, None, None]:
    """Every sample exactly once over all ranks; the last batch may be smaller."""
    order = EvaluationOrder(len(samples), batch_size, rank, ranks)
    reader = ShardReader(samples, shape_of(render))
    return _batches(reader, order, workers, pin, batch_size * math.prod(reader.shape))


def prefetched(workers: int, pass_bytes: int) -> int:
    """Passes of this size that each of the workers holds ready, all of them in /dev/shm."""
    return min(PREFETCH, max(2, PREFETCH_BYTES // (workers * pass_bytes)))


def shape_of(render: Render) -> tuple[int, int, int]:
    """(C, H, W) of these pictures."""
    return render.channels, render.size, render.size


def _batches(
    reader: ShardReader, order: Sampler[Request], workers: int, pin: bool, pass_bytes: int
) -> Generator[Batch, None, None]:
    # Map-style with one request an item: workers take requests in turn, and torch gives their
    # batches back in the order of requests, so the number of workers changes nothing.
    context = reader_context() if workers else None
    loader: DataLoader[Batch | SpecvitError] = DataLoader(
        reader,
        batch_size=None,
        sampler=order,
        num_workers=workers,
        prefetch_factor=prefetched(workers, pass_bytes) if workers else None,
        collate_fn=_as_is,
        pin_memory=pin,
        multiprocessing_context=context,
        generator=torch.Generator(),  # or torch's own would advance, and a resume differ
    )
    batches: Iterator[Batch | SpecvitError] | None
    try:
        batches = _of_readers(loader.__iter__, context)
        while (read := _of_readers(partial(next, batches, None), context)) is not None:
            if isinstance(read, SpecvitError):
                raise read
            yield read
    finally:
        batches = None  # its workers end politely; those that do not are killed
        if context is not None:
            context.end()


def _of_readers(act: Callable[[], T], context: ReaderContext | None) -> T:
    """What torch's loader gives; TrainingError or MachineError where its workers cannot go on."""
    try:
        return act()
    except (RuntimeError, OSError, EOFError) as error:
        if context is None:
            raise
        problem = machine_error(error_number(error)) or context.lost()
        if problem is None:
            raise
    # Out here, so that no traceback keeps the loader's frames, and with them its workers, alive.
    raise problem


def _as_is(batch: Any) -> Any:
    return batch
