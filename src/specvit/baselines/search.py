"""Hyper-parameters from a small named grid, by one number on the val split."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from specvit.logs import progress
from specvit.tasks import Task

Fitted = TypeVar("Fitted")
Point = dict[str, Any]

CRITERIA = {
    "classification": "share of wrong answers",
    "redshift": "mean of |dz| capped at 0.15, dz = (z_pred - z) / (1 + z)",
    "regression": "mean absolute error",
}
CAP = 0.15  # beyond it a redshift is simply wrong: how far off says nothing


@dataclass(frozen=True)
class Choice:
    """The best point of a grid, and the score of every point (lower is better)."""

    best: Point
    scores: list[dict[str, Any]]

    def as_good_as_best(self, rows: int) -> list[Point]:
        """Points whose share of wrong answers among `rows` is within a standard error of the best.

        In the order of their scores, the first of equals first.
        """
        best = min(scored["score"] for scored in self.scores)
        error = math.sqrt(max(best, 1 / rows) * (1 - best) / rows)
        close = sorted(
            (scored for scored in self.scores if scored["score"] <= best + error),
            key=lambda scored: scored["score"],
        )
        return [{key: scored[key] for key in scored if key != "score"} for scored in close]

    def as_dict(self, task: Task) -> dict[str, Any]:
        """Plain values for training.json."""
        return {
            "chosen": self.best,
            "criterion": f"val: {CRITERIA[task.kind]}",
            "grid": self.scores,
        }


def loss(task: Task, truth: NDArray[Any], predicted: NDArray[Any]) -> float:
    """The criterion of a task; numbers are in target space (ln(1+z) for redshift)."""
    if task.kind == "classification":
        return float(np.mean(predicted != truth))
    error = np.abs(np.asarray(predicted, np.float64) - truth)
    if task.kind == "redshift":
        # (1 + z_pred) / (1 + z) - 1 = expm1 of the difference of logarithms.
        dz = np.abs(np.expm1(np.asarray(predicted, np.float64) - truth))
        return float(np.minimum(dz, CAP).mean())
    return float(error.mean())


def search(
    label: str,
    grid: Iterable[Point],
    attempt: Callable[[Point], tuple[Fitted, float]],
) -> tuple[Fitted, Choice]:
    """Fit every point, keep the one with the lowest score (the first of equals)."""
    points = list(grid)
    kept: tuple[Fitted, float, Point] | None = None
    scores = []
    with progress(label, len(points), "fits") as tick:
        for point in points:
            fitted, score = attempt(point)
            scores.append({**point, "score": score})
            if kept is None or score < kept[1]:
                kept = (fitted, score, point)
            tick.advance(note=f"best {kept[1]:.4g}")
    if kept is None:
        raise ValueError("a grid needs at least one point")
    return kept[0], Choice(kept[2], scores)
