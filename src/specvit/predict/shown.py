"""Rows of spectra as a table on a terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from specvit.predict.rows import SEPARATOR
from specvit.predictions import prob_columns
from specvit.tasks import Task

MOST_ROWS = 200
MIN_SECOND = 0.05
"""Probability from which a second peak of the redshift is shown."""
NARROW = 100
"""Columns of a terminal below which the survey and the id are left out."""


def show(frame: pd.DataFrame, tasks: Sequence[Task], console: Console) -> None:
    """Print rows as a table that fits the terminal; paths are cut at their front."""
    wide = console.width >= NARROW
    width = min(max(len(str(path)) for path in frame["path"]), console.width // (4 if wide else 3))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("file", width=max(width, 8), no_wrap=True)
    if wide:
        table.add_column("id", no_wrap=True, max_width=20, overflow="ellipsis")
    names = [task.name for task in tasks]
    if "class" in names:
        table.add_column("class", no_wrap=True)
    for task in tasks:
        if task.kind != "classification":
            table.add_column(task.column, no_wrap=True)
    table.add_column("S/N", justify="right", no_wrap=True)
    table.add_column("notes", ratio=1)
    for row in frame.to_dict("records"):
        cells = [Text(_tail(row["path"], max(width, 8)))]
        if wide:
            cells.append(Text(row["id"] or ""))
        if "class" in names:
            cells.append(Text(_class(row, tasks)))
        cells += [Text(_number(row, t.column)) for t in tasks if t.kind != "classification"]
        cells += [Text(_snr(row["snr"])), _notes(row)]
        table.add_row(*cells)
    console.print(table)


def _tail(path: str, width: int) -> str:
    return path if len(path) <= width else "…" + path[-width + 1 :]


def _class(row: dict[str, Any], tasks: Sequence[Task]) -> str:
    """`STAR G 0.98`: the class, a star's type, the class's probability."""
    if row["class"] is None:
        return ""
    task = next(task for task in tasks if task.name == "class")
    prob = dict(zip(task.labels, prob_columns(task), strict=True))[row["class"]]
    parts = [row["class"], row.get("stellar_type"), f"{row[prob]:.2f}"]
    return " ".join(part for part in parts if part)


def _number(row: dict[str, Any], name: str) -> str:
    """`0.07012 ±0.00031`, or both sides where they differ, in the digits that they leave."""
    value, low, high = row[name], row[f"{name}_lo"], row[f"{name}_hi"]
    if not math.isfinite(value):
        return ""
    below, above = value - low, high - value
    least = min(side for side in (below, above, math.inf) if side > 0)
    digits = 4 if not math.isfinite(least) else min(max(1 - math.floor(math.log10(least)), 0), 6)
    minus, plus = f"{below:.{digits}f}", f"{above:.{digits}f}"
    sides = f"±{plus}" if minus == plus else f"-{minus} +{plus}"
    return f"{value:.{digits}f} {sides}"


def _snr(value: float) -> str:
    return f"{value:.1f}" if math.isfinite(value) else ""


def _notes(row: dict[str, Any]) -> Text:
    if row["reason"]:
        return Text(row["reason"], style="red")
    probability = row.get("z_second_prob", 0.0)
    second = [f"or z = {row['z_second']:.4f} ({probability:.0%})"]
    flags = row["flags"].split(SEPARATOR) if row["flags"] else []
    return Text(SEPARATOR.join([*second * (probability >= MIN_SECOND), *flags]))
