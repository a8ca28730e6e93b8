"""The ranges of `python -m benchmarks sky` as a figure: a panel a group, a row a measure."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

REAL, SIMULATED = "#444444", "#0072b2"
REACH = 2.2  # of the real range, to either side


def draw(table: pd.DataFrame, path: Path) -> None:
    """Draw every 10 to 90 % range, scaled so that the real one goes from -1 to 1."""
    groups = list(table.groupby("group"))
    columns = 4
    lines = -(-len(groups) // columns)
    figure = Figure(figsize=(14, 4.4 * lines), layout="constrained")
    for number, (group, rows) in enumerate(groups):
        axes = figure.add_subplot(lines, columns, number + 1)
        for place, row in enumerate(rows.itertuples()):
            half = max((row.real_90 - row.real_10) / 2, row.slack, 1e-9)
            centre = (row.real_90 + row.real_10) / 2
            for name, colour, shift in (("real", REAL, -0.16), ("sim", SIMULATED, 0.16)):
                low, middle, high = (
                    min(max((getattr(row, f"{name}_{q}") - centre) / half, -REACH), REACH)
                    for q in (10, 50, 90)
                )
                axes.plot([low, high], [place + shift] * 2, color=colour, lw=3, alpha=0.55)
                axes.plot(middle, place + shift, "o", color=colour, ms=4)
        axes.set(xlim=(-REACH, REACH), ylim=(len(rows) - 0.4, -0.6), title=str(group))
        axes.set_yticks(range(len(rows)), rows["measure"], fontsize=7)
        axes.set_xticks([-1, 0, 1], ["10 %", "", "90 %"], fontsize=7)
        for edge in (-1, 1):
            axes.axvline(edge, color="#bbbbbb", lw=0.6, zorder=0)
    figure.suptitle("10-90 % ranges and medians: real (grey) and simulated (blue), scaled to real")
    figure.savefig(path, dpi=90)
