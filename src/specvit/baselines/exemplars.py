"""What the template baseline learns from: spectra of each class, good pixels, weights."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from specvit.baselines.eigen import Array, to_rest_frame
from specvit.baselines.features import normalise
from specvit.baselines.rows import Rows, known, labels_of
from specvit.errors import TrainingError
from specvit.logs import get_logger
from specvit.tasks import ALL_CLASSES, CLASSES, TASKS, tasks_of

MAX_SPECTRA = 1000  # train spectra behind a class's templates
MIN_SPECTRA = 10
MAX_VAL = 500
# Nothing has no redshift, and so no template: its rows are read and left.
CLASS = tasks_of(["class"], {"class": ALL_CLASSES})[0]
LONGEST_FILLED = 10  # pixels; longer gaps take no part in chi-square
MARGIN = 3  # pixels of shift searched beyond the train split's redshifts


def class_spectra(
    train: Rows, step: float, seed: int
) -> tuple[dict[str, tuple[Array, int]], dict[str, int]]:
    """Rest-frame spectra and last shift of each class; and classes with too few, by their count."""
    redshift = labels_of(train.table, TASKS["redshift"])
    labels = labels_of(train.table, CLASS)
    found: dict[str, tuple[Array, int]] = {}
    left_out: dict[str, int] = {}
    for label in CLASSES:
        rows = np.flatnonzero((labels == label) & np.isfinite(redshift))
        if len(rows) < MIN_SPECTRA:
            left_out[label] = len(rows)
            continue
        shift = np.log1p(redshift[rows]) / step
        first, last = math.floor(shift.min()) - MARGIN, math.ceil(shift.max()) + MARGIN
        if len(rows) > MAX_SPECTRA:
            kept = np.sort(np.random.default_rng(seed).choice(len(rows), MAX_SPECTRA, False))
            rows, shift = rows[kept], shift[kept]
        flux = normalise(train.flux[rows]).astype(np.float64)
        flux[~good_pixels(train.flux[rows])] = np.nan
        found[label] = (to_rest_frame(flux, shift, last, flux.shape[1] + last - first), last)
    if left_out:
        get_logger(__name__).warning("template: too few train spectra of %s", left_out)
    if not found:
        raise TrainingError(
            f"the template baseline needs {MIN_SPECTRA} train spectra of a class with redshifts"
        )
    return found, left_out


def pixel_weights(flux: NDArray[np.float32]) -> Array:
    """Inverse variance of each pixel over some spectra, mean 1, from second differences.

    A spectrum is smooth over three pixels and its noise is not: this needs no model.
    """
    rough = np.diff(flux.astype(np.float64), 2, axis=1) ** 2
    rough /= np.maximum(np.median(rough, axis=1, keepdims=True), 1e-12)
    variance = np.pad(np.median(rough, axis=0), 1, mode="edge")
    weight = 1 / np.maximum(variance, 0.01 * np.median(variance))
    return np.asarray(weight / weight.mean())


def good_pixels(flux: NDArray[Any]) -> NDArray[np.bool_]:
    """Pixels with data or in a gap short enough to be filled, (n, pixels)."""
    bad = ~np.isfinite(flux)
    for row in np.flatnonzero(bad.any(axis=1)):
        edges = np.flatnonzero(np.diff(np.pad(bad[row].astype(np.int8), 1)))
        for start, stop in zip(edges[::2], edges[1::2], strict=True):
            if stop - start <= LONGEST_FILLED:
                bad[row, start:stop] = False
    return np.asarray(~bad)


def matchable(val: Rows, classes: list[str], seed: int) -> Rows:
    """Val rows with class and redshift, at most MAX_VAL of them."""
    labels = labels_of(val.table, CLASS)
    usable = known(labels_of(val.table, TASKS["redshift"])) & np.isin(labels, classes)
    rows = np.flatnonzero(usable)
    if not len(rows):
        raise TrainingError("the template baseline needs val spectra with class and redshift")
    if len(rows) > MAX_VAL:
        rows = np.sort(np.random.default_rng(seed).choice(rows, MAX_VAL, replace=False))
    return val.take(rows)
