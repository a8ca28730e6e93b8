"""The table of what was cut and what is left: by survey, class and split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from specvit.catalog.ladder import Ladder
from specvit.config import Config
from specvit.io import csv_text
from specvit.paths import SPLITS
from specvit.tasks import ALL_CLASSES, CLASSES

HEADER = ("survey", "row", "removed", "total", *SPLITS)
NO_CLASS = "no class"


class Counts:
    """Rows and objects counted while the catalogue is written."""

    def __init__(self) -> None:
        self.rows: Counter[tuple[str, str, str]] = Counter()
        self.objects: dict[str, list[int]] = {}
        """Objects of a kind in each split."""

    def add(self, survey: str, table: pa.Table) -> None:
        """Count the rows of a piece by class and split."""
        frame = table.select(["class", "split"]).to_pandas()
        for (class_, split), count in frame.fillna(NO_CLASS).value_counts().items():
            self.rows[survey, class_, split] += int(count)

    def by_split(self, survey: str | None = None, class_: str | None = None) -> list[int]:
        """Rows of each split, of one survey or class or of all."""
        return [
            sum(
                count
                for (s, c, p), count in self.rows.items()
                if p == split and survey in (None, s) and class_ in (None, c)
            )
            for split in SPLITS
        ]

    def sentence(self) -> str:
        """The totals in words."""
        rows, objects = self.by_split(), self.objects["objects"]
        parts = ", ".join(f"{count} {split}" for count, split in zip(rows, SPLITS, strict=True))
        return f"{sum(rows)} spectra of {sum(objects)} objects ({parts})"


def stats_csv(counts: Counts, config: Config) -> str:
    """Each survey's cuts and what is left of it, then all surveys together, as CSV.

    `total` is what remains after a cut, or the rows of a class; `removed` is empty but for cuts,
    the splits are empty for cuts.
    """
    rows: list[Sequence[Any]] = []
    for key in config.surveys.active:
        cuts = Ladder.read(config.paths.survey_cuts(key), key).steps
        rows += [[key, cut.name, cut.removed, cut.left, *[""] * len(SPLITS)] for cut in cuts]
        for class_ in (*ALL_CLASSES, NO_CLASS):
            splits = counts.by_split(key, class_)
            if sum(splits) or class_ in CLASSES:
                rows.append([key, class_, "", sum(splits), *splits])
        splits = counts.by_split(key)
        rows.append([key, "spectra", "", sum(splits), *splits])
    for class_ in ALL_CLASSES:
        splits = counts.by_split(class_=class_)
        if sum(splits) or class_ in CLASSES:
            rows.append(["all", class_, "", sum(splits), *splits])
    splits = counts.by_split()
    rows.append(["all", "spectra", "", sum(splits), *splits])
    for name, splits in counts.objects.items():
        rows.append(["all", name, "", sum(splits), *splits])
    return csv_text(HEADER, rows)
