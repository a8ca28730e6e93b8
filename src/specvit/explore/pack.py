"""Columns and spectra as a page carries them: typed arrays in base64, little-endian.

A column is `{"type", "data"}`; one of text has `labels` besides, and its data are places in them.
"""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

NULL = 65535
"""Place of what has no label."""
LEVELS = 65534
"""Of a packed flux, above 0, which stands for no data."""

Packed = dict[str, Any]


def numbers(values: ArrayLike) -> Packed:
    """A column of float32; nan stays nan."""
    return {"type": "f4", "data": _text(np.asarray(values, dtype="<f4"))}


def labels(values: pd.Series) -> Packed:
    """A column of text, of fewer than NULL different ones."""
    places, found = pd.factorize(values, sort=True)
    packed = np.where(places < 0, NULL, places).astype("<u2")
    return {"type": "u2", "data": _text(packed), "labels": [str(label) for label in found]}


def flux(values: NDArray[np.float64]) -> Packed:
    """A spectrum in LEVELS steps between its least and largest flux; 0 where it has no data."""
    known = np.isfinite(values)
    low, high = (values[known].min(), values[known].max()) if known.any() else (0.0, 1.0)
    span = (high - low) or 1.0
    steps = np.where(known, 1 + np.round((values - low) / span * (LEVELS - 1)), 0)
    return {"low": float(low), "span": float(span), "data": _text(steps.astype("<u2"))}


def binary(data: bytes) -> str:
    """Bytes as base64."""
    return base64.b64encode(data).decode("ascii")


def _text(array: NDArray[Any]) -> str:
    return binary(np.ascontiguousarray(array).tobytes())
