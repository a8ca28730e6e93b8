"""Random generators keyed by what they draw, so that no draw depends on the order of reading."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Structured = NDArray[np.void]
Generator = np.random.Generator


def generator(seed: int, *key: str | int) -> Generator:
    """Return the generator of one purpose or thing: the same for the same seed and key."""
    text = "/".join(str(part) for part in (seed, *key))
    digest = hashlib.sha256(text.encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "little")))
