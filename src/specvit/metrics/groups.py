"""Groups of spectra in which metrics are also given: class, survey, S/N, redshift, subclass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from specvit.config.reporting import Evaluate
from specvit.tasks import ALL_CLASSES

OVERALL = ("all", "all")
SUBCLASSES = 10
"""The most frequent subclasses that are groups of their own; the others are counted together."""


@dataclass(frozen=True)
class Group:
    """Some rows of the predictions, by what they are chosen and their name."""

    by: str
    """all, class, survey, snr, z or subclass."""
    name: str
    mask: NDArray[np.bool_]
    low: float | None = None
    """Lower edge of a bin."""
    high: float | None = None
    """Upper edge of a bin."""


def make_groups(frame: pd.DataFrame, settings: Evaluate) -> list[Group]:
    """All groups that have rows; rows that no group of a kind takes are in one called `other`.

    Bins hold their lower edge, not their upper. Rows without the value are called `unknown`.
    """
    groups = [Group(*OVERALL, np.ones(len(frame), dtype=bool))]
    groups += _by_value(frame, "class", ALL_CLASSES)
    groups += _by_value(frame, "survey", sorted(frame["survey"].dropna().unique()))
    groups += _by_bin(frame, "snr", settings.snr_edges)
    groups += _by_bin(frame, "z", settings.z_edges)
    counts = frame["subclass"].value_counts()
    # By count, then by name: value_counts alone leaves the order of equal counts open.
    ranked = sorted(counts.index, key=lambda name: (-counts[name], name))
    groups += _by_value(frame, "subclass", ranked[:SUBCLASSES])
    return [group for group in groups if (group.by, group.name) == OVERALL or group.mask.any()]


def _by_value(frame: pd.DataFrame, column: str, names: Sequence[str]) -> list[Group]:
    groups = [Group(column, name, (frame[column] == name).to_numpy()) for name in names]
    return groups + _remainder(frame, column, groups)


def _by_bin(frame: pd.DataFrame, column: str, edges: Sequence[float]) -> list[Group]:
    value = frame[column].to_numpy(dtype=float)
    groups = [
        Group(column, f"{low:g} to {high:g}", (low <= value) & (value < high), low, high)
        for low, high in pairwise(edges)
    ]
    return groups + _remainder(frame, column, groups)


def _remainder(frame: pd.DataFrame, column: str, groups: list[Group]) -> list[Group]:
    unknown = frame[column].isna().to_numpy()
    taken = np.any([group.mask for group in groups], axis=0) if groups else np.zeros(1, dtype=bool)
    return [Group(column, "other", ~unknown & ~taken), Group(column, "unknown", unknown)]
