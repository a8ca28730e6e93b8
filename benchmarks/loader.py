"""Shard to batch, beside webdataset, PIL and torchvision."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from benchmarks.common import BenchResult, json_option
from benchmarks.pictures import spectra_option, write_shards

BATCH_SIZE = 64
REPEATS = 5
REFERENCE = "webdataset + PIL + torchvision ToTensor and Normalize, float32 batches"


def _epoch(samples: Any, render: Any) -> None:
    from specvit.train.loader import TrainOrder, train_batches

    for _ in train_batches(TrainOrder(samples, 1, 1, BATCH_SIZE), render):
        pass


def _reference_epoch(paths: Sequence[Path], channels: int) -> None:
    import torch
    import webdataset
    from torchvision import transforms

    transform = transforms.Compose(
        [
            transforms.ToTensor(),
            transforms.Normalize([0.5] * channels, [0.25] * channels),
        ]
    )
    dataset = (
        webdataset.WebDataset([str(path) for path in paths], shardshuffle=len(paths))
        .shuffle(1000)
        .decode("pill" if channels == 1 else "pil")
        .to_tuple("png", "json")
        .map(lambda sample: (transform(sample[0]), sample[1]["z"]))
    )
    for pictures, _ in torch.utils.data.DataLoader(dataset.batched(BATCH_SIZE), batch_size=None):
        assert pictures.dtype == torch.float32


def _rate(samples: int, epoch: Callable[[], None]) -> tuple[float, float]:
    """Best pictures a second over the repeats: of the processor's time, and of the wall's."""
    rates = []
    for _ in range(REPEATS):
        start, begun = time.process_time(), time.perf_counter()
        epoch()
        rates.append(
            (samples / (time.process_time() - start), samples / (time.perf_counter() - begun))
        )
    return max(rate for rate, _ in rates), max(wall for _, wall in rates)


@click.command("loader")
@click.option("--samples", default=2000, show_default=True, help="Pictures in four shards.")
@click.option("--mode", default="line", show_default=True, help="Kind of plot.")
@click.option("--size", default=224, show_default=True, help="Height and width in pixels.")
@spectra_option
@json_option
def command(
    samples: int, mode: str, size: int, spectra: Path | None, json_path: Path | None
) -> None:
    """Read shards into shuffled batches, in one process and thread.

    Rates are of one core's time, so that other work on the machine does not count.
    """
    import cv2
    import torch

    from specvit.config.data import Render
    from specvit.tasks import tasks_of
    from specvit.train.samples import read_samples

    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    render = Render.model_validate_json(f'{{"mode": "{mode}", "size": {size}}}')
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"train-{i:06d}.tar" for i in range(4)]
        what, png = write_shards(paths, samples, render, spectra)
        begun = time.process_time()
        found = read_samples(paths, tasks_of(["class", "redshift"]))
        indexing = time.process_time() - begun
        rate, wall = _rate(samples, lambda: _epoch(found, render))
        reference, reference_wall = _rate(samples, lambda: _reference_epoch(paths, render.channels))
    BenchResult(
        name="loader",
        what=f"{what} (PNG of {png} bytes), shuffled, in batches of {BATCH_SIZE}",
        unit="pictures",
        rate=rate,
        reference=REFERENCE,
        reference_rate=reference,
        cores=1,
        extra={
            "wall_rate": round(wall, 1),
            "reference_wall_rate": round(reference_wall, 1),
            "index_rate": round(samples / indexing, 1),
            "repeats": REPEATS,
        },
    ).show(json_path)
