"""The table of a survey's cuts, as it is written beside its rows and read for tables and report."""

from __future__ import annotations

import csv
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from specvit.errors import DataError
from specvit.io import csv_text

HEADER = ["cut", "before", "removed", "after"]


class Rung(NamedTuple):
    """One cut that was made."""

    name: str
    before: int
    """Rows before it."""
    left: int
    """Rows after it."""

    @property
    def removed(self) -> int:
        """Rows that it removed."""
        return self.before - self.left


@dataclass
class Ladder:
    """What each cut removed, in the order in which they were made."""

    steps: list[Rung] = field(default_factory=list)

    def add(self, name: str, before: int, after: int) -> None:
        """Note one cut."""
        self.steps.append(Rung(name, before, after))

    def as_csv(self) -> str:
        """Columns cut, before, removed, after."""
        return csv_text(
            HEADER, [(rung.name, rung.before, rung.removed, rung.left) for rung in self.steps]
        )

    @classmethod
    def read(cls, path: Path, survey: str) -> Ladder:
        """Read what `as_csv` wrote; DataError where it is missing or broken."""
        try:
            with path.open(newline="", encoding="utf-8") as handle:
                rows = list(csv.DictReader(handle))
            return cls([Rung(row["cut"], int(row["before"]), int(row["after"])) for row in rows])
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"{path} cannot be read: run `specvit survey --survey {survey}`"
            ) from error

    def sentence(self) -> str:
        """The cuts in words, for a message."""
        return "; ".join(f"{name}: {before} -> {after}" for name, before, after in self.steps)
