"""What report.html and explore.html are made from, read once for both."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from specvit.config.models import MAIN_NETWORK, Config
from specvit.evaluate import fitted_calibration
from specvit.explain.kept import Relevance, read_relevance
from specvit.io import read_parquet
from specvit.predict.calibrated import Calibration
from specvit.report.figures import Material


@dataclass(frozen=True)
class Gathered:
    """A finished run."""

    material: Material
    catalog: pd.DataFrame
    """Every spectrum of the run, indexed by spectrum_id."""
    relevance: dict[tuple[str, str], Relevance]
    """What spoke for the main network's failures, by spectrum_id and task."""

    @classmethod
    def read(cls, config: Config) -> Gathered:
        """Read it. Raises DataError where a file is missing or not of the same run as the rest."""
        material = Material.read(config)
        told = material.predictions
        path = config.paths.relevance(MAIN_NETWORK)
        return cls(
            material,
            read_parquet(config.paths.catalog).set_index("spectrum_id"),
            read_relevance(path, told.plan, told.weights[MAIN_NETWORK]),
        )

    def calibrated(self, model: str, frame: pd.DataFrame) -> pd.DataFrame:
        """Rows of a model's predictions as `specvit predict` would give them."""
        fitted = Calibration.of(fitted_calibration(self.material.metrics, model))
        return fitted.applied(frame, self.material.config.asked)
