"""What every baseline can do: fit, predict, save; and what it is given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from specvit.baselines.distributions import Distribution
from specvit.baselines.rows import Rows
from specvit.config.base import Section
from specvit.config.data import Grid
from specvit.tasks import Task

S = TypeVar("S", bound=Section, covariant=True)


@dataclass(frozen=True)
class Setup(Generic[S]):
    """What a baseline is asked to learn and how."""

    tasks: list[Task]
    settings: S
    """Its own keys: `baselines.<name>`."""
    grid: Grid
    seed: int
    threads: int
    """Of its parallel parts; results do not depend on it."""
    gpu: bool = False
    """Whether a GPU may be used, where the baseline can."""
    before: Path | None = None
    """Folder of the fitted baseline that its Registration says comes before it."""
    read: Mapping[str, Any] = field(default_factory=dict)
    """What else its Registration says that it reads, by dotted key."""


class Baseline(Protocol):
    """A fitted model: the class that a Registration names."""

    @classmethod
    def fit(cls, train: Rows, val: Rows, setup: Setup[Any]) -> tuple[Self, dict[str, Any]]:
        """Fit on train, choose on val; the model, and what training.json says of it.

        The latter holds `tasks`: the names of those that the model answers.
        """

    def predict(self, flux: NDArray[np.float16]) -> Mapping[str, Distribution]:
        """What is predicted by task name for flux (n, pixels)."""

    def save(self, folder: Path) -> None:
        """Write the Registration's files."""

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read them; DataError where they are missing or damaged."""
