"""Small shards of made-up plots, as the shards stage writes them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from shard_runs import write_shard
from specvit.config.data import Grid, Render, ShardCounts, Split
from specvit.plan import Plan
from specvit.plot import render_hash
from specvit.shards.sample import Sample, npy_bytes
from specvit.tasks import CLASSES

SIZE = 16

PLOTS = render_hash(Render(size=SIZE, rows=4), Grid())


def plan_of(train: int, val: int) -> Plan:
    """The plan of a run with so many shards of each split, and one of test."""
    return Plan.dealt(Split(shards=ShardCounts(train=train, val=val, test=1)), ())


PLAN = plan_of(3, 2)

# A run whose network and shards are as small as they can be. float32: some processors would take
# bfloat16, whose rounding hides what the tests compare.
TINY = {
    "run": "tiny",
    "tasks": ["class", "stellar_type", "redshift"],
    "surveys": {"files": {"base_url": "file:///"}},
    "split": {"shards": {"train": 3, "val": 2, "test": 1}},
    "render": {"size": SIZE, "rows": 4},
    "model": {
        "pretrained": False,
        "backbone_args": {"patch_size": 8, "depth": 1, "embed_dim": 32, "num_heads": 2},
        "drop_path": 0.2,
        "redshift": {"bins": 16, "z_max": 1.0},
    },
    "train": {
        "epochs": 3,
        "batch_size": 8,
        "workers": 0,
        "ema_decay": 0.9,
        "precision": "float32",
    },
}


def picture(number: int, size: int = SIZE, channels: int = 1) -> np.ndarray:
    """A plot that tells the sample by its noise and the class (number % 3) by a bright third."""
    rng = np.random.default_rng(number)
    shape = (size, size) if channels == 1 else (size, size, channels)
    pixels = rng.integers(0, 60, shape, dtype=np.uint8)
    third = size // 3
    start = (number % 3) * third
    pixels[start : start + third] += 180
    return pixels


def row(number: int, **changes: Any) -> dict[str, Any]:
    """The row of a sample: class and z follow the picture, every fifth has no stellar type."""
    values = {
        "spectrum_id": f"spec-{number:05d}",
        "object_id": f"object-{number}",
        "survey": "sdss" if number % 2 else "lamost",
        "class": CLASSES[number % 3],
        "subclass": "",
        "stellar_type": None if number % 5 == 0 else "G",
        "z": 0.1 + 0.2 * (number % 3),
        "snr": 10.0,
    }
    return values | changes


def sample(number: int, size: int = SIZE, channels: int = 1, **changes: Any) -> Sample:
    """One sample, its row changed so."""
    pixels = picture(number, size, channels)
    if channels == 3:
        pixels = pixels[:, :, ::-1]  # OpenCV writes blue first
    png = cv2.imencode(".png", pixels)[1].tobytes()
    return Sample(row(number, **changes), png, npy_bytes(np.zeros(8, dtype=np.float16)))


def write_shards(
    folder: Path,
    counts: Sequence[int],
    *,
    split: str = "train",
    first: int = 0,
    plan: Plan = PLAN,
    edit: Callable[[int, Sample], Sample] = lambda number, sample: sample,
    **options: Any,
) -> list[Path]:
    """Write shards of these sizes with samples numbered from `first`, each changed by `edit`."""
    starts = np.cumsum([first, *counts])
    paths = []
    for i, (start, count) in enumerate(zip(starts, counts, strict=False)):
        paths.append(folder / f"{split}-{i:06d}.tar")
        numbers = range(int(start), int(start) + count)
        write_shard(paths[-1], [edit(n, sample(n, **options)) for n in numbers], PLOTS, plan)
    return paths
