"""Random forest: probabilities are the trees' mean, intervals the spread of their answers.

Fully grown trees each answer with about one label of the train split, so that their spread stands
for the labels possible at a point (in the manner of quantile regression forests, Meinshausen 2006).
The prediction is the trees' median: their mean falls between two redshifts when lines are confused.
"""

from __future__ import annotations

from copy import copy
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.model_selection import ParameterGrid

from specvit.baselines.baseline import Setup
from specvit.baselines.classical import Classical, Labelled, State, spread
from specvit.baselines.distributions import LEVELS, MIDDLE, Array, Classes, Distribution, Numbers
from specvit.baselines.search import loss, search
from specvit.config.baselines import RandomForestSettings
from specvit.logs import progress
from specvit.tasks import Task

# What is tried: components looked at for each split of a tree (the usual square root of them, and
# a third of them), and the fewest spectra in a leaf that names a class. Trees of numbers are fully
# grown, since their spread is the interval.
MAX_FEATURES = ("sqrt", 0.33)
LEAVES = (1, 3)
STEP = 25  # trees grown between two reports of progress


class RandomForest(Classical):
    """Random forest."""

    @staticmethod
    def fit_task(
        task: Task, data: Labelled, setup: Setup[RandomForestSettings]
    ) -> tuple[State, dict[str, Any]]:
        """Choose on a quarter of the trees, then grow the chosen forest to all of them."""
        classify = task.kind == "classification"
        kind = RandomForestClassifier if classify else RandomForestRegressor
        drawn = min(len(data.y), setup.settings.rows_each_tree)
        trees = setup.settings.trees

        def attempt(point: dict[str, Any]) -> tuple[Any, float]:
            forest = kind(
                n_estimators=max(trees // 4, 1),
                max_samples=drawn,
                random_state=setup.seed,
                n_jobs=setup.threads,
                warm_start=True,
                **point,
            )
            forest.fit(data.X, data.y)
            predicted = _labels(forest, data.X_val) if classify else _median(forest, data.X_val)
            return forest, loss(task, data.y_val, predicted)

        leaves = LEAVES if classify else (1,)
        grid = ParameterGrid({"max_features": MAX_FEATURES, "min_samples_leaf": leaves})
        forest, choice = search(f"random forest {task.name}", grid, attempt)
        with progress(f"random forest {task.name}", trees, "trees") as tick:
            tick.advance(forest.n_estimators)
            # Step by step for the sake of progress: the same trees as all at once.
            for grown in range(forest.n_estimators + STEP, trees + STEP, STEP):
                forest.set_params(n_estimators=min(grown, trees)).fit(data.X, data.y)
                tick.advance(forest.n_estimators - tick.done)
        summary = choice.as_dict(task) | {
            "trees": trees,
            "trees_while_choosing": max(trees // 4, 1),
            "rows_each_tree": drawn,
        }
        if not classify:
            summary["interval"] = "spread of the trees' answers; the prediction is their median"
        return {"model": forest}, summary

    @staticmethod
    def predict_task(task: Task, state: State, X: NDArray[np.float32]) -> Distribution:
        """Mean of the trees' probabilities, or quantiles of their values."""
        forest = state["model"]
        if task.kind == "classification":
            return Classes(spread(task, list(forest.classes_), _prob(forest, X)))
        quantiles = np.quantile(_values(forest, X), LEVELS, axis=0).T
        return Numbers(quantiles[:, MIDDLE], quantiles)


def _prob(forest: RandomForestClassifier, X: NDArray[np.float32]) -> Array:
    # In one thread: several add the trees in the order in which they end, which differs in the
    # last bit.
    return np.asarray(copy(forest).set_params(n_jobs=1).predict_proba(X))


def _labels(forest: RandomForestClassifier, X: NDArray[np.float32]) -> NDArray[Any]:
    return np.asarray(forest.classes_[_prob(forest, X).argmax(axis=1)])


def _values(forest: RandomForestRegressor, X: NDArray[np.float32]) -> Array:
    return np.array([tree.predict(X, check_input=False) for tree in forest.estimators_])


def _median(forest: RandomForestRegressor, X: NDArray[np.float32]) -> Array:
    return np.asarray(np.median(_values(forest, X), axis=0))
