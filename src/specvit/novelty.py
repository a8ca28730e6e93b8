"""How unlike anything in training a spectrum is, from a network's embeddings; and what is nearest.

The score is the Mahalanobis distance of an embedding to the nearest class mean, with one covariance
for all classes (Lee et al. 2018), shrunk as there are few spectra for so many dimensions (Ledoit &
Wolf 2004). `python -m benchmarks novelty` compares it with the distance to the k-th nearest
training spectrum (Sun et al. 2022).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from specvit.errors import DataError
from specvit.io import atomic_open
from specvit.logs import get_logger

NAME = "novelty.safetensors"
MOST = 2000
"""Training spectra that are kept, and spectra of val that the threshold is taken from."""
QUANTILE = 0.99
"""Share of val below the threshold."""
FEW = 20
"""Training spectra, or spectra of val, from which it can be said what is unlike them."""
NEIGHBOURS = 3
"""Nearest training spectra that are kept of each test spectrum."""
TINY = 1e-12
NONE = ""  # the class of a spectrum without one
COLUMNS = ("spectrum_id", "class", "z")

Floats = NDArray[np.float64]
log = get_logger(__name__)


@dataclass(frozen=True)
class Novelty:
    """What the embeddings of training spectra are like; d is their dimension."""

    means: Floats
    """(classes, d)."""
    whitening: Floats
    """(d, d), lower triangular: its product with its transpose is the inverse covariance."""
    threshold: float
    """Distance that QUANTILE of val does not reach."""
    embeddings: NDArray[np.float16]
    """Of at most MOST training spectra, (n, d)."""
    rows: pd.DataFrame
    """Those spectra: `spectrum_id`, `class`, `z`."""
    weights: str
    """Hash of the weights that gave the embeddings."""

    @classmethod
    def fit(cls, train: Floats, rows: pd.DataFrame, val: Floats, weights: str) -> Self:
        """Fit on embeddings of training spectra (n, d) and of val (m, d).

        `rows` describes the training spectra. Where either are fewer than FEW nothing is unlike
        them: the threshold is infinite.
        """
        kept = train.astype(np.float16)
        means, whitening = gaussians(kept.astype(np.float64), rows["class"].fillna(NONE))
        threshold = np.inf
        if min(len(train), len(val)) >= FEW:
            threshold = float(np.quantile(_distances(val, means, whitening), QUANTILE))
        else:
            log.warning(
                "%d and %d spectra are too few to say what is unlike them", *map(len, (train, val))
            )
        return cls(means, whitening, threshold, kept, rows.reset_index(drop=True), weights)

    def score(self, embeddings: Floats) -> Floats:
        """Distance to the nearest class over the threshold, (n,): above 1, unlike anything."""
        return _distances(embeddings, self.means, self.whitening) / self.threshold

    def nearest(self, embedding: Floats, count: int) -> pd.DataFrame:
        """The nearest of the kept training spectra to an embedding (d,), nearest first.

        Columns: `spectrum_id`, `class`, `z`, `distance` (Mahalanobis).
        """
        (order,), (distance,) = self._neighbours(embedding[None], count)
        return self.rows.iloc[order].reset_index(drop=True).assign(distance=distance)

    def describe(self, embeddings: Floats, count: int = NEIGHBOURS) -> pd.DataFrame:
        """Columns of `specvit.embedding_map` but the name, one row an embedding (n, d)."""
        x, y = ((embeddings - self._kept.mean(axis=0)) @ self._directions.T).T
        order, distance = self._neighbours(embeddings, count)
        nearest = self.rows["spectrum_id"].to_numpy()[order]
        return pd.DataFrame(
            {
                "x": x,
                "y": y,
                "novelty": self.score(embeddings),
                "nearest": list(nearest),
                "distance": list(distance),
            }
        )

    @cached_property
    def _kept(self) -> Floats:
        return self.embeddings.astype(np.float64)

    @cached_property
    def _white(self) -> Floats:
        return self._kept @ self.whitening

    @cached_property
    def _directions(self) -> Floats:
        """The two directions in which training spectra differ most, (2, d): principal components.

        A direction's sign is free: its largest part is made positive.
        """
        _, _, rows = np.linalg.svd(self._kept - self._kept.mean(axis=0), full_matrices=False)
        two = np.zeros((2, rows.shape[1]))
        two[: len(rows)] = rows[:2]
        largest = np.take_along_axis(two, np.abs(two).argmax(axis=1)[:, None], axis=1)
        return np.where(largest < 0, -two, two)

    def _neighbours(self, embeddings: Floats, count: int) -> tuple[NDArray[np.int64], Floats]:
        """Rows of the nearest kept spectra and Mahalanobis distances to them, both (n, count)."""
        from scipy.spatial.distance import cdist

        distance = cdist(embeddings @ self.whitening, self._white)
        order = np.argsort(distance, axis=1, kind="stable")[:, :count]
        return order, np.take_along_axis(distance, order, axis=1)

    def write(self, path: Path) -> None:
        """Write it as safetensors; the same values give the same bytes."""
        from safetensors.numpy import save

        about = {
            "weights": self.weights,
            "rows": json.loads(self.rows.to_json(orient="split", index=False, double_precision=6)),
        }
        tensors: dict[str, NDArray[Any]] = {
            "embeddings": self.embeddings,
            "means": self.means.astype(np.float32),
            "whitening": self.whitening.astype(np.float32),
            "threshold": np.array(self.threshold),
        }
        data = save(tensors, {"novelty": json.dumps(about, sort_keys=True)})
        with atomic_open(path) as handle:
            handle.write(data)

    @classmethod
    def read(cls, folder: Path, weights: str) -> Self | None:
        """Of a model's folder, if it was fitted for these weights; None where there is none.

        Raises DataError where it is damaged.
        """
        from safetensors import SafetensorError, safe_open

        path = folder / NAME
        if not path.exists():
            return None
        try:
            with safe_open(path, "numpy") as file:
                about: dict[str, Any] = json.loads(file.metadata()["novelty"])
                means, whitening, threshold, kept = (
                    file.get_tensor(name)
                    for name in ("means", "whitening", "threshold", "embeddings")
                )
            found = cls(
                means.astype(np.float64),
                whitening.astype(np.float64),
                float(threshold),
                kept,
                pd.DataFrame(about["rows"]["data"], columns=about["rows"]["columns"]),
                str(about["weights"]),
            )
        except (SafetensorError, OSError, LookupError, TypeError, ValueError) as error:
            raise DataError(f"{path} cannot be read ({error}): predict-split makes it") from error
        if found.weights != weights:
            log.warning("%s was fitted for another training of it: nothing is flagged by it", path)
            return None
        return found


def gaussians(train: Floats, classes: Sequence[str]) -> tuple[Floats, Floats]:
    """Means of classes (classes, d), and the whitening (d, d) of what is around them."""
    from sklearn.covariance import ledoit_wolf

    names, member = np.unique(np.asarray(classes, dtype=str), return_inverse=True)
    means = np.stack([train[member == k].mean(axis=0) for k in range(len(names))])
    covariance, _ = ledoit_wolf(train - means[member], assume_centered=True)
    # A dimension that never moves has no inverse.
    covariance += (1e-6 * np.trace(covariance) / len(covariance) + TINY) * np.eye(len(covariance))
    return means, np.linalg.cholesky(np.linalg.inv(covariance))


def _distances(embeddings: Floats, means: Floats, whitening: Floats) -> Floats:
    white, centres = embeddings @ whitening, means @ whitening
    each = [np.linalg.norm(white - centre, axis=1) for centre in centres]
    return np.asarray(np.min(each, axis=0))
