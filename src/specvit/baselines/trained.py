"""A network on flux that is trained under the ViT's heads: what each such baseline has in common.

The epoch with the lowest val loss is kept.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from specvit.baselines.baseline import Setup
from specvit.baselines.distributions import Columns, Distribution
from specvit.baselines.features import batches
from specvit.baselines.network import Description, Headed
from specvit.baselines.rows import Rows, labels_of
from specvit.errors import TrainingError
from specvit.logs import progress
from specvit.models.heads import Head
from specvit.models.labels import LabelStats, encode
from specvit.tasks import Task

BATCH = 64
WEIGHT_DECAY = 0.05
WARMUP = 0.1  # share of the steps in which the learning rate rises
INTERVAL = "redshift: shortest 68 % of the head's density; numbers: Gaussian"


@dataclass(frozen=True)
class _Output:
    """Raw outputs of a head for n spectra."""

    head: Head
    output: Tensor

    def columns(self, task: Task, truth: NDArray[Any]) -> Columns:
        return self.head.decode(self.output, encode(task, truth))


class Trained(ABC):
    """A network and what it was built from."""

    name: str
    """For the log."""

    def __init__(self, network: Headed, description: Description, *, gpu: bool = False) -> None:
        self.network, self.description = network, description
        self.device = device_of(gpu)
        network.to(self.device)

    @abstractmethod
    def read(self, flux: NDArray[np.float16]) -> Tensor:
        """What the network reads of flux (n, pixels)."""

    @property
    def tasks(self) -> list[Task]:
        """The tasks that have a head."""
        return self.description.tasks

    def predict(self, flux: NDArray[np.float16]) -> dict[str, Distribution]:
        """What every head predicts."""
        self.network.eval()
        parts = []
        with torch.no_grad():
            for part in batches(len(flux), 4 * BATCH):
                output = self.network(self.read(flux[part]).to(self.device))
                parts.append({name: value.cpu() for name, value in output.items()})
        return {
            task.name: _Output(self.network.head(task), torch.cat([p[task.name] for p in parts]))
            for task in self.tasks
        }

    def train(
        self, train: Rows, val: Rows, rate: float, setup: Setup[Any]
    ) -> tuple[Self, dict[str, Any]]:
        """Train for `epochs`, keep the best; this model, and what training.json says of it."""
        labels, val_labels = (encode_labels(rows, self.tasks) for rows in (train, val))
        history = self._epochs(
            (train.flux, labels), (val.flux, val_labels), rate, setup.settings.epochs, setup.seed
        )
        best = min(history, key=lambda epoch: epoch["score"])
        return self, {
            "tasks": [task.name for task in self.tasks],
            "chosen": {"epoch": best["epoch"]},
            "criterion": "val: sum of the tasks' mean losses",
            "grid": history,
            "labelled": self.description.stats.known,
            "parameters": sum(p.numel() for p in self.network.parameters()),
            "batch_size": BATCH,
            "learning_rate": rate,
            "device": self.device.type,
            "interval": INTERVAL,
        }

    def _epochs(
        self,
        train: tuple[NDArray[np.float16], dict[str, Tensor]],
        val: tuple[NDArray[np.float16], dict[str, Tensor]],
        rate: float,
        epochs: int,
        seed: int,
    ) -> list[dict[str, Any]]:
        flux, labels = train
        n = len(flux)
        optimizer = torch.optim.AdamW(self.network.parameters(), rate, weight_decay=WEIGHT_DECAY)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, rate, total_steps=epochs * -(-n // BATCH), pct_start=WARMUP
        )
        order = np.random.default_rng(seed)
        history: list[dict[str, Any]] = []
        best = copy.deepcopy(self.network.state_dict())
        with progress(self.name, epochs * n) as tick:
            for epoch in range(1, epochs + 1):
                self.network.train()
                shuffled = order.permutation(n)
                for part in batches(n, BATCH):
                    rows = np.sort(shuffled[part])
                    if len(rows) < 2:  # batch normalisation needs two
                        continue
                    loss = self._loss(flux[rows], {k: v[rows] for k, v in labels.items()})
                    if not torch.isfinite(loss):
                        raise TrainingError(f"{self.name}: the loss of epoch {epoch} is not finite")
                    optimizer.zero_grad(set_to_none=True)
                    loss.backward()  # type: ignore[no-untyped-call]
                    optimizer.step()
                    schedule.step()
                    tick.advance(len(rows))
                history.append({"epoch": epoch, "score": self._mean_loss(*val)})
                if history[-1]["score"] <= min(h["score"] for h in history):
                    best = copy.deepcopy(self.network.state_dict())
                tick.advance(0, f"val loss {history[-1]['score']:.4f}")
        self.network.load_state_dict(best)
        return history

    def _loss(self, flux: NDArray[np.float16], labels: dict[str, Tensor]) -> Tensor:
        """Sum over the tasks of the mean loss of the spectra that have a label."""
        total, count = self._losses(flux, labels)
        means = [total[name] / max(count[name], 1) for name in total]
        return torch.stack(means).sum()

    def _losses(
        self, flux: NDArray[np.float16], labels: dict[str, Tensor]
    ) -> tuple[dict[str, Tensor], dict[str, int]]:
        """Summed loss and number of labels of each task."""
        outputs = self.network(self.read(flux).to(self.device))
        total: dict[str, Tensor] = {}
        count: dict[str, int] = {}
        for task in self.tasks:
            head, truth = self.network.head(task), labels[task.name].to(self.device)
            known = head.known(truth)
            losses = head.losses(outputs[task.name], truth, 0.0)
            total[task.name] = torch.where(known, losses, 0.0).sum()
            count[task.name] = int(known.sum())
        return total, count

    def _mean_loss(self, flux: NDArray[np.float16], labels: dict[str, Tensor]) -> float:
        self.network.eval()
        total = dict.fromkeys(labels, 0.0)
        count = dict.fromkeys(labels, 0)
        with torch.no_grad():
            for part in batches(len(flux), 4 * BATCH):
                some = {name: values[part] for name, values in labels.items()}
                losses, known = self._losses(flux[part], some)
                for name in total:
                    total[name] += float(losses[name])
                    count[name] += known[name]
        return sum(total[name] / max(count[name], 1) for name in total)


def describe(train: Rows, setup: Setup[Any]) -> Description:
    """What a network for these rows is built from."""
    stats = LabelStats.measure(setup.tasks, encode_labels(train, setup.tasks))
    return Description(setup.tasks, setup.grid, setup.read["model.redshift"], stats)


def encode_labels(rows: Rows, tasks: list[Task]) -> dict[str, Tensor]:
    """Labels by task, as the heads take them."""
    return {task.name: encode(task, labels_of(rows.table, task)) for task in tasks}


def weights_of(network: nn.Module) -> dict[str, NDArray[Any]]:
    """A network's weights as arrays, by name."""
    return {name: value.cpu().numpy() for name, value in network.state_dict().items()}


def device_of(gpu: bool) -> torch.device:
    """The GPU where it may be used and is there."""
    return torch.device("cuda" if gpu and torch.cuda.is_available() else "cpu")


@contextmanager
def repeatable(seed: int) -> Iterator[None]:
    """Seeded weights and dropout and repeatable kernels; the caller's generators are untouched."""
    cudnn = torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True)
    with torch.random.fork_rng(), cudnn:
        torch.manual_seed(seed)
        yield
