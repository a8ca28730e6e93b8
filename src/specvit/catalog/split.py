"""Split by object and deal to shards, by hash: stable when rows are added."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from specvit.catalog.hashing import hashes, uniform
from specvit.config.data import Split
from specvit.errors import DataError
from specvit.paths import SPLITS, shard_name

MIN_FILL = 8  # rows a shard needs on average before one of them is likely to get none


def split_codes(seed: int, object_ids: Iterable[str], settings: Split) -> NDArray[np.int8]:
    """Position in SPLITS for each object, from a hash of (seed, object_id) alone.

    Every class is split in the same proportions, since the hash knows nothing of it; exactly so in
    the limit of many objects, as shares of a class scatter by 1 / sqrt(its objects).
    """
    place = uniform(hashes(seed, "split", object_ids))
    train, val, test = (SPLITS.index(name) for name in ("train", "val", "test"))
    codes = np.full(len(place), train, np.int8)
    codes[place < settings.test_fraction + settings.val_fraction] = val
    codes[place < settings.test_fraction] = test
    return codes


def shard_codes(
    seed: int, keys: Iterable[str], splits: NDArray[np.int8], settings: Split
) -> NDArray[np.int32]:
    """Number of the shard within its split for each spectrum, from a hash of (seed, key).

    The key is its spectrum_id, or the path of a file that spectra are to be fetched in together.
    So what a split has is dealt at random, and each shard is a fair sample of it.
    """
    counts = np.array([settings.shards.of(name) for name in SPLITS], np.uint64)
    return (hashes(seed, "shard", keys) % counts[splits]).astype(np.int32)


def check_filled(counts: dict[str, NDArray[np.int64]], dealt: dict[str, int]) -> None:
    """Raise DataError where a split or a shard would be empty.

    `counts` are the rows of each shard, `dealt` what a split had to deal: rows or files.
    """
    total = sum(int(rows.sum()) for rows in counts.values())
    for name, rows in counts.items():
        filled = int(rows.sum())
        if not filled:
            raise DataError(
                f"the {name} split would be empty: {total} spectra are too few; select more, or "
                f"raise split.{name}_fraction"
                if name != "train"
                else f"the train split would be empty: {total} spectra are too few; select more"
            )
        if not rows.all():
            empty = shard_name(name, int(np.flatnonzero(rows == 0)[0]))
            files = f", {dealt[name]} with those of a file as one," * (dealt[name] < filled)
            raise DataError(
                f"shard {empty} would be empty: {filled} spectra of the {name} split{files} are "
                f"dealt to {len(rows)} shards; set split.shards.{name} to at most "
                f"{max(dealt[name] // MIN_FILL, 1)}, or select more"
            )
