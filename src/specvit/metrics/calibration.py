"""Calibration: are probabilities and intervals what they say, before and after a fit on val."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.stats import kstest

from specvit.metrics.classification import CALIBRATION_BINS, TINY, ClassScores, calibration_bin
from specvit.metrics.resample import Floats
from specvit.metrics.values import ValueScores
from specvit.predictions import COVERAGE
from specvit.tasks import ALL_CLASSES

# A temperature outside says that there is nothing to fit (no information).
TEMPERATURES = (0.05, 20.0)
LENT = 5.0
"""How many of a class's own spectra all others of val count as in its factor: 16 quasars say little
of how far theirs are off, but more than 100 stars do."""


def soften(prob: Floats, temperature: float) -> Floats:
    """Probabilities p^(1/T), made to sum to 1 again: softmax(logits / T) (Guo et al. 2017)."""
    logits = np.log(np.maximum(prob, TINY)) / temperature
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def fit_temperature(val: ClassScores) -> float:
    """Temperature with the smallest log loss on the validation split (Guo et al. 2017, sec. 4.2).

    1 where val has no labelled spectrum, or no wrong answer: its log loss would be least at
    certainty, and how sure the network may be is not known from answers that are all right.
    """
    if not val.wrong.any():
        return 1.0

    def loss(log_temperature: float) -> float:
        prob = soften(val.prob, float(np.exp(log_temperature)))
        of_true = np.take_along_axis(prob, val.true[:, None], axis=1)
        return float(-np.log(np.maximum(of_true, TINY)).mean())

    bounds = (np.log(TEMPERATURES[0]), np.log(TEMPERATURES[1]))
    found = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-6})
    return float(np.exp(found.x))


def calibrated(scores: ClassScores, temperature: float) -> ClassScores:
    """The same answers with softened probabilities."""
    return replace(scores, prob=soften(scores.prob, temperature))


def reliability(scores: ClassScores) -> dict[str, Floats]:
    """Reliability diagram: for each of 15 bins of confidence the count, mean confidence, accuracy.

    Mean and accuracy are nan in an empty bin (DeGroot & Fienberg 1983).
    """
    bins = calibration_bin(scores.confidence)
    count = np.bincount(bins, minlength=CALIBRATION_BINS).astype(float)
    confidence = np.bincount(bins, scores.confidence, minlength=CALIBRATION_BINS)
    right = np.bincount(bins, 1 - scores.wrong, minlength=CALIBRATION_BINS)
    with np.errstate(invalid="ignore"):
        return {"count": count, "confidence": confidence / count, "accuracy": right / count}


def pit_distance(pit: Floats) -> float:
    """Kolmogorov-Smirnov distance between PIT values and the uniform law; nan without any.

    The probability integral transform of a calibrated density is uniform (Dawid 1984).
    """
    known = pit[np.isfinite(pit)]
    return float(kstest(known, "uniform").statistic) if len(known) else float("nan")


def recalibrated_pit(pit: Floats, val_pit: Floats) -> Floats:
    """PIT after mapping each cumulative probability to its frequency on val (Kuleshov et al. 2018).

    Unchanged where val has no PIT values.
    """
    known = np.sort(val_pit[np.isfinite(val_pit)])
    if len(known) == 0:
        return pit
    # From (0, 0) to (1, 1), so that probabilities beyond the seen ones still have a place.
    level = np.concatenate([[0.0], known, [1.0]])
    share = np.concatenate([[0.0], np.arange(1, len(known) + 1) / (len(known) + 1), [1.0]])
    return np.where(np.isfinite(pit), np.interp(pit, level, share), np.nan)


def central_coverage(pit: Floats, levels: Floats) -> Floats:
    """Share of truths inside the central interval of each nominal probability, from PIT values."""
    value = pit[np.isfinite(pit)]
    if len(value) == 0:
        return np.full(len(levels), np.nan)
    distance = np.sort(np.abs(value - 0.5))
    return np.searchsorted(distance, levels / 2, side="right") / len(value)


def fit_interval_factor(val: ValueScores, weights: Floats | None = None) -> float:
    """Factor on both sides of the 68 % interval that makes it hold 68 % of val's truths.

    The quantile of |true - pred| in units of the interval's side that it lies on: conformal
    prediction with a normalised score (Lei et al. 2018, sec. 5.2), each spectrum counted `weights`
    times, (n,) (Tibshirani et al. 2019). nan where nothing can be fitted.
    """
    error = val.true - val.pred
    with np.errstate(invalid="ignore", divide="ignore"):
        side = np.where(error >= 0, val.high - val.pred, val.pred - val.low)
        score = np.abs(error) / side
    known = ~np.isnan(score)
    if not known.any():
        return float("nan")
    order = np.argsort(score[known], kind="stable")
    weight = np.ones(len(order)) if weights is None else weights[known][order]
    # The spectrum to come counts as one more, beyond all others.
    reached = weight.cumsum() >= COVERAGE * (weight.sum() + 1) - TINY
    rank = int(reached.argmax()) if reached.any() else len(order) - 1
    factor = float(score[known][order][rank])
    return factor if np.isfinite(factor) else float("nan")


def widened(scores: ValueScores, factor: float | Floats) -> ValueScores:
    """The same answers with both sides of their intervals multiplied, by one factor or (n,)."""
    low, high = stretched(scores.pred, scores.low, scores.high, factor)
    return replace(scores, low=low, high=high)


def stretched(
    pred: Floats, low: Floats, high: Floats, factor: float | Floats
) -> tuple[Floats, Floats]:
    """Ends of intervals (n,) with both sides multiplied, by one factor or (n,)."""
    return pred - (pred - low) * factor, pred + (high - pred) * factor


@dataclass(frozen=True)
class IntervalFactors:
    """Factors on 68 % intervals by the class that the model predicts beside the number.

    Over- and underconfidence differ by class, and one factor for all mends one class at the cost
    of another. By predicted class, since the true one is not known of a new spectrum (Mondrian
    conformal prediction, Vovk et al. 2005, sec. 4.5); the fewer spectra of a class val has, the
    more the others speak for it (LENT).
    """

    common: float
    """Fitted on all of val: for classes not in `by_class`; nan where nothing can be fitted."""
    by_class: dict[str, float]
    val: int
    """Spectra of val with an interval."""

    @classmethod
    def fit(cls, val: ValueScores) -> IntervalFactors:
        """Fit on the validation split."""
        val = val.only(np.isfinite(val.low) & np.isfinite(val.high))
        by_class = {}
        for label in ALL_CLASSES if val.predicted_class is not None else ():
            own = np.asarray(val.predicted_class == label)
            if own.any():
                lent = LENT / max((~own).sum(), 1)
                by_class[label] = fit_interval_factor(val, np.where(own, 1.0, lent))
        # Where a third of a class has no width at all, no factor widens it enough.
        fitted = {label: factor for label, factor in by_class.items() if np.isfinite(factor)}
        return cls(fit_interval_factor(val), fitted, len(val.true))

    def of(self, scores: ValueScores) -> Floats:
        """Each spectrum's factor, (n,)."""
        return self.by_predicted(scores.predicted_class, len(scores.pred))

    def by_predicted(self, classes: Iterable[str | None] | None, n: int) -> Floats:
        """The factor of each of n spectra, by the class predicted of it; None: no class is."""
        if classes is None:
            return np.full(n, self.common)
        factors: Mapping[Any, float] = self.by_class
        return np.array([factors.get(label, self.common) for label in classes], np.float64)
