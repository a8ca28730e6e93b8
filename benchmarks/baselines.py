"""Time and memory of each baseline as the train split grows."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import pandas as pd

from benchmarks.common import BenchResult, json_option
from benchmarks.simulated_flux import simulated_rows
from specvit.baselines.baseline import Setup
from specvit.baselines.rows import Rows
from specvit.baselines.run import baseline_class
from specvit.config.baselines import Baselines, Cnn1dSettings, SvmSettings, registered
from specvit.config.data import Grid
from specvit.config.learning import RedshiftBins
from specvit.errors import ConfigError
from specvit.io import write_json
from specvit.logs import setup_logging
from specvit.machine import available_threads, peak_rss_mb, worker_processes
from specvit.tasks import tasks_of

TASKS = ["class", "redshift"]
VAL_SHARE = 0.15
TARGET = 100_000


@dataclass(frozen=True)
class Variant:
    """One way in which a baseline can run."""

    baseline: str
    settings: dict[str, Any]
    target: int
    """Train spectra for which time and memory are wanted."""
    factor: int = 1
    """What a measured time is multiplied by."""


DEFAULTS = Baselines()
VARIANTS = {
    "svm-rbf": Variant("svm", {"max_rbf": 10**9}, SvmSettings().max_rbf),
    "svm-nystroem": Variant("svm", {"max_rbf": 1}, TARGET),
    "random_forest": Variant("random_forest", {}, TARGET),
    "knn": Variant("knn", {}, TARGET),
    "template": Variant("template", {}, TARGET),
    "cnn1d": Variant("cnn1d", {"epochs": 1}, TARGET, Cnn1dSettings().epochs),
}


@dataclass(frozen=True)
class Point:
    """One measured fit, in a process of its own."""

    train: int
    seconds: float
    cpu_seconds: float
    peak_rss_mb: float


@dataclass(frozen=True)
class Growth:
    """How a variant grows: a power law of time, a straight line of memory, from its points."""

    points: list[Point]
    target: int
    factor: int

    @property
    def measured(self) -> bool:
        """Whether the target size itself was run."""
        return any(point.train == self.target for point in self.points)

    @property
    def exponent(self) -> float | None:
        """Of time against size, by least squares on logarithms; None for a single size."""
        return None if len(self.points) < 2 else float(self._line()[0])

    def at_target(self) -> tuple[float, float] | None:
        """Seconds and MB at the target: measured, or extrapolated from two sizes or more."""
        for point in self.points:
            if point.train == self.target:
                return point.seconds * self.factor, point.peak_rss_mb
        if len(self.points) < 2:
            return None
        slope, offset = self._line()
        sizes = np.array([point.train for point in self.points])
        memory = np.polyfit(sizes, [point.peak_rss_mb for point in self.points], 1)
        # Memory that did not grow between small sizes may well grow later: never below the last.
        most = max(float(np.polyval(memory, self.target)), self.points[-1].peak_rss_mb)
        return float(np.exp(offset) * self.target**slope * self.factor), most

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        found = self.at_target()
        return {
            "points": [asdict(point) for point in self.points],
            "exponent": self.exponent,
            "target": self.target,
            "target_is": "measured" if self.measured else "extrapolated",
            "target_seconds": found and found[0],
            "target_peak_rss_mb": found and found[1],
            "times": self.factor,
        }

    def sentence(self) -> str:
        """Say what was measured and what follows."""
        runs = ", ".join(
            f"{p.train}: {p.seconds:.1f} s {p.peak_rss_mb:.0f} MB" for p in self.points
        )
        found = self.at_target()
        if found is None:
            return f"{runs} (one size: nothing to extrapolate from)"
        how = "measured" if self.measured else f"extrapolated as n^{self.exponent:.2f}"
        epochs = f", {self.factor} epochs of the one measured" if self.factor > 1 else ""
        return f"{runs}; {self.target}: {found[0]:.0f} s {found[1]:.0f} MB ({how}{epochs})"

    def _line(self) -> Any:
        sizes = np.log([point.train for point in self.points])
        return np.polyfit(sizes, np.log([point.seconds for point in self.points]), 1)


@click.command("baselines")
@click.option(
    "--sizes", default="500,1000,2000", show_default=True, help="Numbers of train spectra."
)
@click.option("--models", default=",".join(VARIANTS), show_default=True, help="What is trained.")
@json_option
def command(sizes: str, models: str, json_path: Path | None) -> None:
    """Train each baseline for class and redshift at growing size, on simulated spectra.

    Each fit has a process of its own, so that its peak memory is its own. The time at 100,000
    spectra is measured where that size is asked for, else extrapolated from the sizes that ran.
    """
    numbers, names = _numbers(sizes), models.split(",")
    if wrong := set(names) - set(VARIANTS):
        raise ConfigError(f"--models {sorted(wrong)}: allowed are {', '.join(VARIANTS)}")
    with tempfile.TemporaryDirectory(prefix="specvit-bench-") as folder:
        data = Path(folder)
        _write(data, max(numbers))
        growths = {name: _grow(name, numbers, data) for name in names}
        first = growths[names[0]].points[0]
        reference_s = _apart(_naive, data, first.train).seconds
    result = BenchResult(
        name="baselines",
        what=f"{names[0]} on {first.train} simulated spectra of {Grid().pixels} pixels, two tasks",
        unit="spectra",
        rate=first.train / first.seconds,
        reference="scikit-learn GridSearchCV (3 folds) over scaler, full PCA and SVM, float64",
        reference_rate=first.train / reference_s,
        cores=available_threads(),
        extra={name: growth.sentence() for name, growth in growths.items()},
    )
    result.show(None)
    if json_path is not None:
        details = {name: growth.as_dict() for name, growth in growths.items()}
        write_json(json_path, result.as_dict() | {"models": details})


def _numbers(sizes: str) -> list[int]:
    try:
        numbers = sorted({int(size) for size in sizes.split(",")})
    except ValueError:
        numbers = []
    if not numbers or numbers[0] < 100:
        raise ConfigError(f"--sizes {sizes!r} must be whole numbers from 100 up, with commas")
    return numbers


def _write(folder: Path, train: int) -> None:
    """Simulate the spectra of the largest size and of val, once for all fits."""
    rows = simulated_rows(train + _val_size(train), Grid())
    np.save(folder / "flux.npy", rows.flux)
    rows.table.to_parquet(folder / "table.parquet")


def _val_size(train: int) -> int:
    return max(int(VAL_SHARE * train), 50)


def _read(folder: Path, train: int) -> tuple[Rows, Rows]:
    """The first rows of what was written as train, the last as val."""
    table = pd.read_parquet(folder / "table.parquet")
    flux = np.load(folder / "flux.npy", mmap_mode="r")
    parts = (slice(0, train), slice(len(flux) - _val_size(train), len(flux)))
    first, second = (
        Rows(table.iloc[part].reset_index(drop=True), np.array(flux[part])) for part in parts
    )
    return first, second


def _grow(name: str, sizes: list[int], data: Path) -> Growth:
    variant = VARIANTS[name]
    points = []
    for size in sizes:
        click.echo(f"{name}: {size} spectra", err=True)
        points.append(_apart(_measure, data, size, name))
    return Growth(points, variant.target, variant.factor)


def _apart(function: Callable[..., Point], *arguments: Any) -> Point:
    """Call a function in a process of its own, whose peak memory starts from nothing."""
    with worker_processes(1, setup_logging) as pool:
        return pool.submit(function, *arguments).result()


def _timed(train: int, work: Callable[[], object]) -> Point:
    start, cpu = time.monotonic(), time.process_time()
    work()
    return Point(train, time.monotonic() - start, time.process_time() - cpu, peak_rss_mb())


def _measure(folder: Path, train: int, name: str) -> Point:
    variant = VARIANTS[name]
    rows, val = _read(folder, train)
    settings = registered()[variant.baseline].settings(**variant.settings)
    read = {"baselines.components": DEFAULTS.components, "model.redshift": RedshiftBins()}
    setup = Setup(tasks_of(TASKS), settings, Grid(), 1, available_threads(), read=read)
    model = baseline_class(variant.baseline)

    def work() -> None:
        model.fit(rows, val, setup)[0].save(folder / name)

    return _timed(train, work)


def _naive(folder: Path, train: int) -> Point:
    """Train an SVM as a notebook does: the grid searched with cross-validation over all steps."""
    from sklearn.decomposition import PCA
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC, SVR

    rows, _ = _read(folder, train)
    flux = np.nan_to_num(rows.flux.astype(np.float64))
    grid = {"svm__C": [1.0, 10.0], "svm__gamma": ["scale", 1e-3, 1e-4]}

    def work() -> None:
        for machine, target in ((SVC(), "class"), (SVR(), "z")):
            steps = [("scaler", StandardScaler()), ("pca", PCA(DEFAULTS.components))]
            search = GridSearchCV(Pipeline([*steps, ("svm", machine)]), grid, cv=3)
            search.fit(flux, rows.table[target])

    return _timed(train, work)
