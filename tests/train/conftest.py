"""A tiny network and small shards, shared by the tests of training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from made_shards import TINY, write_shards

from specvit.config import Config, merge, validate


@pytest.fixture(scope="session")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """30 train samples in three shards, 11 validation samples in two."""
    folder = tmp_path_factory.mktemp("shards")
    write_shards(folder, [11, 7, 12])
    write_shards(folder, [6, 5], split="val", first=100)
    return folder


@pytest.fixture
def configure(tmp_path: Path, shards: Path) -> Callable[..., Config]:
    """`configure("a", train={...})`: a run below tmp_path/a that reads the shards above."""

    def make(name: str = "a", shards: Path = shards, **over: object) -> Config:
        config = validate(merge({**TINY, "results_dir": str(tmp_path / name)}, over))
        link = config.paths.shard(config.render[0].label, "x").parent
        if not link.exists():
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(shards)
        return config

    return make


@pytest.fixture(autouse=True)
def one_thread():
    """Forked children cannot use a thread pool that their parent has started."""
    torch.set_num_threads(1)
