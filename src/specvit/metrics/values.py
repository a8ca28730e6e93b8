"""Scores of a redshift or of another number: from each answer to metrics under any weights."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from specvit.metrics.resample import Floats, weighted_mad
from specvit.tasks import Task

SPEED_OF_LIGHT = 299_792.458  # km/s
SUCCESS_KM_S = 1000.0
SUCCESS_QSO_KM_S = 3000.0
OUTLIERS = (0.005, 0.05, 0.15)
NMAD = 1.4826  # scales a median absolute deviation to the standard deviation of a Gaussian


def velocity_limit(classes: pd.Series) -> Floats:
    """Largest |c dz| of a successful redshift, km/s: 3000 for QSO, 1000 for all others.

    Ross et al. 2020 (MNRAS 498, 2354) call a redshift beyond these a catastrophic failure.
    """
    return np.where(classes.to_numpy() == "QSO", SUCCESS_QSO_KM_S, SUCCESS_KM_S)


@dataclass(frozen=True)
class ValueScores:
    """Answers of one model about one number, for the spectra that have it.

    A spectrum without an answer (pred nan) is a failure and an outlier; residuals are statistics
    of the others.
    """

    true: Floats
    pred: Floats
    low: Floats
    """Lower end of the 68 % interval, nan where the model gives none."""
    high: Floats
    """Upper end."""
    pit: Floats
    """Cumulative probability at the true value, nan where the model gives none."""
    limit: Floats | None
    """Velocity limit of success in km/s for a redshift; None for another number."""
    predicted_class: NDArray[np.object_] | None = None
    """(n,) class that the model answers beside the number; None where it answers none."""

    @classmethod
    def of(cls, frame: pd.DataFrame, task: Task) -> ValueScores:
        """From a predictions table whose rows all have a label of this task."""
        true, pred, low, high, pit = (
            frame[f"{task.name}_{part}"].to_numpy(dtype=float)
            for part in ("true", "pred", "lo", "hi", "pit")
        )
        limit = velocity_limit(frame["class"]) if task.kind == "redshift" else None
        known = frame["class_pred"].to_numpy(dtype=object) if "class_pred" in frame else None
        return cls(true, pred, low, high, pit, limit, known)

    def only(self, rows: NDArray[np.bool_]) -> ValueScores:
        """The answers for some of the spectra."""
        values: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self)}
        return replace(self, **{k: v[rows] for k, v in values.items() if v is not None})

    @property
    def residual(self) -> Floats:
        """(n,) dz = (z_pred - z) / (1 + z) for a redshift, else pred - true."""
        error = self.pred - self.true
        return error / (1 + self.true) if self.limit is not None else error

    @property
    def success(self) -> NDArray[np.bool_]:
        """(n,) |c dz| below the velocity limit (redshift only)."""
        assert self.limit is not None, "only a redshift has a velocity limit"
        return SPEED_OF_LIGHT * np.abs(self.residual) < self.limit

    @property
    def wrong(self) -> Floats:
        """(n,) 1 where a redshift is an outlier (|dz| > 0.05 or no answer), else 0."""
        assert self.limit is not None, "only a redshift has outliers"
        return (~(np.abs(self.residual) <= OUTLIERS[1])).astype(float)

    @property
    def confidence(self) -> Floats:
        """(n,) minus the width of the 68 % interval (over 1 + z_pred for a redshift), or nan."""
        width = self.high - self.low
        return -width / (1 + self.pred) if self.limit is not None else -width

    def order(self) -> NDArray[np.int64]:
        """Rows by residual, those without an answer last."""
        return np.argsort(self.residual, kind="stable")

    def metrics(self, rows: NDArray[np.int64], weights: Floats) -> dict[str, Floats]:
        """Metrics over `rows` (in the order of `order`) under `weights` (b, rows); each (b,).

        With dz = (z_pred - z) / (1 + z), or the plain error for another number:

        - sigma_nmad, scatter_nmad: 1.4826 median |dz - median dz| (Hoaglin et al. 1983; used for
          redshifts since Brammer et al. 2008, in this form by Pasquet et al. 2019).
        - bias, mean_error: mean dz (Pasquet et al. 2019). median_bias, median_error: median dz.
        - success: share with |c dz| below the class's limit (Ross et al. 2020).
        - outlier_x: share with |dz| > x (0.05: Pasquet et al. 2019; 0.15: Ilbert et al. 2006).
        - r2: 1 - sum (pred - true)^2 / sum (true - mean true)^2, of the number itself.
        - mae, rmse: of the error. coverage_68: share of truths inside the 68 % interval, of those
          that have one.
        """
        residual = self.residual[rows]
        answered = int(np.isfinite(residual).sum())
        middle, mad = weighted_mad(residual[:answered], weights[:, :answered])
        s = dict(zip(self._names(), (weights @ self._columns(rows)).T, strict=True))
        with np.errstate(invalid="ignore", divide="ignore"):
            variance = s["true2"] - s["true"] ** 2 / s["answered"]
            # Rounding leaves a little of a variance that is 0.
            flat = variance <= 1e-12 * s["true2"]
            mean = s["residual"] / s["answered"]
            shared = {
                "coverage_68": s["covered"] / s["with_interval"],
                "r2": np.where(flat, np.nan, 1 - s["error2"] / variance),
            }
            if self.limit is None:
                rmse = np.sqrt(s["error2"] / s["answered"])
                mae = s["absolute"] / s["answered"]
                errors = {"mean_error": mean, "median_error": middle}
                return {"scatter_nmad": NMAD * mad, "mae": mae, "rmse": rmse, **errors, **shared}
            outliers = {f"outlier_{x:g}": s[f"beyond_{x:g}"] / s["n"] for x in OUTLIERS}
            success = s["success"] / s["n"]
        biases = {"bias": mean, "median_bias": middle}
        return {"success": success, "sigma_nmad": NMAD * mad, **outliers, **biases, **shared}

    def _names(self) -> list[str]:
        names = ["n", "answered", "residual", "absolute", "error2", "true", "true2"]
        names += ["with_interval", "covered"]
        return names + (["success", *(f"beyond_{x:g}" for x in OUTLIERS)] if self._is_z else [])

    @property
    def _is_z(self) -> bool:
        return self.limit is not None

    def _columns(self, rows: NDArray[np.int64]) -> Floats:
        """(rows, columns) of what the metrics are sums of, in the order of `_names`."""
        residual, true = self.residual[rows], self.true[rows]
        error = self.pred[rows] - true
        answered = np.isfinite(residual)
        low, high = self.low[rows], self.high[rows]
        with_interval = np.isfinite(low) & np.isfinite(high)
        # Sums of squares lose digits far from 0 (Teff is near 5000): centre on all rows' mean.
        centred = np.where(answered, true - self.true.mean(), 0.0)
        columns = [
            np.ones(len(rows)),
            answered.astype(float),
            np.where(answered, residual, 0.0),
            np.where(answered, np.abs(error), 0.0),
            np.where(answered, error**2, 0.0),
            centred,
            centred**2,
            with_interval.astype(float),
            (with_interval & (low <= true) & (true <= high)).astype(float),
        ]
        if self._is_z:
            columns.append(self.success[rows].astype(float))
            columns += [(~(np.abs(residual) <= x)).astype(float) for x in OUTLIERS]
        return np.column_stack(columns)
