"""What was published of a run, in numbers: for the card, and for whoever published it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from specvit.paths import SPLITS

DATA, HATS = "data", "hats"
NAMES = {"train": "train", "val": "validation", "test": "test"}
"""Splits as `datasets` calls them."""


@dataclass
class Published:
    """What was written, and what was not."""

    spectra: Counter[str] = field(default_factory=Counter)
    """By split."""
    surveys: Counter[tuple[str, str | None, bool]] = field(default_factory=Counter)
    """By survey, release and whether they are simulated."""
    dropped: Counter[str] = field(default_factory=Counter)
    """Rows of the catalogue without a spectrum, by reason."""
    nowhere: int = 0
    """Spectra without a position, which are in no pixel."""
    pixels: int = 0
    """Of the HATS catalogue; 0: no spectrum has a position, there is none."""

    @property
    def total(self) -> int:
        """Spectra of all splits."""
        return self.spectra.total()

    @property
    def simulated(self) -> int:
        """Those that are simulated."""
        return sum(number for (*_, is_simulated), number in self.surveys.items() if is_simulated)

    @property
    def kind(self) -> str:
        """What the spectra are: simulated, all or some of them, or not."""
        if self.simulated == self.total:
            return "Simulated spectra"
        return f"Spectra ({self.simulated:,} of them simulated)" if self.simulated else "Spectra"

    def lines(self) -> Iterator[str]:
        """What became of every row of the catalogue, as sentences."""
        counted = ", ".join(f"{self.spectra[split]:,} {NAMES[split]}" for split in SPLITS)
        yield f"{self.total:,} spectra in {DATA}: {counted}."
        if self.pixels:
            yield f"{self.total - self.nowhere:,} of them in {HATS}, in {self.pixels:,} pixels."
        if self.nowhere:
            yield f"{self.nowhere:,} have no right ascension and declination: not in {HATS}."
        if self.dropped:
            reasons = "; ".join(f"{n:,} x {reason}" for reason, n in self.dropped.most_common())
            yield f"Rows of the catalogue without a spectrum: {self.dropped.total():,} ({reasons})."
