"""What SVM, random forest and nearest neighbours have in common: features, and a state a task."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from specvit.baselines.baseline import Setup
from specvit.baselines.distributions import Array, Distribution, to_target
from specvit.baselines.features import FILLING, SCALING, fit_features, transform
from specvit.baselines.rows import Rows, known, labels_of, objects_of
from specvit.baselines.store import SKOPS, load_skops, save_skops
from specvit.errors import DataError
from specvit.tasks import Task, tasks_of

State = dict[str, Any]
"""Arrays, numbers, text and scikit-learn estimators only: skops loads these without trust."""


@dataclass(frozen=True)
class Labelled:
    """The rows of one task that have a label; targets are text or in target space."""

    X: NDArray[np.float32]
    y: NDArray[Any]
    X_val: NDArray[np.float32]
    y_val: NDArray[Any]
    objects: NDArray[Any]
    """Of the train rows."""


class Features(Protocol):
    """What turns flux into the few numbers that are learned from."""

    @property
    def state(self) -> State:
        """What is saved of it."""

    def transform(self, flux: NDArray[np.float16]) -> NDArray[np.float32]:
        """Features (n, features) of flux (n, pixels)."""


@dataclass(frozen=True)
class Components:
    """Scaler and principal components."""

    state: State

    def transform(self, flux: NDArray[np.float16]) -> NDArray[np.float32]:
        """See Features."""
        return transform(self.state, flux)


class Classical(ABC):
    """Features (principal components unless a subclass says otherwise), then a state a task."""

    def __init__(self, features: Features, states: dict[str, State]) -> None:
        self.features, self.states = features, states

    @classmethod
    def fit_features(
        cls, train: Rows, val: Rows, setup: Setup[Any]
    ) -> tuple[Features, dict[str, Any]]:
        """Features fitted on all of train, and what training.json says of them."""
        state = fit_features(train.flux, setup.read["baselines.components"], setup.seed)
        pca = state["pca"]
        return Components(state), {
            "flux": f"{FILLING}; {SCALING}; standardised by pixel",
            "components": int(pca.n_components_),
            "explained_variance": float(pca.explained_variance_ratio_.sum()),
            "pca_spectra": int(pca.n_samples_),
        }

    @classmethod
    def features_of(cls, state: State) -> Features:
        """Features that were saved. Raises KeyError where the state lacks something."""
        return Components(state)

    @property
    def tasks(self) -> list[Task]:
        """The fitted tasks, with the labels that they were fitted with."""
        labels = {name: state.get("labels", ()) for name, state in self.states.items()}
        return tasks_of(self.states, labels)

    @staticmethod
    @abstractmethod
    def fit_task(task: Task, data: Labelled, setup: Setup[Any]) -> tuple[State, dict[str, Any]]:
        """Fit one task: its state, and what training.json says of it."""

    @staticmethod
    @abstractmethod
    def predict_task(task: Task, state: State, X: NDArray[np.float32]) -> Distribution:
        """Predict the task for features X (n, components)."""

    @classmethod
    def fit(cls, train: Rows, val: Rows, setup: Setup[Any]) -> tuple[Self, dict[str, Any]]:
        """Fit the features on all of train, then each task on its labelled rows."""
        start = time.monotonic()
        features, told = cls.fit_features(train, val, setup)
        X, X_val = features.transform(train.flux), features.transform(val.flux)
        summary: dict[str, Any] = {
            "features": {**told, "seconds": time.monotonic() - start},
            "tasks": [task.name for task in setup.tasks],
        }
        states: dict[str, State] = {}
        for task in setup.tasks:
            start = time.monotonic()
            data = _labelled(task, X, train, X_val, val)
            state, told = cls.fit_task(task, data, setup)
            states[task.name] = {**state, "labels": list(task.labels)}
            summary[task.name] = {
                **told,
                "train_labelled": len(data.y),
                "val_labelled": len(data.y_val),
                "seconds": time.monotonic() - start,
            }
        return cls(features, states), summary

    def predict(self, flux: NDArray[np.float16]) -> dict[str, Distribution]:
        """Predict every task."""
        X = self.features.transform(flux)
        return {
            task.name: self.predict_task(task, self.states[task.name], X) for task in self.tasks
        }

    def save(self, folder: Path) -> None:
        """Write `model.skops`."""
        save_skops(folder / SKOPS, {"features": self.features.state, "tasks": self.states})

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        state = load_skops(folder / SKOPS)
        try:
            return cls(cls.features_of(state["features"]), state["tasks"])
        except KeyError as error:
            raise DataError(f"{folder / SKOPS} does not hold a baseline: no {error}") from error


def spread(task: Task, labels: list[str], prob: Array) -> Array:
    """Probabilities (n, labels seen in train) put into the task's order; 0 for a label not seen."""
    out = np.zeros((len(prob), len(task.labels)))
    out[:, [task.labels.index(label) for label in labels]] = prob
    return out


def _labelled(
    task: Task, X: NDArray[np.float32], train: Rows, X_val: NDArray[np.float32], val: Rows
) -> Labelled:
    """The rows with a label; a row without one is left out of this task's fit alone."""
    train_rows, y = _known_targets(task, train)
    val_rows, y_val = _known_targets(task, val)
    objects = objects_of(train.table)[train_rows]
    return Labelled(X[train_rows], y, X_val[val_rows], y_val, objects)


def _known_targets(task: Task, rows: Rows) -> tuple[NDArray[np.bool_], NDArray[Any]]:
    """Which rows have a label, and the targets of those."""
    labels = labels_of(rows.table, task)
    keep = known(labels)
    if task.kind == "classification":
        return keep, labels[keep].astype(str)
    return keep, to_target(task, labels[keep])
