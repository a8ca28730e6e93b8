"""Metrics of several models in several groups, with intervals from draws that all share."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from specvit.metrics.groups import Group
from specvit.metrics.resample import Floats, interval, object_draws


class Scores(Protocol):
    """What can be scored: metrics of some rows under some weights."""

    def order(self) -> NDArray[np.int64]:
        """Rows in the order in which `metrics` wants them."""
        ...

    def metrics(self, rows: NDArray[np.int64], weights: Floats) -> dict[str, Floats]:
        """Metrics under each row of `weights` (b, rows)."""
        ...


@dataclass(frozen=True)
class Estimate:
    """A metric, its 95 % interval, and the bootstrap values behind it (nan: undefined)."""

    value: float
    samples: Floats

    @property
    def interval(self) -> tuple[float, float]:
        """Lower and upper end."""
        return interval(self.samples)

    @property
    def p_value(self) -> float:
        """Two-sided p-value of 0, from the draws' standard deviation under a normal law.

        The draws themselves resolve no p-value below 1 / samples, which a family of many
        comparisons needs. nan where there is no interval.
        """
        low, high = self.interval
        if not low < high:
            return math.nan
        return math.erfc(abs(self.value) / (float(np.nanstd(self.samples)) * math.sqrt(2)))

    def __sub__(self, other: Estimate) -> Estimate:
        """The paired difference: both have the same draws, draw by draw."""
        return Estimate(self.value - other.value, self.samples - other.samples)


Estimates = dict[tuple[str, str], dict[str, Estimate]]
"""For each group (by, name), its metrics."""


def score(
    models: Mapping[str, Scores],
    groups: Sequence[Group],
    objects: NDArray[np.int64],
    samples: int,
    seed: int,
) -> dict[str, Estimates]:
    """Score every model in every group.

    `objects` (n,) numbers the object of each row from 0. One draw of objects serves all groups
    and models: a group's share of a draw varies as it would in a new sample of the sky.
    """
    parts: dict[str, dict[tuple[str, str], list[dict[str, Floats]]]] = {
        name: {(group.by, group.name): [] for group in groups} for name in models
    }
    rows = {
        (name, group.by, group.name): order[group.mask[order]]
        for name, order in ((name, scores.order()) for name, scores in models.items())
        for group in groups
    }
    n_objects = int(objects.max(initial=-1)) + 1
    # The first batch is the data themselves: the value and its draws come by the same way.
    for draws in chain([np.ones((1, n_objects))], object_draws(n_objects, samples, seed)):
        for group in groups:
            for name, scores in models.items():
                chosen = rows[name, group.by, group.name]
                found = scores.metrics(chosen, draws[:, objects[chosen]])
                parts[name][group.by, group.name].append(found)
    return {
        name: {key: _joined(found) for key, found in by_group.items()}
        for name, by_group in parts.items()
    }


def _joined(parts: list[dict[str, Floats]]) -> dict[str, Estimate]:
    estimates = {}
    for metric in parts[0]:
        value = float(parts[0][metric][0])
        samples = np.concatenate([part[metric] for part in parts[1:]])
        if metric == "ece":
            value, samples = unbiased(value, samples)
        estimates[metric] = Estimate(value, samples)
    return estimates


def unbiased(value: float, samples: Floats) -> tuple[float, Floats]:
    """A distance from 0 and its bootstrap values, less the bias that noise gives it.

    Noise in the bins makes any ECE too large, by about as much as the draws' exceeds the data's
    (Efron & Tibshirani 1993, ch. 10). The value is one such excess above the truth, the draws,
    which have the data's noise and their own, are two: both are put back, and none below 0.
    """
    defined = samples[np.isfinite(samples)]
    excess = float(defined.mean()) - value if len(defined) else 0.0
    return max(value - excess, 0.0), np.maximum(samples - 2 * excess, 0.0)


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values of a family, adjusted so that one in twenty families has one at 0.05 by chance.

    Holm (1979): the k-th smallest of m is multiplied by m - k + 1, and none is below a smaller one.
    """
    p = np.asarray(p_values, dtype=float)
    order = np.argsort(p)
    adjusted = np.empty(len(p))
    adjusted[order] = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    return [float(value) for value in np.minimum(adjusted, 1.0)]
