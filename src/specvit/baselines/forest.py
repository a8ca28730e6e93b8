"""Random forest: probabilities are the trees' mean, intervals the spread of their answers.

Fully grown trees each answer with about one label of the train split, so that their spread stands
for the labels possible at a point (in the manner of quantile regression forests, Meinshausen 2006).
The prediction is the trees' median: their mean falls between two redshifts when lines are confused.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

from specvit.baselines.answers import LEVELS, MIDDLE, Answer, Array, Classes, Numbers
from specvit.baselines.method import Effort, Labelled, State, spread
from specvit.baselines.search import loss, search
from specvit.logs import progress
from specvit.tasks import Task

STEP = 25  # trees grown between two reports of progress
MAX_TREE_ROWS = 20_000
"""Rows drawn for each tree at most: bounds the size of the forest (nodes grow with rows)."""
# A class is read off a few features, so that differing trees help; a number needs more of them.
GRIDS: dict[bool, list[dict[str, Any]]] = {
    True: [{"max_features": "sqrt", "min_samples_leaf": leaf} for leaf in (1, 3)],
    False: [{"max_features": most, "min_samples_leaf": 1} for most in ("sqrt", 1 / 3)],
}
"""Points tried, by whether the task is a classification."""


def fit(task: Task, data: Labelled, effort: Effort) -> tuple[State, dict[str, Any]]:
    """Choose on a quarter of the trees, then grow the chosen forest to all of them."""
    classify = task.kind == "classification"
    kind = RandomForestClassifier if classify else RandomForestRegressor
    drawn = min(len(data.y), MAX_TREE_ROWS)
    trees = effort.settings.trees

    def attempt(point: dict[str, Any]) -> tuple[Any, float]:
        forest = kind(
            n_estimators=max(trees // 4, 1),
            max_samples=drawn,
            random_state=effort.seed,
            n_jobs=effort.jobs,
            warm_start=True,
            **point,
        )
        forest.fit(data.X, data.y)
        predicted = _labels(forest, data.X_val) if classify else _median(forest, data.X_val)
        return forest, loss(task, data.y_val, predicted)

    forest, choice = search(f"random forest {task.name}", GRIDS[classify], attempt)
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


def answer(task: Task, state: State, X: NDArray[np.float32]) -> Answer:
    """Mean of the trees' probabilities, or quantiles of their values."""
    forest = state["model"]
    if task.kind == "classification":
        return Classes(spread(task, list(forest.classes_), _prob(forest, X)))
    quantiles = np.quantile(_values(forest, X), LEVELS, axis=0).T
    return Numbers(quantiles[:, MIDDLE], quantiles)


def _prob(forest: RandomForestClassifier, X: NDArray[np.float32]) -> Array:
    # The forest's own predict_proba adds its trees in the order that threads end: not repeatable
    # to the last bit.
    total = np.zeros((len(X), len(forest.classes_)))
    for tree in forest.estimators_:
        total += tree.predict_proba(X, check_input=False)
    return total / len(forest.estimators_)


def _labels(forest: RandomForestClassifier, X: NDArray[np.float32]) -> NDArray[Any]:
    return np.asarray(forest.classes_[_prob(forest, X).argmax(axis=1)])


def _values(forest: RandomForestRegressor, X: NDArray[np.float32]) -> Array:
    return np.array([tree.predict(X, check_input=False) for tree in forest.estimators_])


def _median(forest: RandomForestRegressor, X: NDArray[np.float32]) -> Array:
    return np.asarray(np.median(_values(forest, X), axis=0))
