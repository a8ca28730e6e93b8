"""What a baseline predicts, as distributions, and the prediction file's columns made of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from specvit.predictions import prob_columns
from specvit.tasks import Task

LEVELS = np.linspace(0, 1, 101)
"""Cumulative probabilities at which the distribution of a number is given."""
LOW, MIDDLE, HIGH = 16, 50, 84  # positions in LEVELS of the central 68 % interval and the median

Array = NDArray[np.float64]
Columns = dict[str, NDArray[Any]]


class Distribution(Protocol):
    """What is predicted of one task for n spectra."""

    def columns(self, task: Task, truth: NDArray[Any]) -> Columns:
        """The task's columns; the truth (n,) is copied, and used for the PIT only."""


@dataclass(frozen=True)
class Classes:
    """Probability of each label, (n, labels), summing to 1; the prediction is the largest."""

    prob: Array

    def columns(self, task: Task, truth: NDArray[Any]) -> Columns:
        """Truth, prediction and probabilities."""
        single = self.prob.astype(np.float32)
        names = np.array(task.labels, dtype=object)
        return {
            f"{task.name}_true": truth,
            f"{task.name}_pred": names[single.argmax(axis=1)],
            **{column: single[:, i] for i, column in enumerate(prob_columns(task))},
        }


@dataclass(frozen=True)
class Numbers:
    """A value and its distribution, both in target space (ln(1+z) for redshift)."""

    value: Array
    """(n,)"""
    quantiles: Array
    """(n, len(LEVELS)), not falling along a row."""

    def columns(self, task: Task, truth: NDArray[Any]) -> Columns:
        """Truth, prediction, central 68 % interval (widened to hold the prediction) and PIT."""
        low = np.minimum(self.quantiles[:, LOW], self.value)
        high = np.maximum(self.quantiles[:, HIGH], self.value)
        return {
            f"{task.name}_true": truth,
            f"{task.name}_pred": from_target(task, self.value),
            f"{task.name}_lo": from_target(task, low),
            f"{task.name}_hi": from_target(task, high),
            f"{task.name}_pit": cumulative(self.quantiles, to_target(task, truth)),
        }


def to_target(task: Task, values: NDArray[Any]) -> Array:
    """What a model learns in place of a label: ln(1+z) for a redshift, else the number itself."""
    return np.log1p(values) if task.kind == "redshift" else np.asarray(values, np.float64)


def from_target(task: Task, values: Array) -> Array:
    """Undo `to_target`."""
    return np.expm1(values) if task.kind == "redshift" else values


def cumulative(quantiles: Array, values: Array) -> Array:
    """Cumulative probability at each value (n,), from quantiles (n, len(LEVELS)); nan for nan.

    Where several quantiles equal the value (a jump), the middle of the jump.
    """
    below = (quantiles < values[:, None]).sum(axis=1)
    upto = (quantiles <= values[:, None]).sum(axis=1)
    last = len(LEVELS) - 1
    left, right = np.clip(below - 1, 0, last), np.clip(below, 0, last)
    row = np.arange(len(values))
    step = quantiles[row, right] - quantiles[row, left]
    share = np.divide(values - quantiles[row, left], step, out=np.zeros(len(step)), where=step > 0)
    between = LEVELS[left] + np.clip(share, 0, 1) * (LEVELS[right] - LEVELS[left])
    jump = (LEVELS[np.clip(below, 0, last)] + LEVELS[np.clip(upto - 1, 0, last)]) / 2
    result = np.where(upto > below, jump, between)
    return np.where(np.isnan(values), np.nan, result)


def residual_table(predicted: Array, residuals: Array, min_rows: int = 50) -> tuple[Array, Array]:
    """Quantiles of val residuals in bins of the predicted value: edges (b - 1,), table (b, levels).

    Errors differ by what is predicted (a star's redshift and a quasar's), so each bin, of at least
    `min_rows` where there are as many, keeps its own.
    """
    bins = int(np.clip(len(predicted) // min_rows, 1, 20))
    edges = np.quantile(predicted, np.linspace(0, 1, bins + 1)[1:-1])
    at = np.searchsorted(edges, predicted, side="right")
    table = [
        np.quantile(residuals[at == i] if (at == i).any() else residuals, LEVELS)
        for i in range(bins)
    ]
    return edges, np.array(table)


def with_residuals(predicted: Array, edges: Array, table: Array) -> Numbers:
    """A prediction with the distribution of val residuals of its bin around it."""
    at = np.searchsorted(edges, predicted, side="right")
    return Numbers(predicted, predicted[:, None] + table[at])


def weighted_quantiles(values: Array, weights: Array) -> Array:
    """Quantiles at LEVELS of each row of values (n, m) with weights (n, m): (n, len(LEVELS)).

    The cumulative probability at a value is the weight below it plus half its own (Hazen).
    """
    order = np.argsort(values, axis=1, kind="stable")
    values = np.take_along_axis(values, order, axis=1)
    weights = np.take_along_axis(weights, order, axis=1)
    below = np.cumsum(weights, axis=1) - weights / 2
    below /= weights.sum(axis=1, keepdims=True)
    return np.array([np.interp(LEVELS, p, v) for p, v in zip(below, values, strict=True)]).reshape(
        len(values), len(LEVELS)
    )
