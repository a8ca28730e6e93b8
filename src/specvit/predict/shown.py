"""Rows of spectra as a table on a terminal, and under each what to be careful about."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from specvit.predict.rows import SEPARATOR
from specvit.predictions import prob_columns
from specvit.tasks import Task

MOST_ROWS = 200
MIN_SECOND = 0.05
"""Probability from which a second peak of the redshift is shown."""
NARROW = 100
"""Columns of a terminal below which the id is left out."""
NARROWEST_FILE = 16
BETWEEN = "  "
INDENT = 4


def show(frame: pd.DataFrame, tasks: Sequence[Task], console: Console) -> None:
    """Print rows as columns that fit the terminal; paths are cut at their front.

    Flags, a second redshift and reasons stand on a line of their own: they need the width.
    """
    rows = frame.to_dict("records")
    cells = [_cells(row, tasks, wide=console.width >= NARROW) for row in rows]
    header = {name: name for name in (cells[0] if cells else {})}
    widths = {name: max(len(line[name]) for line in [header, *cells]) for name in header}
    others = sum(widths.values()) + len(BETWEEN) * len(widths)
    longest = max((len(row["path"]) for row in rows), default=0)
    file = min(longest, max(console.width - others, NARROWEST_FILE))
    _line(console, Text("file".ljust(file), style="bold"), header, widths)
    for row, line in zip(rows, cells, strict=True):
        path = Text(_tail(row["path"], file).ljust(file))
        _line(console, path, {} if row["reason"] else line, widths)
        notes = _notes(row)
        if notes:
            console.print(Padding(notes, (0, 0, 0, INDENT)))


def _line(console: Console, file: Text, cells: dict[str, str], widths: dict[str, int]) -> None:
    parts = [file, *(Text(text.ljust(widths[name])) for name, text in cells.items())]
    console.print(Text(BETWEEN).join(parts), no_wrap=True, overflow="ellipsis", crop=True)


def _cells(row: dict[str, Any], tasks: Sequence[Task], *, wide: bool) -> dict[str, str]:
    """Text by column."""
    cells = {"id": row["id"] or ""} if wide else {}
    for task in tasks:
        if task.kind == "classification":
            # A star's type stands with its class.
            if task.name == "class" or "class" not in row:
                cells[task.name] = _class(row, task)
        else:
            cells[task.column] = _number(row, task.column)
    return {**cells, "S/N": f"{row['snr']:.1f}" if math.isfinite(row["snr"]) else ""}


def _tail(path: str, width: int) -> str:
    return path if len(path) <= width else "…" + path[-width + 1 :]


def _class(row: dict[str, Any], task: Task) -> str:
    """`STAR G 0.98`: the class, a star's type, the class's probability."""
    label = row[task.name]
    if label is None:
        return ""
    prob = row[dict(zip(task.labels, prob_columns(task), strict=True))[label]]
    kind = row.get("stellar_type") if task.name == "class" else None
    return " ".join(part for part in (label, kind, f"{prob:.2f}") if part)


def _number(row: dict[str, Any], name: str) -> str:
    """`0.07012 ±0.00031`, or both sides where they differ, in the digits that they leave."""
    value, low, high = row[name], row[f"{name}_lo"], row[f"{name}_hi"]
    if not math.isfinite(value):
        return ""
    sides = [side for side in (value - low, high - value) if side > 0 and math.isfinite(side)]
    # Two digits of the narrower side, but no more than any redshift is known to.
    digits = min(max(1 - math.floor(math.log10(min(sides))), 0), 5) if sides else 4
    minus, plus = f"{value - low:.{digits}f}", f"{high - value:.{digits}f}"
    return f"{value:.{digits}f} " + (f"±{plus}" if minus == plus else f"-{minus} +{plus}")


def _notes(row: dict[str, Any]) -> Text | None:
    if row["reason"]:
        return Text(row["reason"], style="red")
    probability = row.get("z_second_prob", 0.0)
    second = [f"or z = {row['z_second']:.4f} ({probability:.0%})"] * (probability >= MIN_SECOND)
    flags = row["flags"].split(SEPARATOR) if row["flags"] else []
    told = SEPARATOR.join([*second, *flags])
    return Text(told, style="yellow") if told else None
