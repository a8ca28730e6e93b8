"""Training from shards, beside the same network fed from memory."""

from __future__ import annotations

import tempfile
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from benchmarks.common import BenchResult, json_option
from benchmarks.pictures import spectra_option, write_shards
from benchmarks.steps import block, kept_batches, skip_prepared
from specvit.machine import available_cores

if TYPE_CHECKING:
    from specvit.config import Config

SHARDS = 16
KEPT = 8  # steps' worth of batches that are fed from memory
WARMUP = 3  # steps that are not timed: compilation, first allocations
DEFAULTS = {
    "surveys": {"files": {"base_url": "file:///"}},
    "split": {"shards": {"train": SHARDS, "val": 1, "test": 1}},
    "render": {"mode": "stacked", "size": 64, "rows": 8},
    "model": {
        "backbone": "vit_tiny_patch16_224",
        "backbone_args": {"patch_size": 8, "depth": 6},
        "pretrained": False,
    },
    "train": {"epochs": 10_000, "batch_size": 64},
}


@click.command("train")
@click.option(
    "--config",
    "over",
    default="{}",
    help="Settings over the defaults: '{train: {gpus: 1}, model: {...}, render: {...}}'.",
)
@click.option("--steps", default=10, show_default=True, help="Steps of a timed block.")
@click.option("--blocks", default=5, show_default=True, help="Blocks of each kind, in turn.")
@spectra_option
@json_option
def command(
    over: str, steps: int, blocks: int, spectra: Path | None, json_path: Path | None
) -> None:
    """Time blocks of steps from shards and from memory, in turn; the best of each counts.

    One rank: the card (train.gpus: 1) or the CPU.
    """
    from specvit.config import merge, validate
    from specvit.config.load import read_source
    from specvit.train.ranks import join_ranks

    with tempfile.TemporaryDirectory() as folder:
        config = validate({**merge(DEFAULTS, read_source(over)), "results_dir": folder}).settled()
        shards = [config.paths.shard(config.render[0].label, n) for n in config.shard_names()]
        train = [path for path in shards if path.name.startswith("train")]
        samples = max(4096, 8 * config.train.batch_size)
        what, _ = write_shards(train, samples, config.render[0], spectra, config.split)
        write_shards(shards[len(train) :][:1], 8, config.render[0], spectra, config.split)
        with join_ranks(config.train.gpus) as ranks:
            figures = _measure(config, ranks, steps, blocks)
    shown = f"{config.model.backbone} {config.model.backbone_args or ''}".strip()
    batch = config.train.batch_size
    BenchResult(
        name="train",
        what=f"{shown}, batch {batch}, compile {config.train.compile}; {what}",
        unit="pictures",
        rate=figures.pop("rate"),
        reference="the same network fed from memory",
        reference_rate=figures.pop("reference_rate"),
        cores=available_cores(),
        extra=figures,
    ).show(json_path)


def _measure(config: Config, ranks: Any, steps: int, blocks: int) -> dict[str, Any]:
    from specvit.train.engine import Run, StopRequest
    from specvit.train.hardware import peak_memory_mb
    from specvit.train.loader import train_batches

    run = Run(config, "vit", ranks, StopRequest())
    settings, pin = config.train, ranks.device.type == "cuda"
    from_shards = train_batches(run.order, config.render[0], workers=settings.workers, pin=pin)
    from_memory = cycle(kept_batches(run, KEPT))
    block(run, from_memory, WARMUP)
    found: dict[str, list[dict[str, float]]] = {"shards": [], "memory": []}
    for _ in range(blocks):
        found["memory"].append(block(run, from_memory, steps))
        skip_prepared(run, from_shards)
        found["shards"].append(block(run, from_shards, steps))
    best = max(found["shards"], key=lambda block: block["pictures_per_s"])
    memory = max(block["pictures_per_s"] for block in found["memory"])
    return {
        "rate": best["pictures_per_s"],
        "reference_rate": memory,
        "mfu": best["mfu"],
        "data_wait": best["data_wait"],
        **run.machine(),
        "peak_memory_mb": round(peak_memory_mb(ranks.device), 1),
        "workers": settings.workers,
        "blocks": found,
    }
