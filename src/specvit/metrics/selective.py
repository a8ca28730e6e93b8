"""Selective prediction: how wrong are the answers that remain when the least sure are refused."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from specvit.metrics.resample import Floats


@dataclass(frozen=True)
class Selective:
    """Answers of which those with at least some confidence are accepted.

    The threshold must come from other spectra than these (`threshold_for` the validation split's):
    chosen on the labels that it is judged by, its risk would be the target by construction.
    """

    confidence: Floats
    """(n,); a spectrum without one (nan) is refused."""
    wrong: Floats
    """(n,) 1 where the answer is an error or outlier, else 0."""
    threshold: float

    @property
    def accepted(self) -> NDArray[np.bool_]:
        """(n,) which answers are accepted."""
        return self.confidence >= self.threshold

    def order(self) -> NDArray[np.int64]:
        """Rows in the order in which `metrics` wants them (any)."""
        return np.arange(len(self.wrong))

    def metrics(self, rows: NDArray[np.int64], weights: Floats) -> dict[str, Floats]:
        """Share refused and risk (share of failures) among the accepted; each (b,).

        Coverage and selective risk of El-Yaniv & Wiener (2010); the risk is nan where none is
        accepted.
        """
        accepted = self.accepted[rows].astype(float)
        kept, failed = weights @ accepted, weights @ (accepted * self.wrong[rows])
        with np.errstate(invalid="ignore", divide="ignore"):
            return {
                "refused_at_target": 1 - kept / weights.sum(axis=1),
                "risk_at_target": failed / kept,
            }


def threshold_for(confidence: Floats, wrong: Floats, target: float) -> float:
    """Lowest confidence down to which the risk is at most `target`.

    Equal confidences are accepted together, since no threshold could part them. inf where even the
    most confident fail too often; -inf where nothing need be refused.
    """
    order = np.argsort(-np.nan_to_num(confidence, nan=-np.inf), kind="stable")
    ends = tie_ends(confidence[order])
    reached = np.cumsum(wrong[order])[ends] <= target * (ends + 1)
    if not reached.any():
        return float("inf")
    last = ends[np.flatnonzero(reached)[-1]]
    lowest = confidence[order][last]
    return -math.inf if last == len(order) - 1 else float(lowest)


def tie_ends(confidence: Floats) -> NDArray[np.int64]:
    """Index of the last of each run of equal confidences (falling, nan last)."""
    value = np.nan_to_num(confidence, nan=-np.inf)
    if len(value) == 0:
        return np.empty(0, dtype=np.int64)
    return np.append(np.flatnonzero(value[1:] != value[:-1]), len(value) - 1)


def risk_coverage(confidence: Floats, wrong: Floats) -> tuple[Floats, Floats]:
    """Coverage and risk at each threshold, from few accepted to all."""
    order = np.argsort(-np.nan_to_num(confidence, nan=-np.inf), kind="stable")
    ends = tie_ends(confidence[order])
    accepted = ends + 1.0
    return accepted / max(len(wrong), 1), np.cumsum(wrong[order])[ends] / accepted


def aurc(confidence: Floats, wrong: Floats) -> float:
    """Area under the risk-coverage curve: the mean risk over all coverages (Geifman et al. 2019).

    Inside a run of equal confidences the failures are spread evenly: what a random order among
    them gives on average, and so no gift to a model with few distinct confidences.
    """
    if len(wrong) == 0:
        return float("nan")
    order = np.argsort(-np.nan_to_num(confidence, nan=-np.inf), kind="stable")
    ends = tie_ends(confidence[order])
    run = np.diff(np.append(-1, ends))
    failed = np.diff(np.append(0.0, np.cumsum(wrong[order])[ends]))
    spread = np.repeat(failed / run, run)
    return float(np.mean(np.cumsum(spread) / np.arange(1, len(wrong) + 1)))
