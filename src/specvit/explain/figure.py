"""A figure for people: the spectrum with its strong lines, and below it what was looked at."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from specvit.errors import ConfigError
from specvit.explain.axis import Floats
from specvit.explain.lines import lines_between
from specvit.explain.mask import in_windows, window_edges
from specvit.io import atomic_open

if TYPE_CHECKING:
    import pandas as pd

    from specvit.explain.average import Average
    from specvit.explain.explanation import Explanation

KINDS = (".png", ".pdf", ".svg")
Z_STYLES = (
    {"color": "#0072b2", "linewidth": 0.9, "linestyle": "-"},
    {"color": "#d55e00", "linewidth": 0.8, "linestyle": (0, (3, 2))},
)
"""Of lines at the predicted redshift and at the runner-up."""
FILL, CURVE = "#56b4e9", "#1b1f24"
TASK_COLOURS = ("#0072b2", "#d55e00")
HEADROOM = 1.3  # above the highest window: single stretches may reach out of the axes
CLOSE = 0.018
"""Share of the range, in log wavelength, that a name beside its line takes."""


def figure_of(explanation: Explanation) -> Any:
    """See Explanation.plot."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    tasks = explanation.relevance
    figure = Figure(figsize=(9, 2.8 + 1.1 * len(tasks)), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    heights = [2.4, *[1.0] * len(tasks)]
    first, *others = figure.subplots(
        len(heights), 1, sharex=True, height_ratios=heights, squeeze=False
    )[:, 0]
    explanation.spectrum.plot(first, errors=False)
    first.set_xlabel("")
    first.set_title(title_of(explanation), fontsize=9)
    low, high = explanation.edges[[0, -1]]
    for axes, (task, methods) in zip(others, tasks.items(), strict=True):
        _relevance(axes, explanation.edges, methods)
        axes.set_ylabel(task.replace("_", "\n"), fontsize=8)
    _lines(first, others, explanation, low, high)
    first.set_xlim(low, high)
    (others or [first])[-1].set_xlabel("vacuum wavelength [Å]")
    if others:
        others[0].legend(fontsize=7, loc="upper right", frameon=False, ncols=2)
    return figure


def title_of(explanation: Explanation) -> str:
    """What was answered: `266-51602-1: GALAXY, z = 0.1000 (or 0.4500, 12 %)`."""
    answer = explanation.answer
    said = [str(answer[name]) for name in ("class", "stellar_type") if answer.get(name)]
    redshifts = [f"{z:.4f}" for z in explanation.redshifts]
    if redshifts:
        said.append(f"z = {redshifts[0]}")
    if len(redshifts) > 1:
        said[-1] += f" (or {redshifts[1]}, {answer['z_second_prob']:.0%})"
    name = answer.get("id") or answer.get("path") or "spectrum"
    return f"{name}: {', '.join(said)}"


def _relevance(axes: Any, edges: Floats, methods: Mapping[str, Floats]) -> None:
    """Relevance for each Angstrom in windows, so that areas are shares; faint, each stretch's."""
    at = window_edges(edges)
    shares = {name: in_windows(values[None], edges)[0] for name, values in methods.items()}
    density = {name: values / np.diff(at) for name, values in shares.items()}
    fine = methods["gradient"] / np.diff(edges)
    axes.stairs(fine, edges, fill=True, color=FILL, alpha=0.3)
    axes.stairs(density["gradient"], at, fill=True, color=FILL, alpha=0.8, label="gradient")
    axes.stairs(density["rollout"], at, color=CURVE, linewidth=0.8, label="rollout")
    axes.set_ylim(0, HEADROOM * max(float(one.max()) for one in density.values()) or 1.0)
    axes.set_yticks([])
    axes.tick_params(labelsize=7)


def _lines(
    first: Any, others: list[Any], explanation: Explanation, low: float, high: float
) -> None:
    for number, (z, style) in enumerate(zip(explanation.redshifts, Z_STYLES, strict=False)):
        for _, wave in lines_between(low, high, z):
            for axes in (first, *others):
                axes.axvline(wave, alpha=0.7, zorder=0.5, **style)
        _names(first, (low, high), z, 0.98 - 0.5 * number, str(style["color"]))


def _names(axes: Any, ends: tuple[float, float], z: float, height: float, colour: str) -> None:
    """Names of the lines: left of its line, else right of it, or none where there is no room."""
    taken, room = ends[0], (ends[1] / ends[0]) ** CLOSE
    for name, wave in lines_between(*ends, z):
        if wave < taken:
            continue
        is_left = wave >= taken * room
        axes.annotate(
            *(name, (wave, height)),
            xycoords=("data", "axes fraction"),
            **{"rotation": 90, "fontsize": 6, "color": colour},
            **{"ha": "right" if is_left else "left", "va": "top"},
        )
        taken = wave if is_left else wave * room


def check_kind(path: Path) -> None:
    """Raise ConfigError for a file whose ending says no format."""
    if path.suffix.lower() not in KINDS:
        raise ConfigError(f"--output {path}: the ending must be one of {', '.join(KINDS)}")


def average_figure(found: Average) -> Any:
    """See Average.plot."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    labels = sorted(found.counts)
    figure = Figure(figsize=(10, 0.8 + 2 * len(labels)), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    table = found.table
    rows = figure.subplots(max(len(labels), 1), 2, squeeze=False)
    for label, row in zip(labels, rows, strict=True):
        for frame, axes in zip(("observed", "rest"), row, strict=True):
            mine = table[(table["class"] == label) & (table["frame"] == frame)]
            _mean_relevance(axes, mine, frame == "rest")
            axes.set_title(f"{label} ({found.counts[label]}), {frame}", fontsize=9)
            axes.tick_params(which="both", labelsize=7)
    for axes in rows[-1]:
        axes.set_xlabel("vacuum wavelength [Å]", fontsize=8)
    rows[0, 0].legend(fontsize=7, frameon=False)
    figure.supylabel("relevance (1: as if all windows were alike)", fontsize=8)
    return figure


def _mean_relevance(axes: Any, table: pd.DataFrame, with_lines: bool) -> None:
    """Mean relevance of one class in one frame, in units of all windows alike."""
    axes.axhline(1, color="0.6", linewidth=0.6)
    for colour, (task, part) in zip(TASK_COLOURS, table.groupby("task"), strict=False):
        middle = np.sqrt(part["low"] * part["high"])
        axes.plot(middle, part["relevance"], color=colour, linewidth=1, label=task)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:.0f}")
    axes.xaxis.set_minor_formatter("{x:.0f}")
    axes.set_ylim(bottom=0)
    if not with_lines or table.empty:
        return
    ends = (table["low"].min(), table["high"].max())
    for _, wave in lines_between(*ends, 0.0):
        axes.axvline(wave, color="0.7", linewidth=0.6, zorder=0.5)
    _names(axes, ends, 0.0, 0.98, "0.4")


def write_figure(figure: Callable[[], Any], path: Path) -> None:
    """Write the figure that a function draws; the same figure, the same bytes.

    Raises ConfigError for an ending that says no format.
    """
    check_kind(path)
    kind = path.suffix.lower().removeprefix(".")
    metadata: dict[str, Any] = {
        "png": {"Software": None},
        "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
        "svg": {"Date": None, "Creator": None},
    }
    import matplotlib as mpl

    buffer = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": "specvit"}):
        figure().savefig(buffer, format=kind, metadata=metadata[kind])
    with atomic_open(path) as handle:
        handle.write(buffer.getvalue())
