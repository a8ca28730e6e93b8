"""Selective prediction: how wrong are the answers that remain when the least sure are refused."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from specvit.metrics.resample import Floats


@dataclass(frozen=True)
class Selective:
    """Confidence and failure of each answer; spectra are accepted from the most confident down.

    A spectrum without a confidence (nan) is refused first. Equal confidences are accepted
    together, since no threshold could part them.
    """

    confidence: Floats
    wrong: Floats
    """(n,) 1 where the answer is an error or outlier, else 0."""
    target: float
    """Risk that has to be reached."""

    def order(self) -> NDArray[np.int64]:
        """Rows from the most confident to the least."""
        return np.argsort(-np.nan_to_num(self.confidence, nan=-np.inf), kind="stable")

    def metrics(self, rows: NDArray[np.int64], weights: Floats) -> dict[str, Floats]:
        """Return `coverage_at_target`, (b,): largest share accepted at a risk up to the target.

        The risk at a threshold is the share of failures among the accepted (El-Yaniv & Wiener
        2010). 0 where even the most confident answers fail too often. `rows` as in `order`.
        """
        ends = tie_ends(self.confidence[rows])
        accepted = np.cumsum(weights, axis=1)[:, ends]
        failed = np.cumsum(weights * self.wrong[rows], axis=1)[:, ends]
        total = weights.sum(axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            kept = np.where(failed <= self.target * accepted, accepted, 0.0)
            return {"coverage_at_target": kept.max(axis=1, initial=0.0) / total}


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
