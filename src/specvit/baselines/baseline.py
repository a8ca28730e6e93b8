"""What every baseline can do: fit, predict, save; and what it is given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from specvit.baselines.answers import Answer
from specvit.baselines.rows import Rows
from specvit.config.data import Grid
from specvit.config.learning import Baselines
from specvit.tasks import Task


@dataclass(frozen=True)
class Plan:
    """What a baseline is asked to learn and how."""

    tasks: list[Task]
    settings: Baselines
    grid: Grid
    seed: int
    jobs: int
    """Threads of joblib's parts; results do not depend on it."""


class Baseline(Protocol):
    """A fitted model of this package."""

    @classmethod
    def fit(cls, train: Rows, val: Rows, plan: Plan) -> tuple[Self, dict[str, Any]]:
        """Fit on train, choose on val; the model, and what training.json says of it.

        The latter holds `tasks`: the names of those that the model answers.
        """

    def predict(self, flux: NDArray[np.float16]) -> Mapping[str, Answer]:
        """Answers by task name for flux (n, pixels)."""

    def save(self, folder: Path) -> None:
        """Write the model's files, `model.*`."""

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read them; DataError where they are missing or damaged."""
