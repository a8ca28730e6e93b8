"""How each network learned: losses and validation by epoch, as models/<network>/log.jsonl tells."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from specvit.config.models import Config
from specvit.errors import DataError
from specvit.metrics.resample import Floats
from specvit.tasks import Task

LOG = "log.jsonl"
# What is watched on the validation split beside the loss, by kind of task: key, title, factor.
WATCHED = {
    "classification": ("accuracy", "Accuracy [%]", 100.0),
    "redshift": ("outlier_fraction", "Outliers, |Δz| > 0.05 [%]", 100.0),
    "regression": ("mae", "Mean absolute error", 1.0),
}
POINTS = 100  # of the training loss: means of batches beyond that, so that its noise hides nothing


@dataclass(frozen=True)
class Curve:
    """A number against epochs done, both (n,)."""

    epoch: Floats
    value: Floats


@dataclass(frozen=True)
class LearningLog:
    """The log of one network's training."""

    steps: list[dict[str, Any]]
    """Training losses of some batches."""
    epochs: list[dict[str, Any]]
    """Validation after each epoch."""
    chosen: int
    """The epoch whose weights were kept, from 1."""

    @classmethod
    def read(cls, path: Path) -> LearningLog:
        """Read a network's log. Raises DataError where it is missing, broken or of no epoch."""
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
            events = [json.loads(line) for line in lines]
            steps, epochs = (
                [event for event in events if event["event"] == kind] for kind in ("step", "epoch")
            )
            chosen = [event["best_epoch"] for event in events if event["event"] == "finished"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"{path} cannot be read ({error}): train the network again") from error
        if not epochs or not chosen:
            raise DataError(f"{path} is not of a finished training: run specvit train again")
        return cls(steps, epochs, int(chosen[-1]))

    def training(self, task: Task) -> Curve:
        """Loss on batches of the train split; empty where fewer batches than one were logged."""
        a_epoch = self.epochs[-1]["step"] / self.epochs[-1]["epoch"]
        key = f"{task.name}_loss"
        found = [(s["step"] / a_epoch, s[key]) for s in self.steps if s.get(key) is not None]
        parts = np.array_split(np.array(found).reshape(-1, 2), min(POINTS, max(len(found), 1)))
        means = np.array([part.mean(axis=0) for part in parts if len(part)]).reshape(-1, 2)
        return Curve(means[:, 0], means[:, 1])

    def validation(self, task: Task, name: str, factor: float = 1.0) -> Curve:
        """A figure of the validation split after each epoch; epochs without it are left out."""
        key = f"{task.name}_{name}"
        found = [(e["epoch"], factor * e[key]) for e in self.epochs if e.get(key) is not None]
        values = np.array(found, dtype=float).reshape(-1, 2)
        return Curve(values[:, 0], values[:, 1])


def learning_logs(config: Config) -> dict[str, LearningLog]:
    """The log of every network of the run."""
    return {
        name: LearningLog.read(config.paths.model_dir(name) / LOG) for name in config.network_names
    }
