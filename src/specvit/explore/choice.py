"""Which spectra a page has room for: failures first, then others at random."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from specvit.catalog.hashing import hashes, uniform
from specvit.metrics.answers import answers, worst
from specvit.tasks import Task

Rows = NDArray[np.int64]
FAIL = ("classification", "redshift")
"""Kinds of tasks of which an answer is right or wrong."""


def failures(frame: pd.DataFrame, tasks: Sequence[Task]) -> Rows:
    """Rows with a wrong answer to any task, those that the model was most sure of first."""
    ranked = []
    for task in tasks:
        if task.kind in FAIL and answers(frame, task):
            rows = np.flatnonzero(frame[f"{task.name}_true"].notna())
            ranked += list(enumerate(rows[worst(frame, task, len(frame))]))
    ranked.sort(key=lambda pair: pair[0])
    return np.fromiter(dict.fromkeys(row for _, row in ranked), np.int64)


def first_rows(failed: Rows, ids: Sequence[str], most: int, seed: int) -> Rows:
    """Up to `most` rows of these spectra: failures on up to half of the places, then at random.

    The same spectra each time: chance is a hash of seed and name.
    """
    shuffled = np.argsort(uniform(hashes(seed, "explore", ids)), kind="stable")
    first = failed[: max(most // 2, most - len(ids) + len(failed))]
    return np.concatenate([first, shuffled[~np.isin(shuffled, first)]])[:most].astype(np.int64)
