"""A one-dimensional convolutional network on flux: the strong reference that sees no picture.

The same flux as the other baselines, and beside it a channel that says which pixels have data. The
epoch with the lowest val loss is kept.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from specvit.baselines.baseline import Setup
from specvit.baselines.distributions import Columns, Distribution
from specvit.baselines.features import FILLING, SCALING, batches, fit_scaler, normalise
from specvit.baselines.network import LAYERS, Description, Network
from specvit.baselines.rows import Rows, labels_of
from specvit.baselines.store import load_arrays, save_arrays
from specvit.config.baselines import Cnn1dSettings
from specvit.errors import DataError, TrainingError
from specvit.logs import progress
from specvit.models.heads import Head
from specvit.models.labels import LabelStats, encode
from specvit.tasks import Task

BATCH = 64
LEARNING_RATE = 2e-3
WEIGHT_DECAY = 0.05
WARMUP = 0.1  # share of the steps in which the learning rate rises


@dataclass(frozen=True)
class _Output:
    """Raw outputs of a head for n spectra."""

    head: Head
    output: Tensor

    def columns(self, task: Task, truth: NDArray[Any]) -> Columns:
        return self.head.decode(self.output, encode(task, truth))


class Cnn1d:
    """The fitted network and the mean and scale of each pixel in train."""

    def __init__(
        self,
        network: Network,
        description: Description,
        centre: NDArray[np.float32],
        scale: NDArray[np.float32],
        *,
        gpu: bool = False,
    ) -> None:
        self.network, self.description = network, description
        self.centre, self.scale = centre, scale
        self.device = torch.device("cuda" if gpu and torch.cuda.is_available() else "cpu")
        network.to(self.device)

    @property
    def tasks(self) -> list[Task]:
        """The tasks that have a head."""
        return self.description.tasks

    @classmethod
    def fit(
        cls, train: Rows, val: Rows, setup: Setup[Cnn1dSettings]
    ) -> tuple[Cnn1d, dict[str, Any]]:
        """Train for `epochs`; keep the epoch with the lowest val loss."""
        labels, val_labels = (_encode(rows, setup.tasks) for rows in (train, val))
        stats = LabelStats.measure(setup.tasks, labels)
        description = Description(setup.tasks, setup.grid, setup.read["model.redshift"], stats)
        with _repeatable(setup.seed):
            network = description.network()
            scaler = fit_scaler(train.flux)
            moments = scaler.mean_.astype(np.float32), scaler.scale_.astype(np.float32)
            model = cls(network, description, *moments, gpu=setup.gpu)
            history = model._train(train.flux, labels, val.flux, val_labels, setup)
        best = min(history, key=lambda epoch: epoch["score"])
        return model, {
            "tasks": [task.name for task in setup.tasks],
            "chosen": {"epoch": best["epoch"]},
            "criterion": "val: sum of the tasks' mean losses",
            "grid": history,
            "labelled": stats.known,
            "layers (channels, kernel, stride)": LAYERS,
            "parameters": sum(p.numel() for p in network.parameters()),
            "batch_size": BATCH,
            "learning_rate": LEARNING_RATE,
            "device": model.device.type,
            "flux": f"{FILLING}; {SCALING}; standardised by pixel; second channel: has data",
            "interval": "redshift: shortest 68 % of the head's density; numbers: Gaussian",
        }

    def predict(self, flux: NDArray[np.float16]) -> dict[str, Distribution]:
        """What every head predicts."""
        self.network.eval()
        parts = []
        with torch.no_grad():
            for part in batches(len(flux), 4 * BATCH):
                output = self.network(self._input(flux[part]))
                parts.append({name: value.cpu() for name, value in output.items()})
        return {
            task.name: _Output(self.network.head(task), torch.cat([p[task.name] for p in parts]))
            for task in self.tasks
        }

    def save(self, folder: Path) -> None:
        """Write `model.safetensors` and `model.json`."""
        state = {name: value.cpu().numpy() for name, value in self.network.state_dict().items()}
        arrays = {f"network.{name}": value for name, value in state.items()}
        arrays |= {"centre": self.centre, "scale": self.scale}
        save_arrays(folder, arrays, self.description.as_dict())

    @classmethod
    def load(cls, folder: Path) -> Cnn1d:
        """Read what `save` wrote."""
        arrays, settings = load_arrays(folder)
        try:
            description = Description.from_dict(settings)
            centre, scale = arrays.pop("centre"), arrays.pop("scale")
            network = description.network()
            network.load_state_dict(
                {n.removeprefix("network."): torch.from_numpy(a) for n, a in arrays.items()}
            )
            return cls(network, description, centre, scale)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise DataError(f"{folder} does not hold a cnn1d baseline: {reason}") from error

    def _input(self, flux: NDArray[np.float16]) -> Tensor:
        data = (normalise(flux) - self.centre) / self.scale
        stacked = np.stack([data, np.isfinite(flux)], axis=1, dtype=np.float32)
        return torch.from_numpy(stacked).to(self.device)

    def _train(
        self,
        flux: NDArray[np.float16],
        labels: dict[str, Tensor],
        val_flux: NDArray[np.float16],
        val_labels: dict[str, Tensor],
        setup: Setup[Cnn1dSettings],
    ) -> list[dict[str, Any]]:
        epochs, n = setup.settings.epochs, len(flux)
        optimizer = torch.optim.AdamW(
            self.network.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY
        )
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, LEARNING_RATE, total_steps=epochs * -(-n // BATCH), pct_start=WARMUP
        )
        order = np.random.default_rng(setup.seed)
        history: list[dict[str, Any]] = []
        best = copy.deepcopy(self.network.state_dict())
        with progress("cnn1d", epochs * n) as tick:
            for epoch in range(1, epochs + 1):
                self.network.train()
                shuffled = order.permutation(n)
                for part in batches(n, BATCH):
                    rows = np.sort(shuffled[part])
                    if len(rows) < 2:  # batch normalisation needs two
                        continue
                    loss = self._loss(flux[rows], {k: v[rows] for k, v in labels.items()})
                    if not torch.isfinite(loss):
                        raise TrainingError(f"cnn1d: the loss of epoch {epoch} is not finite")
                    optimizer.zero_grad(set_to_none=True)
                    loss.backward()  # type: ignore[no-untyped-call]
                    optimizer.step()
                    schedule.step()
                    tick.advance(len(rows))
                history.append({"epoch": epoch, "score": self._mean_loss(val_flux, val_labels)})
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
        outputs = self.network(self._input(flux))
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


def _encode(rows: Rows, tasks: list[Task]) -> dict[str, Tensor]:
    return {task.name: encode(task, labels_of(rows.table, task)) for task in tasks}


@contextmanager
def _repeatable(seed: int) -> Iterator[None]:
    """Seeded weights and dropout and repeatable kernels; the caller's generators are untouched."""
    cudnn = torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True)
    with torch.random.fork_rng(), cudnn:
        torch.manual_seed(seed)
        yield
