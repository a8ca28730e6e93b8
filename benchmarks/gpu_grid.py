"""What benchmarks/gpu.sh measures: networks, plots and batches, in the order of their worth."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from specvit.config import Config, validate

SHARDS = 16
SAMPLES = 16_384
MODES: dict[str, dict[str, Any]] = {
    "overlap": {"mode": "overlap"},
    "stacked": {"mode": "stacked", "rows": 7},
}
BACKBONES = {"B/16": "vit_base_patch16_224", "S/16": "vit_small_patch16_224"}


@dataclass(frozen=True)
class Case:
    """One row of the table."""

    backbone: str
    mode: str
    batch: int
    compile: bool
    shards: bool = False
    """Whether it is measured from shards too."""

    @property
    def name(self) -> str:
        """What messages call it."""
        kind = "compiled" if self.compile else "eager"
        return f"ViT-{self.backbone} {self.mode} {self.batch} {kind}"


# In the order in which they are measured: what is behind is left out where time is short. Eager
# ones take seconds, a compilation most of a minute.
GRID = (
    Case("B/16", "overlap", 256, False, shards=True),
    Case("S/16", "overlap", 256, False),
    Case("S/16", "overlap", 1024, False, shards=True),
    Case("B/16", "overlap", 256, True, shards=True),
    Case("S/16", "overlap", 256, True, shards=True),
    Case("S/16", "overlap", 1024, True, shards=True),
    Case("B/16", "overlap", 64, False),
    Case("S/16", "overlap", 64, False, shards=True),
    Case("S/16", "stacked", 1024, False, shards=True),
    Case("B/16", "stacked", 256, False),
    Case("B/16", "overlap", 1024, False),
    Case("B/16", "overlap", 1024, True, shards=True),
    Case("S/16", "stacked", 1024, True, shards=True),
    Case("B/16", "stacked", 256, True),
    Case("S/16", "overlap", 64, True),
)


@dataclass(frozen=True)
class Scale:
    """How large pictures, networks and batches are, how long blocks, and which cases there are."""

    grid: tuple[Case, ...]
    size: int = 224
    backbone_args: tuple[tuple[str, Any], ...] = ()
    divisor: int = 1
    """Of the batches."""
    samples: int = SAMPLES
    block_s: float = 1.5
    """Of a timed block; one from shards is twice as long."""


FULL = Scale(GRID)
TINY = Scale(
    (Case("B/16", "overlap", 256, False, shards=True), Case("S/16", "stacked", 64, False)),
    size=32,
    backbone_args=(("depth", 1), ("embed_dim", 32), ("num_heads", 2)),
    divisor=32,
    samples=128,
    block_s=0.05,
)
"""For a rehearsal on a CPU."""


def timing_config(folder: Path, mode: str, scale: Scale, **over: Any) -> Config:
    """The configuration of a run whose shards lie below this folder."""
    given = {
        "run": "timing",
        "results_dir": str(folder),
        "tasks": ["class", "redshift"],
        "surveys": {"files": {"base_url": "file:///"}},
        "split": {"shards": {"train": SHARDS, "val": 1, "test": 1}},
        "render": {"size": scale.size, **MODES[mode]},
        **over,
    }
    return validate(given).settled()


def case_config(case: Case, folder: Path, scale: Scale, workers: int, gpus: int) -> Config:
    """The configuration of one case."""
    return timing_config(
        folder,
        case.mode,
        scale,
        model={
            "backbone": BACKBONES[case.backbone],
            "backbone_args": dict(scale.backbone_args),
            "pretrained": False,
        },
        train={
            "epochs": 10_000,
            "batch_size": case.batch // scale.divisor,
            "compile": case.compile,
            "workers": workers,
            "gpus": gpus,
        },
    )
