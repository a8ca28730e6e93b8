"""Decisions by hash: the same text gets the same answer in every run, machine and order."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray


def hashes(seed: int, purpose: str, texts: Iterable[str]) -> NDArray[np.uint64]:
    """BLAKE2b of each text, 64 bits, keyed by seed and purpose (RFC 7693); shape (texts,).

    A standard hash, not one of numpy or pandas, so that a newer version of either does not move
    rows to another split.
    """
    key = f"{purpose}:{seed}".encode()

    def digest(text: str) -> int:
        value = hashlib.blake2b(text.encode(), digest_size=8, key=key).digest()
        return int.from_bytes(value, "big")

    return np.fromiter(map(digest, texts), np.uint64)


def uniform(values: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Hashes as numbers in [0, 1), with the 53 bits that a float holds."""
    return (values >> np.uint64(11)).astype(np.float64) * 2.0**-53
