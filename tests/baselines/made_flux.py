"""Small made-up spectra of three classes, and shards of them as the shards stage writes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import shard_runs
from specvit.baselines.rows import Rows, label_table
from specvit.config import merge
from specvit.config.data import Grid, Render, ShardCounts, Split
from specvit.plan import Plan
from specvit.plot import render_hash
from specvit.shards.sample import Sample, npy_bytes
from specvit.spectrum.grid import bin_centres

PIXELS = 512
GRID = Grid(pixels=PIXELS)
TYPES = "AFGK"
PLOTS = render_hash(Render(size=32, rows=4), GRID)
PLAN = Plan.dealt(Split(shards=ShardCounts(train=3, val=1, test=1)), ())
# Rest wavelength (A), strength, width (A).
LINES = {
    "STAR": [(4102.9, -0.5, 14), (4341.7, -0.5, 14), (4862.7, -0.5, 14), (6564.6, -0.4, 14)],
    "GALAXY": [(3728.5, 1.5, 12), (4862.7, 0.8, 12), (5008.2, 2.0, 12), (6564.6, 2.5, 14)],
    "QSO": [(1549.0, 2.0, 30), (1908.7, 1.2, 35), (2798.0, 1.5, 35), (4862.7, 1.5, 45)],
}
RANGES = {"STAR": (-0.0005, 0.0005), "GALAXY": (0.02, 0.35), "QSO": (0.5, 1.8)}


def spectrum(label: str, z: float, snr: float, rng: np.random.Generator) -> np.ndarray:
    """Flux (PIXELS,) of one object: a sloped continuum with the lines of its class, and noise."""
    rest = 10 ** bin_centres(GRID, PIXELS) / (1 + z)
    slope = {"STAR": -1.0, "GALAXY": 0.5, "QSO": -1.5}[label] + rng.normal(0, 0.2)
    flux = (rest / np.median(rest)) ** slope
    for wavelength, strength, width in LINES[label]:
        depth = strength * rng.uniform(0.7, 1.3)
        flux *= 1 + depth * np.exp(-0.5 * ((rest - wavelength) / width) ** 2)
    return flux * rng.lognormal(0, 1) * (1 + rng.normal(0, 1 / snr, PIXELS))


def make(n: int, seed: int, snr: float = 20.0, prefix: str = "s") -> tuple[list[dict], np.ndarray]:
    """Json rows and float16 flux (n, PIXELS) of n objects, classes in turn."""
    rng = np.random.default_rng(seed)
    rows, flux = [], np.empty((n, PIXELS), dtype=np.float16)
    for i in range(n):
        label = ("STAR", "GALAXY", "QSO")[i % 3]
        z = float(rng.uniform(*RANGES[label]))
        values = spectrum(label, z, snr, rng)
        if i % 4 == 0:  # a gap
            start = rng.integers(0, PIXELS - 8)
            values[start : start + 8] = np.nan
        flux[i] = values / np.nanpercentile(np.abs(values), 99)
        star = label == "STAR"
        rows.append(
            {
                "spectrum_id": f"{prefix}-{i:04d}",
                "object_id": f"object-{prefix}-{i}",
                "survey": "sdss" if i % 2 else "lamost",
                "snr": snr,
                "class": label,
                "subclass": None,
                "stellar_type": TYPES[int(rng.integers(4))] if star else None,
                "z": z,
                "teff": float(rng.uniform(4000, 8000)) if star else None,
                "logg": None,
                "feh": None,
            }
        )
    return rows, flux


def as_rows(made: tuple[list[dict], np.ndarray]) -> Rows:
    """What the shards of these spectra are read as."""
    return Rows(label_table(made[0]), made[1])


def write_shard(path: Path, rows: list[dict[str, Any]], flux: np.ndarray) -> None:
    """Write a shard: a picture that is none, flux and row of each spectrum."""
    samples = (
        Sample(row, b"\x89PNG", npy_bytes(values)) for row, values in zip(rows, flux, strict=True)
    )
    shard_runs.write_shard(path, samples, PLOTS, PLAN)


def configuration(folder: Path, **changes: Any) -> dict[str, Any]:
    """A run of 3 train shards, 1 val and 1 test shard below this folder, with light models."""
    baselines = {
        "models": ["svm"],
        "components": 16,
        "random_forest": {"trees": 20},
        "cnn1d": {"epochs": 2},
        "specformer": {"width": 16, "depth": 1, "heads": 2, "epochs": 2},
        "specformer_tuned": {"epochs": 2},
    }
    values: dict[str, Any] = {
        "run": "made",
        "results_dir": str(folder),
        "tasks": ["class", "redshift"],
        "surveys": {"files": {"base_url": "file:///", "labels": "labels.csv"}},
        "split": {"shards": {"train": 3, "val": 1, "test": 1}},
        "grid": {"pixels": PIXELS},
        "render": {"size": 32, "rows": 4},
    }
    values |= {key: value for key, value in changes.items() if key != "baselines"}
    return values | {"baselines": merge(baselines, changes.get("baselines", {}))}


def write_run(folder: Path, per_shard: int = 60, val: int = 60, test: int = 45) -> None:
    """Write the shards of `configuration`."""
    shards = folder / "made" / "shards" / "stacked-32"
    for i in range(3):
        write_shard(shards / f"train-{i:06d}.tar", *make(per_shard, i, prefix=f"train{i}"))
    write_shard(shards / "val-000000.tar", *make(val, 10, prefix="val"))
    write_shard(shards / "test-000000.tar", *make(test, 20, prefix="test"))
