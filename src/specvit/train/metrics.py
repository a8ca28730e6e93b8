"""What is watched on the validation split while training; the report's metrics are elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from specvit.models.vit import SpecViT
from specvit.tasks import Task
from specvit.train.loader import Batch
from specvit.train.step import Stepper

LABELS_AT_A_TIME = 1024
OUTLIER = 0.05  # |dz| / (1 + z) beyond which a redshift counts as wrong
Array = npt.NDArray[Any]
Figures = dict[str, float | None]


class Validation:
    """Collects this rank's part of the validation split, then figures over all ranks."""

    def __init__(self, stepper: Stepper, untrained: Mapping[str, float]) -> None:
        self._stepper, self._untrained = stepper, untrained
        self._tasks = stepper.model.tasks
        # Compiled where there is no moving average, which is evaluated too seldom to pay for it.
        self._forward = stepper.forward if stepper.ema is None else stepper.evaluated
        self._found: dict[str, list[tuple[float, int, Array, Array]]] = {
            task.name: [] for task in self._tasks
        }

    @torch.no_grad()
    def add(self, batch: Batch) -> None:
        """Predict a batch and keep losses, labels and predictions."""
        model = self._stepper.evaluated
        # Without DDP: ranks may have different numbers of batches here.
        with self._stepper.autocast():
            found = self._forward(batch.to(self._stepper.ranks.device).pictures)
        # What heads make of an output is little work, in double precision: not for a GPU.
        outputs = {name: output.cpu() for name, output in found.items()}
        losses = model.loss(outputs, batch.labels, {})[1]
        columns = model.decode(outputs, batch.labels)
        for task in self._tasks:
            known = int(model.head(task.name).known(batch.labels[task.name]).sum())
            truth, predicted = columns[f"{task.name}_true"], columns[f"{task.name}_pred"]
            self._found[task.name].append((float(losses[task.name]), known, truth, predicted))

    def figures(self) -> Figures:
        """Loss of each task, `loss` and `relative_loss` of all, and what `watch` gives."""
        ranks = self._stepper.ranks.gather(self._found)
        found, losses_of, settings = Figures(), {}, self._stepper.settings
        for task in self._tasks:
            parts = [part for rank in ranks for part in rank[task.name]]
            losses, known, truth, predicted = zip(*parts, strict=True)
            loss = float(np.dot(losses, known) / max(sum(known), 1))
            losses_of[task.name] = found[f"{task.name}_loss"] = loss
            found |= watch(task, np.concatenate(truth), np.concatenate(predicted))
            if task.kind == "classification":
                answers = set(np.concatenate(predicted))
                found[f"{task.name}_labels_predicted"] = float(len(answers))
        total = sum(settings.loss_weight(name) * loss for name, loss in losses_of.items())
        # Shares need no weights but those that somebody asked for.
        relative = relative_loss(losses_of, self._untrained, settings.loss_weights)
        return {"relative_loss": relative, "loss": total, **found}


def relative_loss(
    losses: Mapping[str, float], untrained: Mapping[str, float], weights: Mapping[str, float]
) -> float | None:
    """Each task's loss as a share of an untrained network's: their mean, by the tasks' weights.

    A sum of losses follows the task that has most nats to lose, which is redshift with its
    thousands of bins. Tasks that an untrained network answers without loss have no share.
    """
    shares = [
        (loss / untrained[name], weights.get(name, 1.0))
        for name, loss in losses.items()
        if untrained[name] > 0
    ]
    total = sum(weight for _, weight in shares)
    return sum(share * weight for share, weight in shares) / total if total else None


@torch.no_grad()
def untrained_losses(model: SpecViT, labels: Mapping[str, Array]) -> dict[str, float]:
    """Mean loss of each task where every answer is the untrained network's to an empty picture.

    Heads start from what the train split says of the labels, so this is what knowing no spectrum
    costs. `labels` are those of the validation split, (n,) for each task.
    """
    was_training = model.training
    model.eval()
    shape = (1, model.render.channels, model.render.size, model.render.size)
    device = next(model.parameters()).device
    outputs = model(torch.zeros(shape, dtype=torch.uint8, device=device))
    model.train(was_training)
    found = {}
    for task in model.tasks:
        head, output, sums = model.head(task.name), outputs[task.name].cpu(), [0.0, 0.0]
        for part in torch.split(torch.from_numpy(labels[task.name]), LABELS_AT_A_TIME):
            known = head.known(part)
            each = head.losses(output.expand(len(part), *output.shape[1:]), part, 0.0)
            sums[0] += float(each[known].double().sum())
            sums[1] += float(known.sum())
        found[task.name] = sums[0] / max(sums[1], 1.0)
    return found


def watch(task: Task, truth: Array, predicted: Array) -> Figures:
    """Figures of one task over spectra with a label; None where there are none.

    Classification (text): accuracy, and balanced accuracy (mean recall of the classes that occur).
    Redshift: sigma_NMAD and the fraction with |dz| > 0.05, dz = (z_pred - z) / (1 + z).
    Regression: mean absolute error.
    """
    if task.kind == "classification":
        known = np.array([label is not None for label in truth], dtype=bool)
        right = (truth == predicted)[known].astype(float)
        labels = truth[known]
        recalls = np.array([right[labels == label].mean() for label in sorted(set(labels))])
        found = {"accuracy": _mean(right), "balanced_accuracy": _mean(recalls)}
    elif task.kind == "redshift":
        known = np.isfinite(truth)
        dz = (predicted[known] - truth[known]) / (1 + truth[known])
        found = {"nmad": _nmad(dz), "outlier_fraction": _mean(np.abs(dz) > OUTLIER)}
    else:
        known = np.isfinite(truth)
        found = {"mae": _mean(np.abs(predicted[known] - truth[known]))}
    return {f"{task.name}_{name}": value for name, value in found.items()}


def _nmad(values: Array) -> float | None:
    """Return 1.4826 median|x - median x|, the sigma of a Gaussian with this median deviation."""
    if not len(values):
        return None
    return float(1.4826 * np.median(np.abs(values - np.median(values))))


def _mean(values: Array) -> float | None:
    return float(np.mean(values)) if len(values) else None
