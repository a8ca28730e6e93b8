"""What a training run reads: the samples of both splits, and which of them each step takes."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import torch

from specvit.config import Config
from specvit.errors import TrainingError
from specvit.models.vit import SpecViT
from specvit.plot import render_hash
from specvit.shards.index import read_index
from specvit.shards.subset import Subset
from specvit.train.loader import TrainOrder
from specvit.train.ranks import Ranks
from specvit.train.readers import reader_context
from specvit.train.samples import Samples


def read_splits(config: Config) -> tuple[Samples, Samples]:
    """The train and validation samples of a network, as its `data` section narrows them.

    Raises TrainingError for a split without samples, DataError for shards of another plan or other
    plots than this configuration's.
    """
    found = []
    if config.train.workers:
        reader_context()  # the readers' server loads its libraries beside what follows
    data, render = config.data, config.render[0].label
    plots, tasks = render_hash(config.render[0], config.grid), config.asked
    subsets = {split: Subset.of(config, split) for split in ("train", "val")}
    for split, subset in subsets.items():
        shards = [config.paths.shard(render, name) for name in config.shard_names(split)]
        columns = dict.fromkeys([*Samples.columns(tasks), *subset.columns])
        index = read_index(shards, columns)
        index.check(config.split, plots)
        samples = Samples.of(index, tasks, subset)
        if not len(samples):
            raise TrainingError(
                f"the {split} split has no spectra in {len(shards)} shards of "
                f"{shards[0].parent} (data = {data.model_dump()}): nothing to learn from"
            )
        found.append(samples)
    return found[0], found[1]


def without_unlearnable(samples: Samples, model: SpecViT) -> Samples:
    """The samples with labels made null that a head cannot learn (a redshift outside its bins)."""
    labels = {}
    for task, values in samples.labels.items():
        known = model.head(task).known(torch.from_numpy(values)).numpy()
        labels[task] = np.where(known, values, -1 if values.dtype.kind == "i" else math.nan)
    return replace(samples, labels=labels)


def order_of(config: Config, samples: Samples, ranks: Ranks) -> TrainOrder:
    """The whole run's samples by epoch, step, rank and pass."""
    settings = config.train
    if settings.batch_size % (settings.accumulate * ranks.size):
        raise TrainingError(
            f"train.batch_size = {settings.batch_size} must be divisible by train.accumulate x "
            f"ranks = {settings.accumulate * ranks.size}"
        )
    return TrainOrder(
        samples,
        seed=settings.seed,
        epochs=settings.epochs,
        batch_size=settings.batch_size,
        accumulate=settings.accumulate,
        rank=ranks.rank,
        ranks=ranks.size,
    )
