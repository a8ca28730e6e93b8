"""Where test spectra lie in a network's embedding, kept beside its predictions for the explorer.

`predictions/map/<network>.parquet`, one row a spectrum: `spectrum_id`, `x` and `y` (along the two
directions in which embeddings of training spectra differ most), `novelty` (above 1: unlike anything
in training), `nearest` (ids of the nearest training spectra) and `distance` (to each of them).
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow as pa

from specvit.plan import Plan
from specvit.predictions import read_beside, write_beside

SCHEMA = pa.schema(
    [
        ("spectrum_id", pa.string()),
        ("x", pa.float32()),
        ("y", pa.float32()),
        ("novelty", pa.float32()),
        ("nearest", pa.list_(pa.string())),
        ("distance", pa.list_(pa.float32())),
    ]
)


def write_map(path: Path, frame: pd.DataFrame, plan: Plan, weights: str) -> None:
    """Write rows with the columns of SCHEMA; `weights` is the SHA-256 of the network's."""
    ordered = frame[SCHEMA.names].sort_values("spectrum_id", ignore_index=True)
    write_beside(path, ordered, SCHEMA, plan, weights)


def read_map(path: Path, plan: Plan, weights: str) -> pd.DataFrame:
    """The rows that `write_map` wrote; raises DataError as `read_beside`."""
    return read_beside(path, SCHEMA, plan, weights)
