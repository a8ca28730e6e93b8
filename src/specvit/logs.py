"""Progress for people: a bar on a terminal, plain lines with times in a log file."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

LINE_EVERY_S = 10.0  # one line in a log for each such stretch: readable after a ten-hour run


def get_logger(name: str) -> logging.Logger:
    """The package's logger for one module."""
    return logging.getLogger(name)


def setup_logging(verbose: bool = False) -> None:
    """Plain lines with a time on standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    root = logging.getLogger("specvit")
    root.handlers[:] = [handler]
    root.setLevel(logging.DEBUG if verbose else logging.INFO)
    root.propagate = False


class Ticker:
    """Counts work done; shows a bar on a terminal or a line every ten seconds elsewhere."""

    def __init__(self, label: str, total: int | None, unit: str) -> None:
        self.label, self.total, self.unit = label, total, unit
        self.done = 0
        self.note = ""
        self._start = self._last = time.monotonic()
        self._bar: Progress | None = None
        if sys.stderr.isatty():
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[rate]} {task.fields[note]}"),
                TimeRemainingColumn(),
                console=Console(stderr=True),
            )
            self._task = self._bar.add_task(label, total=total, rate="", note="")
            self._bar.start()

    @property
    def rate(self) -> float:
        """Items a second since the start."""
        return self.done / max(time.monotonic() - self._start, 1e-9)

    def advance(self, n: int = 1, note: str = "") -> None:
        """Count `n` more; `note` is a short text shown after the rate."""
        self.done += n
        self.note = note or self.note
        if self._bar is not None:
            rate = f"{self.rate:.1f} {self.unit}/s"
            self._bar.update(self._task, advance=n, rate=rate, note=self.note)
        elif time.monotonic() - self._last >= LINE_EVERY_S:
            self._last = time.monotonic()
            self._line("")

    def close(self) -> None:
        """End the bar, or write the closing line of the log."""
        if self._bar is not None:
            self._bar.stop()
        else:
            self._line(f" in {time.monotonic() - self._start:.1f} s")

    def _line(self, end: str) -> None:
        total = f"/{self.total}" if self.total is not None else ""
        text = f"{self.label}: {self.done}{total} {self.unit}{end}, {self.rate:.1f}/s {self.note}"
        get_logger(__name__).info(text.rstrip())


@contextmanager
def progress(label: str, total: int | None = None, unit: str = "spectra") -> Iterator[Ticker]:
    """Show the progress of long work: `with progress("plots", n) as tick: tick.advance()`."""
    ticker = Ticker(label, total, unit)
    try:
        yield ticker
    finally:
        ticker.close()
