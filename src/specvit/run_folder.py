"""A finished run as Python objects: its catalogue, predictions, metrics and figures."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from specvit.errors import DataError
from specvit.io import read_json, read_parquet
from specvit.paths import RunPaths

if TYPE_CHECKING:
    import pandas as pd


class Run:
    """What lies in `results/<run>/`, read when it is asked for.

    Each property raises DataError where the stage that makes it has not run.
    """

    def __init__(self, folder: str | Path) -> None:
        self.paths = RunPaths(Path(folder))
        if not self.paths.root.is_dir():
            raise DataError(f"{folder} is not a run's folder")

    def __repr__(self) -> str:
        return f"<specvit run {self.paths.root}>"

    @cached_property
    def catalogue(self) -> pd.DataFrame:
        """One row a spectrum: labels, position, split."""
        return read_parquet(self.paths.catalog)

    @property
    def models(self) -> list[str]:
        """Names of the models that have predictions, in the order of metrics.json where it is."""
        found = sorted(path.stem for path in (self.paths.root / "predictions").glob("*.parquet"))
        order = self.metrics["models"] if self.paths.metrics.exists() else []
        return [*(name for name in order if name in found), *(n for n in found if n not in order)]

    def predictions(self, model: str = "vit", split: str = "test") -> pd.DataFrame:
        """One row a spectrum of the split, as the model gave them: not calibrated.

        Columns: `specvit.predictions`.
        """
        return read_parquet(self.paths.predictions(model, split))

    @cached_property
    def metrics(self) -> dict[str, Any]:
        """Every number of the report."""
        metrics: dict[str, Any] = read_json(self.paths.metrics)
        return metrics

    @property
    def tables(self) -> dict[str, Path]:
        """The report's tables (CSV) by name."""
        return {path.stem: path for path in sorted(self.paths.tables.glob("*.csv"))}

    @property
    def figures(self) -> dict[str, Path]:
        """The report's figures (PNG) by name."""
        return {path.stem: path for path in sorted(self.paths.figures.glob("*.png"))}


def open_run(folder: str | Path) -> Run:
    """Open a run's folder (`results/demo`). Raises DataError where it is none."""
    return Run(folder)
