"""SVM, random forest and nearest neighbours: one method each, on common features."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from specvit.baselines import forest, knn, svm
from specvit.baselines.answers import Answer, to_target
from specvit.baselines.baseline import Plan
from specvit.baselines.features import FILLING, SCALING, fit_features, transform
from specvit.baselines.method import Effort, Labelled, Method, State
from specvit.baselines.rows import Rows, known, labels_of
from specvit.baselines.store import SKOPS, load_skops, save_skops
from specvit.errors import DataError
from specvit.tasks import TASKS, Task


class Classical:
    """Scaler and principal components, then one fitted state a task."""

    method: ClassVar[Method]

    def __init__(self, features: State, states: dict[str, State]) -> None:
        self.features, self.states = features, states

    @classmethod
    def fit(cls, train: Rows, val: Rows, plan: Plan) -> tuple[Classical, dict[str, Any]]:
        """Fit the features on all of train, then each task on its labelled rows."""
        start = time.monotonic()
        features = fit_features(train.flux, plan.settings.pca_components, plan.seed)
        X, X_val = transform(features, train.flux), transform(features, val.flux)
        effort = Effort(plan.settings, plan.seed, plan.jobs)
        pca = features["pca"]
        summary: dict[str, Any] = {
            "features": {
                "flux": f"{FILLING}; {SCALING}; standardised by pixel",
                "components": int(pca.n_components_),
                "explained_variance": float(pca.explained_variance_ratio_.sum()),
                "pca_spectra": int(pca.n_samples_),
                "seconds": time.monotonic() - start,
            },
            "tasks": [task.name for task in plan.tasks],
        }
        states: dict[str, State] = {}
        for task in plan.tasks:
            start = time.monotonic()
            data = _labelled(task, X, train, X_val, val)
            states[task.name], told = cls.method.fit(task, data, effort)
            summary[task.name] = {
                **told,
                "train_labelled": len(data.y),
                "val_labelled": len(data.y_val),
                "seconds": time.monotonic() - start,
            }
        return cls(features, states), summary

    def predict(self, flux: NDArray[np.float16]) -> dict[str, Answer]:
        """Answers of every task."""
        X = transform(self.features, flux)
        return {
            name: self.method.answer(TASKS[name], state, X) for name, state in self.states.items()
        }

    def save(self, folder: Path) -> None:
        """Write `model.skops`."""
        save_skops(folder / SKOPS, {"features": self.features, "tasks": self.states})

    @classmethod
    def load(cls, folder: Path) -> Classical:
        """Read what `save` wrote."""
        state = load_skops(folder / SKOPS)
        try:
            return cls(state["features"], state["tasks"])
        except KeyError as error:
            raise DataError(f"{folder / SKOPS} does not hold a baseline: no {error}") from error


class Svm(Classical):
    """Support vector machines."""

    method: ClassVar[Method] = svm


class RandomForest(Classical):
    """Random forest."""

    method: ClassVar[Method] = forest


class Knn(Classical):
    """Nearest neighbours."""

    method: ClassVar[Method] = knn


def _labelled(
    task: Task, X: NDArray[np.float32], train: Rows, X_val: NDArray[np.float32], val: Rows
) -> Labelled:
    """The rows with a label; a row without one is left out of this task's fit alone."""
    parts: list[NDArray[Any]] = []
    for features, rows in ((X, train), (X_val, val)):
        labels = labels_of(rows.table, task)
        keep = known(labels)
        labels = labels[keep]
        if task.kind == "classification":
            labels = labels.astype(str)
        parts += [features[keep], to_target(task, labels) if labels.dtype.kind == "f" else labels]
    return Labelled(*parts)
