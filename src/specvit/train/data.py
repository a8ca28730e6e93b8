"""What a training run reads: the samples of both splits, and which of them each step takes."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

import numpy as np
import torch

from specvit.config import Config
from specvit.errors import TrainingError
from specvit.models.vit import SpecViT
from specvit.tasks import tasks_of
from specvit.train.cache import cache_of
from specvit.train.index import ShardIndex, Subset, index_shards
from specvit.train.loader import TrainPlan, check_readers
from specvit.train.ranks import Ranks
from specvit.train.readers import reader_context


def read_splits(config: Config, ranks: Ranks) -> tuple[ShardIndex, ShardIndex]:
    """Index the train and validation shards of a network, as its `data` section narrows them.

    Raises TrainingError for a split without samples or with fewer shards than readers.
    """
    found = []
    if config.train.workers:
        reader_context()  # the readers' server loads its libraries beside what follows
    cache = cache_of(config)
    subsets = {
        "train": Subset(
            extra_draws=True,
            surveys=config.data.train_surveys,
            fraction=config.data.train_fraction,
            seed=config.seed,
        ),
        "val": Subset(surveys=config.data.train_surveys),
    }
    for split, subset in subsets.items():
        render = config.render[0].label
        where = partial(config.paths.shard, render) if cache is None else cache.path
        shards = [where(name) for name in config.shard_names(split)]
        if split == "train":
            check_readers(len(shards), ranks.size, config.train.workers)
        index = index_shards(shards, tasks_of(config.tasks), subset, config.train.workers, cache)
        if not len(index):
            raise TrainingError(
                f"the {split} split has no readable spectra in {len(shards)} shards of "
                f"{shards[0].parent} (data = {config.data.model_dump()}): nothing to learn from"
            )
        found.append(index)
    return found[0], found[1]


def without_unlearnable(index: ShardIndex, model: SpecViT) -> ShardIndex:
    """The index with labels made null that a head cannot learn (a redshift outside its bins)."""
    labels = {}
    for task, values in index.labels.items():
        known = model.head(task).known(torch.from_numpy(values)).numpy()
        labels[task] = np.where(known, values, -1 if values.dtype.kind == "i" else math.nan)
    return replace(index, labels=labels)


def plan_of(config: Config, index: ShardIndex, ranks: Ranks) -> TrainPlan:
    """The whole run's samples by epoch, step, rank and pass."""
    settings = config.train
    if settings.batch_size % (settings.accumulate * ranks.size):
        raise TrainingError(
            f"train.batch_size = {settings.batch_size} must be divisible by train.accumulate x "
            f"ranks = {settings.accumulate * ranks.size}"
        )
    return TrainPlan(
        index,
        seed=config.seed,
        epochs=settings.epochs,
        batch_size=settings.batch_size,
        accumulate=settings.accumulate,
        rank=ranks.rank,
        ranks=ranks.size,
    )
