"""What evaluation fitted on val, applied to answers about any spectrum."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd

from specvit.errors import DataError
from specvit.io import read_json
from specvit.logs import get_logger
from specvit.metrics.calibration import IntervalFactors, soften, stretched
from specvit.predictions import WEIGHTS_HASH, prob_columns
from specvit.tasks import Task

NAME = "calibration.json"

log = get_logger(__name__)


@dataclass(frozen=True)
class Calibration:
    """Temperatures of probabilities and factors on intervals, by task; empty: nothing was fitted.

    What `specvit.evaluate.fitted_calibration` says of one model.
    """

    temperatures: Mapping[str, float] = field(default_factory=dict)
    factors: Mapping[str, IntervalFactors] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path, weights: str) -> Self:
        """Of a model's folder, if it was fitted for these weights.

        Empty, and told in the log, where it has none, or one of an earlier training. Raises
        DataError where it is damaged.
        """
        path = folder / NAME
        again = "probabilities and intervals are as the model gives them; run specvit evaluate"
        if not path.exists():
            log.warning("%s does not exist: %s", path, again)
            return cls()
        try:
            described = read_json(path)
            # One that names no weights was put there by hand, with them.
            if described.get(WEIGHTS_HASH, weights) != weights:
                log.warning("%s was fitted for another training of it: %s", path, again)
                return cls()
            return cls.of(described)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(
                f"{path} is no calibration ({type(error).__name__}: {error}): run specvit "
                "evaluate again"
            ) from error

    @classmethod
    def of(cls, described: Mapping[str, Any]) -> Self:
        """Of what `specvit.evaluate.fitted_calibration` says. KeyError and others: not of that."""
        tasks: Mapping[str, Any] = described["tasks"]
        temperatures = {
            name: float(fitted["temperature"])
            for name, fitted in tasks.items()
            if fitted.get("temperature") is not None
        }
        factors = {
            name: IntervalFactors(
                _number(fitted["interval_factor"]),
                {
                    label: _number(value)
                    for label, value in fitted["by_class"].items()
                    if value is not None
                },
                int(fitted["val"]),
            )
            for name, fitted in tasks.items()
            if "interval_factor" in fitted
        }
        return cls(temperatures, factors)

    def __bool__(self) -> bool:
        return bool(self.temperatures or self.factors)

    def applied(self, frame: pd.DataFrame, tasks: Iterable[Task]) -> pd.DataFrame:
        """The answers (columns as in `specvit.predictions`, without truths) with this calibration.

        The same numbers as the report's: both soften the float32 probabilities and stretch both
        sides of the interval by the factor of the predicted class.
        """
        frame = frame.copy()
        for task in tasks:
            if task.kind == "classification" and task.name in self.temperatures:
                columns = prob_columns(task)
                prob = frame[columns].to_numpy(dtype=float)
                frame[columns] = soften(prob, self.temperatures[task.name])
            elif task.name in self.factors:
                ends = [f"{task.name}_lo", f"{task.name}_hi"]
                pred, low, high = (frame[c].to_numpy(float) for c in (f"{task.name}_pred", *ends))
                low, high = stretched(pred, low, high, self._factor(task, frame))
                frame[ends[0]], frame[ends[1]] = low, high
        return frame

    def _factor(self, task: Task, frame: pd.DataFrame) -> Any:
        classes = frame.get("class_pred")
        factor = self.factors[task.name].by_predicted(classes, len(frame))
        # Nothing could be fitted where val had no interval: it stays as the model gives it.
        return np.where(np.isfinite(factor), factor, 1.0)


def _number(value: Any) -> float:
    return float("nan") if value is None else float(value)
