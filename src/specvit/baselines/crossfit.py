"""Outputs for the train split from models that did not see the spectra they are of.

What turns a model's outputs into probabilities and intervals must not be fitted on val, which later
calibrates every model in the same way, nor on outputs for spectra that the model knows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

FOLDS = 5

Index = NDArray[np.intp]


def folds(strata: NDArray[Any], objects: NDArray[Any], seed: int) -> Iterator[tuple[Index, Index]]:
    """Rows to fit on and rows held out, (m,) and (n - m,), at most FOLDS times; by object.

    `strata` (n,) are the labels, of which each fold has its share. A label with fewer objects than
    folds is never held out, so that every part to fit on has every label. No row is held out twice;
    where nothing can be, there is no fold.
    """
    of_label = {label: len(set(objects[strata == label])) for label in set(strata.tolist())}
    kept = np.array([of_label[label] >= FOLDS for label in strata.tolist()], dtype=bool)
    rows = np.flatnonzero(kept)
    if not len(rows):
        return
    splitter = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
    for _, held in splitter.split(rows, strata[rows], objects[rows]):
        out = rows[held]
        rest = np.setdiff1d(np.arange(len(strata)), out)
        if len(out) and set(strata[rest].tolist()) == set(of_label):
            yield rest, out


def cross_fit(
    fit: Callable[[Index], Any],
    output: Callable[[Any, Index], NDArray[np.float64]],
    whole: Any,
    strata: NDArray[Any],
    objects: NDArray[Any],
    seed: int,
) -> NDArray[np.float64]:
    """Outputs (n, ...) for all rows, each of a model that was fitted without its object.

    `fit` makes a model from some rows, `output` applies one to some rows. Rows that `folds` never
    holds out get the output of `whole`, the model that was fitted on all.
    """
    outputs = output(whole, np.arange(len(strata)))
    for rest, held in folds(strata, objects, seed):
        outputs[held] = output(fit(rest), held)
    return outputs
