"""The flux vectors of shards, from their bytes."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from specvit.errors import DataError


def parse_npy(data: bytes, path: Path) -> NDArray[np.float16]:
    """One float16 vector of a .npy file's bytes, faster than numpy's own reader."""
    try:
        if data[:6] != b"\x93NUMPY" or data[6] not in (1, 2):
            raise ValueError("these are not the bytes of a .npy file")
        width = 2 if data[6] == 1 else 4
        end = 8 + width + int.from_bytes(data[8 : 8 + width], "little")
        count = _pixels(data[8 + width : end])
        return np.frombuffer(data, np.float16, count=count, offset=end)
    except (ValueError, SyntaxError, KeyError, IndexError, TypeError) as error:
        raise DataError(f"{path}: a flux array cannot be read: {error}") from error


@cache  # all spectra of a run have the same header
def _pixels(header: bytes) -> int:
    value = ast.literal_eval(header.decode("latin1"))
    shape = value["shape"]
    if value["descr"] != "<f2" or len(shape) != 1:
        raise ValueError(f"it holds {value['descr']} of shape {shape}, not a float16 vector")
    return int(shape[0])
