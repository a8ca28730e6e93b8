"""One head a task: raw outputs from the tokens, their loss, and what they say in columns."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from specvit.config.data import Grid, Render
from specvit.config.learning import Model, RedshiftBins
from specvit.models.correlation import TemplateCorrelation, TokenLayout
from specvit.models.labels import NO_CLASS, LabelStats, decode_classes
from specvit.models.redshift import (
    Bins,
    Density,
    negative_log_density,
    window_count,
    window_evidence,
)
from specvit.predictions import COVERAGE, prob_columns
from specvit.tasks import Task

LOG_ROOT_2PI = 0.5 * math.log(2 * math.pi)
"""Of a Gaussian's log-likelihood: it moves no gradient, but a loss without it is small beside the
others', so that a share of the untrained network's would weigh too much."""
PRIOR_BINS = 32
"""Bins between two knots of the redshift's prior."""
Columns = dict[str, np.ndarray[Any, Any]]
MIN_SCALE = 1e-3
"""Smallest scale that a regression head predicts, in standard deviations of the train split."""


class Head(Protocol):
    """What SpecViT asks of a head."""

    def __call__(self, pooled: Tensor, patches: Tensor) -> Tensor:
        """Raw outputs (n, outputs) from tokens (n, width) and (n, patches, width), all float32."""

    def losses(self, output: Tensor, labels: Tensor, label_smoothing: float) -> Tensor:
        """Loss of each spectrum, (n,); meaningless but finite where `known` is false."""

    def known(self, labels: Tensor) -> Tensor:
        """Which spectra have a label to learn from, (n,) bool."""

    def decode(self, output: Tensor, labels: Tensor | None) -> Columns:
        """The prediction file's columns; `_true` and `_pit` only where labels are given."""


def small_linear(width: int, bias: Tensor) -> nn.Linear:
    """Linear layer that starts close to giving this bias, (outputs,), for every input."""
    layer = nn.Linear(width, len(bias))
    with torch.no_grad():
        layer.weight.normal_(std=0.01)
        layer.bias.copy_(bias)
    return layer


class ClassificationHead(nn.Module):
    """Cross-entropy over the task's labels; starts from the train split's class shares.

    Where the network gives a density of redshift too, the labels' weights also depend on it (see
    `answers`): no star is at redshift 1, whatever its continuum looks like.
    """

    def __init__(self, task: Task, width: int, counts: list[int], windows: int = 0) -> None:
        super().__init__()
        self.task = task
        # One spectrum more of each class: the logarithm stays finite for a class not seen.
        shares = torch.tensor(counts, dtype=torch.float64) + 1
        self.linear = small_linear(width, torch.log(shares / shares.sum()))
        self.by_redshift = nn.Linear(windows, len(counts), bias=False) if windows else None
        if self.by_redshift is not None:
            nn.init.zeros_(self.by_redshift.weight)

    def forward(self, pooled: Tensor, patches: Tensor) -> Tensor:
        """Weights of the labels, whatever the redshift."""
        return self.linear(pooled)  # type: ignore[no-any-return]

    def known(self, labels: Tensor) -> Tensor:
        """Whether there is a class."""
        return labels != NO_CLASS

    def losses(self, output: Tensor, labels: Tensor, label_smoothing: float) -> Tensor:
        """Cross-entropy, smoothed as asked."""
        return functional.cross_entropy(
            output,
            labels,
            ignore_index=NO_CLASS,
            label_smoothing=label_smoothing,
            reduction="none",
        )

    def decode(self, output: Tensor, labels: Tensor | None) -> Columns:
        """Probabilities and the most probable label."""
        name = self.task.name
        prob = torch.softmax(output.double(), dim=1).cpu().numpy()
        columns: Columns = {f"{name}_pred": decode_classes(self.task, prob.argmax(axis=1))}
        if labels is not None:
            columns[f"{name}_true"] = decode_classes(self.task, labels.cpu().numpy())
        single = prob.astype(np.float32)
        return columns | {column: single[:, i] for i, column in enumerate(prob_columns(self.task))}


class RedshiftHead(nn.Module):
    """Weights on bins of log(1+z); the density they stand for is in `specvit.models.redshift`.

    The pooled token says how probable a redshift is for such an object, the patches say where its
    lines are; the weights add, as logarithms of a prior and a likelihood. The prior is linear
    between knots PRIOR_BINS apart: finer, it could know the very redshift of each spectrum of the
    train split by heart, and be as sure of every other. Without a layout of the patches the pooled
    token says all, and has a weight for each bin.
    """

    def __init__(self, task: Task, width: int, layout: TokenLayout | None, bins: Bins) -> None:
        super().__init__()
        self.task, self.bins = task, bins
        knots = bins.count if layout is None else math.ceil(bins.count / PRIOR_BINS)
        self.prior = small_linear(width, torch.zeros(knots))
        self.correlation = None if layout is None else TemplateCorrelation(width, layout, bins)

    def forward(self, pooled: Tensor, patches: Tensor) -> Tensor:
        """Weights of the bins."""
        if self.correlation is None:
            return self.prior(pooled)  # type: ignore[no-any-return]
        knots = self.prior(pooled)[:, None, :]
        prior = functional.interpolate(knots, self.bins.count, mode="linear")[:, 0]
        return prior + self.correlation(patches)  # type: ignore[no-any-return]

    def known(self, labels: Tensor) -> Tensor:
        """Whether there is a redshift, and inside the bins."""
        return self.bins.inside(labels)

    def losses(self, output: Tensor, labels: Tensor, label_smoothing: float) -> Tensor:
        """Negative log density at the true redshift (label smoothing is for classes only)."""
        x = self.bins.position(labels).nan_to_num(0.0, 0.0, 0.0).clamp(0, self.bins.count)
        return negative_log_density(output, x, self.bins)

    def decode(self, output: Tensor, labels: Tensor | None) -> Columns:
        """Expectation inside the most probable peak, and the shortest 68 % interval around it."""
        density = Density.of(output, self.bins)
        x = density.expectation_in_peak()
        low, high = density.interval_around(x)
        name = self.task.name
        columns = {
            f"{name}_{part}": self.bins.redshift(value).cpu().numpy()
            for part, value in (("pred", x), ("lo", low), ("hi", high))
        }
        if labels is not None:
            pit = density.probability_below(self.bins.position(labels))
            columns |= {f"{name}_true": labels.cpu().numpy(), f"{name}_pit": pit.cpu().numpy()}
        return columns

    def second(self, output: Tensor) -> Columns:
        """Redshift of the second peak (nan where there is none) and its probability."""
        x, probability = Density.of(output, self.bins).second_peak()
        name = self.task.name
        return {
            f"{name}_second": self.bins.redshift(x).cpu().numpy(),
            f"{name}_second_prob": probability.cpu().numpy(),
        }


class RegressionHead(nn.Module):
    """Mean and scale of a Gaussian, in standard units of the train split (Nix & Weigend 1994)."""

    def __init__(self, task: Task, width: int, mean: float, std: float) -> None:
        super().__init__()
        self.task, self.mean, self.std = task, mean, std if std > 0 else 1.0
        # Start from the train split's own mean and scale: softplus(bias) = 1.
        self.linear = small_linear(width, torch.tensor([0.0, math.log(math.expm1(1.0))]))

    def forward(self, pooled: Tensor, patches: Tensor) -> Tensor:
        """Mean and scale before softplus."""
        return self.linear(pooled)  # type: ignore[no-any-return]

    def known(self, labels: Tensor) -> Tensor:
        """Whether there is a number."""
        return torch.isfinite(labels)

    def _moments(self, output: Tensor) -> tuple[Tensor, Tensor]:
        return output[:, 0], functional.softplus(output[:, 1]) + MIN_SCALE

    def losses(self, output: Tensor, labels: Tensor, label_smoothing: float) -> Tensor:
        """Gaussian negative log-likelihood (label smoothing is for classes only)."""
        mean, scale = self._moments(output)
        target = ((labels - self.mean) / self.std).nan_to_num(0.0, 0.0, 0.0).to(output.dtype)
        return 0.5 * ((target - mean) / scale) ** 2 + torch.log(scale) + LOG_ROOT_2PI

    def decode(self, output: Tensor, labels: Tensor | None) -> Columns:
        """Mean and central 68 % interval (of a Gaussian: also the shortest)."""
        mean, scale = self._moments(output.double())
        mean, scale = mean * self.std + self.mean, scale * self.std
        half = scale * torch.special.ndtri(torch.tensor(0.5 + COVERAGE / 2, dtype=torch.float64))
        name = self.task.name
        columns = {
            f"{name}_pred": mean.cpu().numpy(),
            f"{name}_lo": (mean - half).cpu().numpy(),
            f"{name}_hi": (mean + half).cpu().numpy(),
        }
        if labels is not None:
            pit = torch.special.ndtr((labels - mean) / scale)
            columns |= {f"{name}_true": labels.cpu().numpy(), f"{name}_pit": pit.cpu().numpy()}
        return columns


class ValueHead(RegressionHead):
    """One number by mean squared error, in standard units of the train split.

    That is a Gaussian of that split's own width, whatever the spectrum: calibration on val gives it
    the width of the errors.
    """

    def __init__(self, task: Task, width: int, mean: float, std: float) -> None:
        super().__init__(task, width, mean, std)
        self.linear = small_linear(width, torch.zeros(1))

    def _moments(self, output: Tensor) -> tuple[Tensor, Tensor]:
        return output[:, 0], torch.ones_like(output[:, 0])


def answers(heads: Mapping[str, Head], pooled: Tensor, patches: Tensor) -> dict[str, Tensor]:
    """Raw outputs of all heads by task, those of classes with what the redshift says of them."""
    raw = {name: head(pooled, patches) for name, head in heads.items()}
    told = {
        name: head.by_redshift
        for name, head in heads.items()
        if isinstance(head, ClassificationHead) and head.by_redshift is not None
    }
    if told:
        density = next(raw[name] for name, head in heads.items() if isinstance(head, RedshiftHead))
        evidence = window_evidence(density)
        raw |= {name: raw[name] + layer(evidence) for name, layer in told.items()}
    return raw


def windows_told(tasks: Sequence[Task], settings: RedshiftBins) -> int:
    """Windows of the redshift's density that classes are told of; 0 without that task."""
    told = any(task.kind == "redshift" for task in tasks)
    return window_count(Bins.of(settings)) if told else 0


def create_heads(
    tasks: Sequence[Task],
    width: int,
    model: Model,
    stats: LabelStats,
    plots: tuple[Render, Grid, tuple[int, int]],
) -> dict[str, Head]:
    """Create each task's head, for tokens of this width from patches (height, width) of plots."""
    windows = 0 if model.redshift_head == "mse" else windows_told(tasks, model.redshift)
    return {task.name: _head(task, width, model, stats, plots, windows) for task in tasks}


def _head(
    task: Task,
    width: int,
    model: Model,
    stats: LabelStats,
    plots: tuple[Render, Grid, tuple[int, int]],
    windows: int,
) -> Head:
    if task.kind == "classification":
        return ClassificationHead(task, width, stats.counts[task.name], windows)
    if task.kind == "redshift" and model.redshift_head != "mse":
        bins = Bins.of(model.redshift)
        correlated = model.redshift_head == "correlation"
        return RedshiftHead(task, width, TokenLayout.of(*plots, bins) if correlated else None, bins)
    if task.kind == "redshift":
        return ValueHead(task, width, stats.mean[task.name], stats.std[task.name])
    return RegressionHead(task, width, stats.mean[task.name], stats.std[task.name])
