"""One table for people, CSV and LaTeX, and the numbers that stand in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

import pandas as pd

from specvit.io import csv_text
from specvit.metrics.definitions import METRICS, decimals_between, shown

Entry = dict[str, Any]
"""{"value": ..., "lo": ..., "hi": ...} of metrics.json, of a difference also p; null: undefined."""


@dataclass(frozen=True)
class Number:
    """A metric with its interval, as it stands in metrics.json."""

    metric: str
    entry: Entry
    place: str = ""
    """Where metrics.json holds it, class/vit/all/all/accuracy; empty if nowhere."""
    strong: bool = False
    """Set in bold: the best of its column, or a difference beyond its interval."""
    small: bool = False
    """From too few spectra to conclude from."""
    verdict: int = 0
    """Of a difference: 1 where the ViT is better beyond doubt, -1 where it is worse."""
    word: str = ""
    """The verdict for people; empty where there is none to give."""

    @property
    def decimals(self) -> int | None:
        """Decimals that the interval supports; None of an undefined value."""
        value = self.entry["value"]
        if value is None:
            return None
        return decimals_between(self.metric, value, self.entry.get("lo"), self.entry.get("hi"))

    @property
    def value(self) -> str:
        """The value as shown."""
        return shown(self.metric, self.entry["value"], self.decimals)

    @property
    def interval(self) -> str:
        """The interval as shown, empty where there is none."""
        if self.entry.get("lo") is None:
            return ""
        low, high = (shown(self.metric, self.entry[key], self.decimals) for key in ("lo", "hi"))
        return f"[{low}, {high}]"

    def __str__(self) -> str:
        """Value and interval, as in a sentence."""
        return f"{self.value} {self.interval}".strip()


Cell = Number | str | int


def is_number(cell: Cell) -> TypeGuard[Number]:
    """Whether a cell holds a metric."""
    return isinstance(cell, Number)


@dataclass(frozen=True)
class Table:
    """A table for people; `csv_rows` may hold more than is shown."""

    name: str
    title: str
    caption: str
    columns: tuple[str, ...]
    latex_columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def as_csv(self) -> str:
        """Plain values; a metric takes three columns, value, lo and hi, unrounded."""
        header: list[str] = []
        for i, name in enumerate(self.columns):
            numbers = [cell for row in self.rows for cell in row[i : i + 1] if is_number(cell)]
            if numbers:
                metric = numbers[0].metric
                key = name.lower().replace(" ", "_") if self._several(metric) else metric
                header += [key, f"{key}_lo", f"{key}_hi"]
                header += [f"{key}_verdict"] if any(number.word for number in numbers) else []
            else:
                header.append(name)
        lines = [[value for cell in row for value in _plain(cell)] for row in self.rows]
        return csv_text(header, lines)

    def _several(self, metric: str) -> bool:
        """Whether more than one column holds this metric."""
        holders = {
            i
            for row in self.rows
            for i, cell in enumerate(row)
            if isinstance(cell, Number) and cell.metric == metric
        }
        return len(holders) > 1

    def as_latex(self) -> str:
        """A table in the style of A&A (horizontal lines only), ready to be read by LaTeX."""
        numeric = [any(isinstance(row[i], Number) for row in self.rows) for i in range(self.width)]
        cells = [[_latex(cell) for cell in row] for row in self.rows]
        lines = {"toprule": "hline\\hline", "midrule": "hline", "bottomrule": "hline"}
        styles = [{"selector": name, "props": f":{rule}"} for name, rule in lines.items()]
        styler = pd.DataFrame(cells, columns=list(self.latex_columns)).style.hide(axis="index")
        text: str = styler.set_table_styles(styles).to_latex(
            environment="table*",
            position_float="centering",
            caption=escape(self.caption),
            label=f"tab:{self.name.replace('_', '-')}",
            column_format="".join("c" if n else "l" for n in numeric),
        )
        return text

    @property
    def width(self) -> int:
        """Number of columns."""
        return len(self.columns)


def _plain(cell: Cell) -> list[Any]:
    if isinstance(cell, Number):
        told = [cell.word] if cell.word else []
        return [cell.entry["value"], cell.entry.get("lo"), cell.entry.get("hi"), *told]
    return [cell]


def _latex(cell: Cell) -> str:
    if not isinstance(cell, Number):
        return escape(str(cell))
    value, low, high = (cell.entry.get(key) for key in ("value", "lo", "hi"))
    if value is None:
        return r"\ldots"
    text = _math(cell.value)
    if low is not None and high is not None:
        up, down = (shown(cell.metric, abs(x), cell.decimals) for x in (high - value, value - low))
        text = f"{text}_{{-{down}}}^{{+{up}}}"
    return rf"$\mathbf{{{text}}}$" if cell.strong else f"${text}$"


def _math(text: str) -> str:
    return text.replace("\N{MINUS SIGN}", "-")


_SPECIAL = str.maketrans(
    {
        **{character: f"\\{character}" for character in "&%$#_{}"},
        **{character: f"${character}$" for character in "|<>"},
        **{"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"},
        **{"Δ": r"$\Delta$", "σ": r"$\sigma$", "²": "$^2$"},
        **{"\N{MINUS SIGN}": "$-$", "\N{EN DASH}": "--"},
    }
)


def escape(text: str) -> str:
    """Plain text with LaTeX's special characters made safe, in ASCII."""
    return text.translate(_SPECIAL)


def column(metric: str) -> tuple[str, str]:
    """Heading of a metric's column, plain and LaTeX."""
    return METRICS[metric].title, METRICS[metric].latex


def make_table(
    name: str,
    title: str,
    caption: str,
    columns: Sequence[str | tuple[str, str]],
    rows: Sequence[Sequence[Cell]],
) -> Table:
    """Make a table; a column with a heading of its own in LaTeX is a pair, (plain, LaTeX)."""
    pairs = [c if isinstance(c, tuple) else (c, escape(c)) for c in columns]
    plain, latex = (tuple(part) for part in zip(*pairs, strict=True))
    return Table(name, title, caption, plain, latex, tuple(tuple(row) for row in rows))
