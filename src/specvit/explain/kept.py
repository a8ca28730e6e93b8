"""Relevance for a run's failures, kept beside its predictions: what the report draws.

`predictions/relevance/<network>.parquet`, one row a spectrum and task: `spectrum_id`, `task`,
`low` and `high` (ends of the range, observed Angstrom), `relevance` (list of float32, adding up to
1): how much equal parts of the range in log-wavelength speak for the answer that was given.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from specvit.plan import Plan
from specvit.predictions import read_beside, write_beside

SCHEMA = pa.schema(
    [
        ("spectrum_id", pa.string()),
        ("task", pa.string()),
        ("low", pa.float64()),
        ("high", pa.float64()),
        ("relevance", pa.list_(pa.float32())),
    ]
)


@dataclass(frozen=True)
class Relevance:
    """Where a network looked in one spectrum, for one task."""

    edges: NDArray[np.float64]
    """Edges of the windows, observed Angstrom, (windows + 1,)."""
    share: NDArray[np.float64]
    """(windows,), adding up to 1; all 0 where nothing speaks for the answer."""


def write_relevance(path: Path, frame: pd.DataFrame, plan: Plan, weights: str) -> None:
    """Write rows with the columns of SCHEMA; `weights` is the SHA-256 of the network's."""
    write_beside(path, frame, SCHEMA, plan, weights)


def read_relevance(path: Path, plan: Plan, weights: str) -> dict[tuple[str, str], Relevance]:
    """By spectrum_id and task, what is kept; raises DataError as `read_beside`."""
    return {
        (row.spectrum_id, row.task): Relevance(
            np.geomspace(row.low, row.high, len(row.relevance) + 1),
            np.asarray(row.relevance, np.float64),
        )
        for row in read_beside(path, SCHEMA, plan, weights).itertuples()
    }
