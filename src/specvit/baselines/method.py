"""What the three classical methods have in common: labelled features in, a state of plain parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from specvit.baselines.answers import Answer, Array
from specvit.config.learning import Baselines
from specvit.tasks import Task

State = dict[str, Any]
"""Arrays, numbers, text and scikit-learn estimators only: skops loads these without trust."""


@dataclass(frozen=True)
class Labelled:
    """The rows of one task that have a label; targets are text or in target space."""

    X: NDArray[np.float32]
    y: NDArray[Any]
    X_val: NDArray[np.float32]
    y_val: NDArray[Any]


@dataclass(frozen=True)
class Effort:
    """What every fit is told beside the data."""

    settings: Baselines
    seed: int
    jobs: int
    """Threads; results do not depend on it."""


class Method(Protocol):
    """A module of this package: svm, forest or knn."""

    def fit(self, task: Task, data: Labelled, effort: Effort) -> tuple[State, dict[str, Any]]:
        """Fit one task: its state, and what training.json says of it."""

    def answer(self, task: Task, state: State, X: NDArray[np.float32]) -> Answer:
        """Answer the task for features X (n, components)."""


def spread(task: Task, labels: list[str], prob: Array) -> Array:
    """Probabilities (n, labels seen in train) put into the task's order; 0 for a label not seen."""
    out = np.zeros((len(prob), len(task.labels)))
    out[:, [task.labels.index(label) for label in labels]] = prob
    return out
