"""k nearest neighbours: votes and values weighted by inverse distance.

The neighbours' labels are the answer's distribution: their weighted shares are the probabilities,
their weighted median and quantiles the value and its interval.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import ParameterGrid
from sklearn.neighbors import NearestNeighbors

from specvit.baselines.baseline import Setup
from specvit.baselines.classical import Classical, Labelled, State
from specvit.baselines.distributions import (
    MIDDLE,
    Array,
    Classes,
    Distribution,
    Numbers,
    weighted_quantiles,
)
from specvit.baselines.search import loss, search
from specvit.config.baselines import KnnSettings
from specvit.tasks import Task

WHITEN = (False, True)  # whether components are divided by their spread: what is tried
NEAREST = 1e-9  # a neighbour at distance 0 outvotes all others, and its weight stays finite


class Knn(Classical):
    """Nearest neighbours."""

    @staticmethod
    def fit_task(
        task: Task, data: Labelled, setup: Setup[KnnSettings]
    ) -> tuple[State, dict[str, Any]]:
        """Choose k and the space in which distances are measured."""
        codes = _codes(task, data.y)
        most = min(max(setup.settings.k), len(codes))

        @cache  # one search a space: the nearest k are the first of the nearest `most`
        def neighbours(whiten: bool) -> tuple[State, Array, NDArray[np.intp]]:
            scale = data.X.std(axis=0) if whiten else np.ones(data.X.shape[1], dtype=np.float32)
            scale = np.where(scale > 0, scale, 1).astype(np.float32)
            index = NearestNeighbors(algorithm="brute").fit(data.X / scale)
            return {"index": index, "scale": scale}, *index.kneighbors(data.X_val / scale, most)

        def attempt(point: dict[str, Any]) -> tuple[State, float]:
            k = min(point["k"], len(codes))
            state, distance, at = neighbours(point["whiten"])
            combined = _combine(task, codes[at[:, :k]], distance[:, :k])
            predicted = (
                np.array(task.labels, dtype=object)[combined.prob.argmax(axis=1)]
                if isinstance(combined, Classes)
                else combined.value
            )
            return {**state, "codes": codes, "k": k}, loss(task, data.y_val, predicted)

        grid = ParameterGrid({"k": setup.settings.k, "whiten": WHITEN})
        state, choice = search(f"knn {task.name}", grid, attempt)
        return state, choice.as_dict(task) | {
            "weights": "1 / distance",
            "interval": "weighted quantiles of the neighbours' labels",
        }

    @staticmethod
    def predict_task(task: Task, state: State, X: NDArray[np.float32]) -> Distribution:
        """Weighted shares of the neighbours' labels, or their weighted median and quantiles."""
        distance, at = state["index"].kneighbors(X / state["scale"], state["k"])
        return _combine(task, state["codes"][at], distance)


def _codes(task: Task, y: NDArray[Any]) -> NDArray[Any]:
    """Position of each label in the task's list; numbers stay as they are."""
    if task.kind != "classification":
        return y
    position = {label: i for i, label in enumerate(task.labels)}
    return np.array([position[label] for label in y])


def _combine(task: Task, codes: NDArray[Any], distance: Array) -> Classes | Numbers:
    """Distributions from the neighbours' labels and distances, both (n, k)."""
    weights = 1 / np.maximum(distance, NEAREST)
    if task.kind == "classification":
        votes = np.stack([(weights * (codes == i)).sum(1) for i in range(len(task.labels))], axis=1)
        return Classes(votes / votes.sum(axis=1, keepdims=True))
    quantiles = weighted_quantiles(codes, weights)
    return Numbers(quantiles[:, MIDDLE], quantiles)
