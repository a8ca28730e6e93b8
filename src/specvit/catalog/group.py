"""Which spectra are of one object: shared keys, and positions within an angle of one another."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

Pairs = NDArray[np.int64]

ROWS_A_STRIP = 500_000


def components(rows: int, pairs: Pairs) -> NDArray[np.int32]:
    """Label of each row's connected component, shape (rows,), for pairs of shape (m, 2)."""
    ones = np.ones(len(pairs), np.bool_)
    graph = coo_array((ones, (pairs[:, 0], pairs[:, 1])), shape=(rows, rows))
    labels: NDArray[np.int32] = connected_components(graph, directed=False)[1]
    return labels


def key_pairs(keys: NDArray[np.int64]) -> Pairs:
    """Pair each row with the next one that has the same key; 0 is no key."""
    order = np.argsort(keys, kind="stable")
    same = (keys[order][1:] == keys[order][:-1]) & (keys[order][1:] != 0)
    return np.stack([order[:-1][same], order[1:][same]], axis=1)


def unit_vectors(ra: NDArray[np.float64], dec: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points on the unit sphere, shape (rows, 3), from degrees."""
    lon, lat = np.radians(ra), np.radians(dec)
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=1)


def sky_pairs(ra: NDArray[np.float64], dec: NDArray[np.float64], arcsec: float) -> Pairs:
    """Pairs of rows closer than an angle on the sky; rows without a position have none.

    Strips of declination, each with a margin of the angle above it, keep memory flat: a tree over
    the chords between unit vectors (chord = 2 sin(angle / 2)) finds the pairs of one strip. A pair
    in the margin is found twice, which does not matter to what it connects.
    """
    there = np.flatnonzero(np.isfinite(ra) & np.isfinite(dec))
    order = there[np.argsort(dec[there], kind="stable")]
    sorted_dec = dec[order]
    angle = np.radians(arcsec / 3600)
    found = []
    for first in range(0, len(order), ROWS_A_STRIP):
        last = min(first + ROWS_A_STRIP, len(order)) - 1
        margin = sorted_dec[last] + 1.01 * arcsec / 3600
        end = int(np.searchsorted(sorted_dec, margin, side="right"))
        rows = order[first:end]
        tree = cKDTree(unit_vectors(ra[rows], dec[rows]))
        pairs = tree.query_pairs(2 * np.sin(angle / 2), output_type="ndarray")
        found.append(rows[pairs])
    return np.concatenate(found) if found else np.empty((0, 2), np.int64)


def first_of(labels: NDArray[np.int32]) -> NDArray[np.int64]:
    """For each row, the first row with its label; shape (rows,)."""
    _, first, places = np.unique(labels, return_index=True, return_inverse=True)
    result: NDArray[np.int64] = first[places]
    return result
