"""Rows whose spectra are in one file: dealt to one shard, whose job then fetches it once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from specvit.paths import SPLITS
from specvit.surveys.survey import Shared

ALONE = -1


class Files:
    """The files that rows share, numbered as they come."""

    def __init__(self) -> None:
        self._numbers: dict[Shared, int] = {}

    def numbers(
        self, paths: Iterable[str], shared: Callable[[str], Shared | None]
    ) -> NDArray[np.int32]:
        """Number of the file of each path, ALONE where it shares none."""

        def number(path: str) -> int:
            file = shared(path)
            return ALONE if file is None else self._numbers.setdefault(file, len(self._numbers))

        return np.fromiter(map(number, paths), np.int32)

    def worthwhile(self, file: NDArray[np.int32], split: NDArray[np.int8]) -> NDArray[np.int32]:
        """`file`, but ALONE where a split has too few rows of it; all of shape (rows,)."""
        worth = np.array([one.worth for one in self._numbers], np.int64)
        place = file.astype(np.int64) * len(SPLITS) + split
        shares = file != ALONE
        counts = np.bincount(place[shares], minlength=len(worth) * len(SPLITS))
        enough = shares.copy()
        enough[shares] = counts[place[shares]] >= worth[file[shares]]
        return np.where(enough, file, np.int32(ALONE))

    def keys(self, file: NDArray[np.int32], names: Iterable[str]) -> Iterator[str]:
        """What each row is dealt by: the path of its file, or its name where it is ALONE."""
        paths = [one.path for one in self._numbers]
        for number, name in zip(file.tolist(), names, strict=True):
            yield name if number == ALONE else paths[number]


def dealt(file: NDArray[np.int32], split: NDArray[np.int8]) -> dict[str, int]:
    """How many files and lone rows each split has to deal."""
    counts = {}
    for code, name in enumerate(SPLITS):
        here = file[split == code]
        counts[name] = int((here == ALONE).sum()) + len(np.unique(here[here != ALONE]))
    return counts
