"""`specvit predict`: rows to a file, a terminal or a pipe, and the count of what was not."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
from rich.console import Console

from specvit.errors import DataError
from specvit.logs import get_logger, progress
from specvit.predict.model import Model
from specvit.predict.outputs import CsvSink, Sink, opened
from specvit.predict.shown import MOST_ROWS, show
from specvit.predict.sources import count_of, items
from specvit.tables.arrays import Reading

SHOWN_REASONS = 3

log = get_logger(__name__)


@dataclass
class _Counts:
    rows: int = 0
    reasons: Counter[str] = field(default_factory=Counter)

    def add(self, frame: pd.DataFrame) -> None:
        self.rows += len(frame)
        self.reasons.update(frame["reason"].dropna())

    @property
    def failed(self) -> int:
        return self.reasons.total()

    def described(self) -> str:
        most = self.reasons.most_common(SHOWN_REASONS)
        told = "; ".join(f"{n} x {reason}" for reason, n in most)
        more = "; ..." * (len(self.reasons) > SHOWN_REASONS)
        return f"{told}{more}"


class _Screen:
    """Keeps the first rows for a table at the end."""

    def __init__(self, model: Model) -> None:
        self._model, self._frames, self._rows = model, list[pd.DataFrame](), 0

    def add(self, frame: pd.DataFrame) -> None:
        """See Sink."""
        if self._rows < MOST_ROWS:
            self._frames.append(frame)
        self._rows += len(frame)

    def show(self) -> None:
        """Print the table."""
        console = Console()
        if self._frames:
            first = pd.concat(self._frames, ignore_index=True)[:MOST_ROWS]
            show(first, self._model.tasks, console)
        if self._rows > MOST_ROWS:
            console.print(f"... and {self._rows - MOST_ROWS} more: write them all with -o FILE")


@contextmanager
def _sink(output: Path | None, model: Model) -> Iterator[Sink]:
    """A file, a table on a terminal, or CSV in a pipe."""
    if output is not None:
        with opened(output, model.schema()) as sink:
            yield sink
    elif sys.stdout.isatty():
        screen = _Screen(model)
        yield screen
        screen.show()
    else:
        yield CsvSink(sys.stdout, model.schema())


def predict_to(
    inputs: Sequence[str],
    folder: Path,
    output: Path | None,
    reading: Reading,
    processes: int = 1,
    device: str | None = None,
) -> None:
    """Predict what the user names and write or show it.

    Raises DataError where not a single spectrum could be predicted; what was written stays.
    """
    model = Model(folder, device)
    counts = _Counts()
    with _sink(output, model) as sink, progress("predict", count_of(inputs)) as tick:
        for frame in model.stream(items(inputs), reading, processes):
            sink.add(frame)
            counts.add(frame)
            tick.advance(len(frame), f"{counts.failed} not" if counts.failed else "")
    if counts.failed == counts.rows:
        raise DataError(f"no spectrum was predicted of {counts.rows}: {counts.described()}")
    where = f", in {output}" if output else ""
    lost = f"; {counts.failed} not: {counts.described()}" if counts.failed else ""
    log.info("%d predicted%s%s", counts.rows - counts.failed, where, lost)
