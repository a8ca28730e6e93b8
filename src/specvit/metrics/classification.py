"""Scores of a classification: from each spectrum's answer to metrics under any weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from specvit.metrics.resample import Floats
from specvit.predictions import prob_columns
from specvit.tasks import NONE, Task

CALIBRATION_BINS = 15
TINY = 1e-12  # probabilities of exactly 0 (trees give them) would make a log loss infinite


@dataclass(frozen=True)
class ClassScores:
    """Answers of one model to one classification task, for the spectra that have a label.

    A spectrum without an answer (`pred` = -1) counts as wrong.
    """

    labels: tuple[str, ...]
    true: NDArray[np.int64]
    """(n,) index of the true label."""
    pred: NDArray[np.int64]
    """(n,) index of the answer."""
    prob: Floats
    """(n, labels) probabilities."""

    @classmethod
    def of(cls, frame: pd.DataFrame, task: Task) -> ClassScores:
        """From a predictions table whose rows all have a label of this task."""
        index = {label: i for i, label in enumerate(task.labels)}
        true, pred = (
            frame[f"{task.name}_{part}"].map(index).fillna(-1).to_numpy(dtype=np.int64)
            for part in ("true", "pred")
        )
        prob: Floats = frame[prob_columns(task)].to_numpy(dtype=float)
        return cls(task.labels, true, pred, prob)

    @property
    def confidence(self) -> Floats:
        """(n,) probability of the most probable label."""
        highest: Floats = self.prob.max(axis=1)
        return highest

    @property
    def wrong(self) -> Floats:
        """(n,) 1 where the answer is wrong, else 0."""
        return np.where(self.true != self.pred, 1.0, 0.0)

    def order(self) -> NDArray[np.int64]:
        """Rows in the order in which `metrics` wants them (any, for a classification)."""
        return np.arange(len(self.true))

    def metrics(self, rows: NDArray[np.int64], weights: Floats) -> dict[str, Floats]:
        """Metrics over these rows under `weights` (b, rows); each of shape (b,), nan if undefined.

        - accuracy: share of right answers.
        - balanced_accuracy: mean recall over the classes present (Brodersen et al. 2010).
        - macro_f1: mean F1 over the classes present among labels or answers.
        - ece: sum over 15 equal bins of confidence of (share of spectra) |accuracy - mean
          confidence| (Guo et al. 2017, eq. 3); `score` takes off the bias that noise gives it.
        - nll: mean of -ln p(true label). brier: mean of sum (p - onehot)^2 (Brier 1950).
        - recall_<LABEL>, precision_<LABEL>.
        - With the label NONE: anything_purity, the share of spectra of something among those said
          to be; anything_completeness, the share said to be among those that are.

        The two averages over classes need at least two classes among the labels.
        """
        k = len(self.labels)
        sums = weights @ self._columns(rows)
        total, nll, brier = sums[:, 0], sums[:, 1], sums[:, 2]
        true, pred, hit = (sums[:, 3 + i * k : 3 + (i + 1) * k] for i in range(3))
        gaps = sums[:, 3 + 3 * k : 3 + 3 * k + CALIBRATION_BINS]
        with np.errstate(invalid="ignore", divide="ignore"):
            recall, precision = hit / true, hit / pred
            f1 = 2 * hit / (true + pred)
            several = (true > 0).sum(axis=1) > 1
            found = {
                "accuracy": hit.sum(axis=1) / total,
                "balanced_accuracy": np.where(several, _row_mean(recall), np.nan),
                "macro_f1": np.where(several, _row_mean(f1), np.nan),
                "ece": np.abs(gaps).sum(axis=1) / total,
                "nll": nll / total,
                "brier": brier / total,
            }
        for i, label in enumerate(self.labels):
            found[f"recall_{label}"] = recall[:, i]
            found[f"precision_{label}"] = precision[:, i]
        if NONE in self.labels:
            with np.errstate(invalid="ignore", divide="ignore"):
                found["anything_purity"] = sums[:, -1] / sums[:, -2]
                found["anything_completeness"] = sums[:, -1] / sums[:, -3]
        return found

    def _columns(self, rows: NDArray[np.int64]) -> Floats:
        """(rows, columns) of what the metrics are sums of."""
        true, pred, prob = self.true[rows], self.pred[rows], self.prob[rows]
        k = len(self.labels)
        onehot_true = np.equal.outer(true, np.arange(k)).astype(float)
        onehot_pred = np.equal.outer(pred, np.arange(k)).astype(float)
        of_true = np.take_along_axis(prob, true[:, None], axis=1)[:, 0]
        confidence = prob.max(axis=1, initial=0.0)
        gap = (
            np.equal.outer(calibration_bin(confidence), np.arange(CALIBRATION_BINS))
            * (((true == pred) - confidence)[:, None])
        )
        return np.column_stack(
            [
                np.ones(len(rows)),
                -np.log(np.maximum(of_true, TINY)),
                ((prob - onehot_true) ** 2).sum(axis=1),
                onehot_true,
                onehot_pred,
                onehot_true * onehot_pred,
                gap,
                *self._anything(rows),
            ]
        )

    def _anything(self, rows: NDArray[np.int64]) -> list[NDArray[np.bool_]]:
        """Where something is, is said to be, and both; nothing without the label NONE."""
        if NONE not in self.labels:
            return []
        none = self.labels.index(NONE)
        there, said = self.true[rows] != none, (self.pred[rows] != none) & (self.pred[rows] >= 0)
        return [there, said, there & said]


def _row_mean(values: Floats) -> Floats:
    """Mean of the finite values of each row, nan where there is none."""
    finite = np.isfinite(values)
    mean: Floats = np.where(finite, values, 0).sum(axis=1) / finite.sum(axis=1)
    return mean


def calibration_bin(confidence: Floats) -> NDArray[np.int64]:
    """Index of the bin (i / 15, (i + 1) / 15] that holds a confidence; 0 goes to the first."""
    position = np.ceil(confidence * CALIBRATION_BINS).astype(np.int64) - 1
    return np.clip(position, 0, CALIBRATION_BINS - 1)


def confusion(scores: ClassScores) -> NDArray[np.int64]:
    """(labels, labels) counts, a row a true label, a column an answer; no answer is left out."""
    k = len(scores.labels)
    answered = scores.pred >= 0
    code = scores.true[answered] * k + scores.pred[answered]
    return np.bincount(code, minlength=k * k).reshape(k, k)
