"""The panels that figures are made of: each draws one thing into one pair of axes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import LinearSegmentedColormap, LogNorm
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.textpath import TextPath
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullFormatter, NullLocator
from numpy.typing import NDArray
from scipy.stats import binomtest

from specvit.metrics.calibration import central_coverage, reliability
from specvit.metrics.classification import ClassScores
from specvit.metrics.definitions import METRICS
from specvit.metrics.resample import Floats
from specvit.metrics.selective import risk_coverage
from specvit.metrics.values import OUTLIERS, ValueScores
from specvit.predictions import COVERAGE
from specvit.report.learning import Curve, LearningLog
from specvit.report.names import model_name
from specvit.report.style import (
    CLASS_COLOURS,
    CLASS_MARKERS,
    GRID,
    INK,
    PAPER,
    line_look,
    model_look,
)
from specvit.tasks import Task

# Shares and densities are neither a class nor a model, so they have no hue.
GREYS = LinearSegmentedColormap.from_list("specvit", ["#f3f5f7", "#a4aeb9", "#56616d", "#1f262e"])
MANY = 20_000  # points beyond which a density says more than dots
CROWD = 60  # outliers beyond which their circles would hide everything
LABEL = {"handlelength": 1.4, "handletextpad": 0.3, "columnspacing": 1.0}  # em, beside its text
Y_LABELS_PT = 40  # of a panel's width, taken by the labels left of its axes
MIN_BIN = 5  # spectra in a bin of confidence that an accuracy is drawn of
MIN_RUNNING = 30  # spectra behind each point of a running median
PERCENT_TICKS = (0, 0.5, 1, 2, 5, 10, 20, 50, 100)
REDSHIFT_TICKS = (0, 0.1, 0.2, 0.5, 1, 2, 3, 5, 7)


def legend_rows(ax: Axes) -> int:
    """How many rows the labels of the axes need above them; 0 without labels.

    As few as are no wider than the axes, which they would squeeze.
    """
    labels = ax.get_legend_handles_labels()[1]
    if not labels:
        return 0
    font = FontProperties(size=mpl.rcParams["legend.fontsize"])
    beside = font.get_size_in_points() * sum(LABEL.values())
    widths = [TextPath((0, 0), label, prop=font).get_extents().width + beside for label in labels]
    for columns in range(len(labels), 1, -1):
        # As matplotlib fills them, one column after the other.
        if sum(max(column) for column in np.array_split(widths, columns)) <= _width_pt(ax):
            return math.ceil(len(labels) / columns)
    return len(labels)


def _width_pt(ax: Axes) -> float:
    """About how wide the axes will be, in points: their share of the figure, less their labels."""
    place = ax.get_subplotspec()
    columns = 1 if place is None else place.get_gridspec().ncols
    canvas = ax.get_figure(root=True)
    assert canvas is not None, "axes of a figure"
    return 72 * canvas.get_figwidth() / columns - Y_LABELS_PT


def legend_above(ax: Axes) -> None:
    """Labels over the axes, where they cover no data."""
    rows = legend_rows(ax)
    if not rows:
        return
    legend = ax.legend(
        loc="lower left",
        bbox_to_anchor=(-0.01, 1.0),
        ncols=-(-len(ax.get_legend_handles_labels()[1]) // rows),
        borderaxespad=0.1,
        **LABEL,
    )
    for handle in legend.legend_handles:
        if handle is not None:
            handle.set_alpha(1)
        if isinstance(handle, Line2D):
            handle.set_markersize(max(handle.get_markersize(), 3.2))


def say(ax: Axes, what: str) -> None:
    """Say in the middle of the axes why they have nothing to show."""
    ax.text(0.5, 0.5, what, transform=ax.transAxes, ha="center", va="center", fontsize=7, color=INK)


def say_empty(ax: Axes, why: str) -> None:
    """Say why there is nothing to show, without ticks: they would mean nothing."""
    say(ax, why)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.grid(False)


def losses(ax: Axes, logs: dict[str, LearningLog], task: Task) -> None:
    """Loss of a task by epoch: validation of every network, training of the first."""
    models = list(logs)
    first = logs[models[0]].training(task)
    look = model_look(models[0], models)
    if len(first.value):
        ax.plot(first.epoch, first.value, color=look["color"], lw=0.7, alpha=0.75)
    curves = {model: log.validation(task, "loss") for model, log in logs.items()}
    watched(ax, curves, {model: log.chosen for model, log in logs.items()}, "Loss [nats]")
    shown = np.concatenate([first.value, *(curve.value for curve in curves.values())])
    if len(shown) and shown.min() > 0 and shown.max() > 5 * shown.min():
        ax.set_yscale("log")
        _plain_labels(ax.yaxis, shown)


def _plain_labels(axis: Axis, values: Floats) -> None:
    """Plain numbers along a logarithmic axis; between the decades too, if these span few."""
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    few = values.max() < 100 * values.min()
    axis.set_minor_formatter(FuncFormatter(_one_two_five) if few else NullFormatter())


def _one_two_five(value: float, _: object) -> str:
    """Labels at 1, 2 and 5 of each decade."""
    return f"{value:g}" if f"{value:e}"[0] in "25" else ""


def watched(ax: Axes, curves: dict[str, Curve], chosen: dict[str, int], title: str) -> None:
    """A number of the validation split by epoch, of each network; a ring at the chosen epoch."""
    models = list(curves)
    if not any(len(curve.value) for curve in curves.values()):
        say_empty(ax, "nothing was measured on the validation split")
        return
    for model, curve in curves.items():
        look = model_look(model, models)
        ax.plot(curve.epoch, curve.value, **look, ms=2.2, lw=1, label=model_name(model))
        kept = curve.epoch == chosen[model]
        ring: dict[str, Any] = {
            "mfc": "none",
            "mec": INK,
            "mew": 0.8,
            "ms": 6.5,
            "zorder": 4,
            "clip_on": False,
        }
        ax.plot(curve.epoch[kept], curve.value[kept], "o", **ring)
    last = max(float(curve.epoch.max()) for curve in curves.values() if len(curve.epoch))
    ax.set_xlim(0, last * 1.03)
    if not any(curve.value.any() for curve in curves.values()):
        ax.set_ylim(bottom=0)  # no failure in any epoch: there are none below zero either
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_xlabel("Epoch")
    ax.set_ylabel(title)
    legend_above(ax)


def confusion(ax: Axes, counts: Sequence[Sequence[int]], labels: Sequence[str]) -> None:
    """Confusion matrix: share of each true class, with counts."""
    matrix = np.asarray(counts, dtype=float)
    total = matrix.sum(axis=1, keepdims=True)
    share = np.divide(matrix, total, out=np.zeros_like(matrix), where=total > 0)
    ax.imshow(share, cmap=GREYS, vmin=0, vmax=1)
    ax.grid(False)
    many = len(labels) > 4
    for i, j in np.ndindex(matrix.shape):
        if many and matrix[i, j] == 0:
            continue
        text = f"{100 * share[i, j]:.0f}" if many else f"{100 * share[i, j]:.1f} %"
        colour = "white" if share[i, j] > 0.5 else "#10243a"
        shift = 0 if many else 0.1
        ax.text(j, i - shift, text, ha="center", va="center", color=colour, fontsize=7)
        if not many:
            count = f"{int(matrix[i, j]):,}".replace(",", "\N{NO-BREAK SPACE}")
            ax.text(j, i + 0.22, count, ha="center", va="center", color=colour, fontsize=5.5)
    ax.set_xticks(range(len(labels)), labels)
    ax.set_yticks(range(len(labels)), labels, rotation=0 if many else 90, va="center")
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.set_xlabel("Predicted" + (" (% of each row)" if many else ""))
    ax.set_ylabel("Catalogue")


def _redshift_axis(ax: Axes, which: str, low: float, high: float) -> None:
    """Axis even in log(1 + z), with round redshifts marked."""
    axis = ax.xaxis if which == "x" else ax.yaxis
    set_scale = ax.set_xscale if which == "x" else ax.set_yscale
    set_scale("function", functions=(_log1p, _expm1))
    (ax.set_xlim if which == "x" else ax.set_ylim)(low, high)
    ticks = [tick for tick in REDSHIFT_TICKS if low <= tick <= high]
    if high < 0.3:
        ticks = [tick for tick in np.arange(0, 0.3, 0.05) if low <= tick <= high]
    # A tick at 0.1 would touch the one at 0 on an axis that reaches far.
    ticks = [tick for tick in ticks if not (high > 1.5 and tick in (0.1, 0.2))]
    axis.set_major_locator(FixedLocator(ticks))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _log1p(z: Any) -> Any:
    return np.log1p(np.maximum(z, -0.99))


def _expm1(x: Any) -> Any:
    return np.expm1(x)


def _density(ax: Axes, x: Floats, y: Floats, edges: Floats) -> None:
    """Number of points in each cell, on a logarithmic scale; empty cells are left free."""
    counts, _, _ = np.histogram2d(x, y, bins=(edges, edges))
    shown = np.ma.masked_equal(counts.T, 0)
    norm = LogNorm(0.3, max(float(counts.max()), 2.0))
    ax.pcolormesh(edges, edges, shown, cmap=GREYS, norm=norm, rasterized=True)


def redshift_scatter(ax: Axes, scores: ValueScores, classes: NDArray[np.object_]) -> None:
    """Predicted against catalogue redshift; outliers (|dz| > 0.05) ringed where they are few."""
    known = np.isfinite(scores.pred)
    if not known.any():
        say_empty(ax, "no redshift was predicted")
        return
    true, pred = scores.true[known], scores.pred[known]
    low = float(min(true.min(initial=0), -0.02))
    high = float(max(true.max(initial=0.1) * 1.1, 0.15))
    shown, out = np.clip(pred, low, high), scores.wrong[known] > 0
    if len(true) > MANY:
        edges = np.expm1(np.linspace(np.log1p(low), np.log1p(high), 150))
        _density(ax, true, shown, edges)
    else:
        _class_points(ax, true, shown, classes[known], size=1.9, alpha=0.7)
        ax.plot(
            *(true[out], shown[out]),
            "o",
            mfc="none",
            mec=INK,
            mew=0.6,
            ms=4,
            alpha=0.35 if out.sum() > CROWD else 0.9,
            rasterized=True,
        )
        legend_above(ax)
    line = np.expm1(np.linspace(np.log1p(low), np.log1p(high), 100))
    ax.plot(line, line, color=INK, lw=0.6, zorder=3)
    for sign in (-1, 1):
        border = line + sign * OUTLIERS[1] * (1 + line)
        ax.plot(line, border, color=INK, lw=0.5, ls=(0, (4, 3)), zorder=3)
    _redshift_axis(ax, "x", low, high)
    _redshift_axis(ax, "y", low, high)
    ax.set_aspect("equal")
    ax.set_ylabel("Predicted redshift")
    share = float(scores.wrong.mean()) if len(scores.wrong) else 0.0
    # Inside the axes it would stand on outliers.
    ax.set_xlabel(f"Catalogue redshift (outliers: {100 * share:.1f} %)")


def _class_points(
    ax: Axes, x: Floats, y: Floats, classes: NDArray[np.object_], size: float, alpha: float
) -> None:
    """Points with the colour and marker of their class."""
    for name, colour in CLASS_COLOURS.items():
        mine = classes == name
        if mine.any():
            ax.plot(
                *(x[mine], y[mine]),
                CLASS_MARKERS[name],
                color=colour,
                ms=size * (1.4 if name == "STAR" else 1),
                mew=0,
                alpha=alpha,
                label=name,
                rasterized=True,
            )


def residuals(
    ax: Axes, scores: ValueScores, against: Floats, classes: NDArray[np.object_], what: str
) -> None:
    """Residual dz of each spectrum against redshift or S/N, with running median and 68 % band."""
    residual = scores.residual
    known = np.isfinite(residual) & np.isfinite(against)
    x, dz = against[known], residual[known]
    if not len(x):
        axis = "signal-to-noise ratio" if what == "snr" else "redshift"
        say_empty(ax, f"no spectrum has a {axis} and a predicted redshift")
        return
    # Linear where most residuals are, so that their median and band can be read.
    edge = 10.0 ** np.ceil(np.log10(max(float(np.median(np.abs(dz))), 1e-5)))
    if what == "snr":
        x = np.maximum(x, 0.1)
    _class_points(ax, x, dz, classes[known], 1.7, alpha=0.6 if len(x) <= MANY else 0.1)
    ax.set_yscale("symlog", linthresh=edge, linscale=1.5)
    limit = max(float(np.abs(dz).max(initial=0)) * 1.5, 0.2)
    ax.set_ylim(-limit, limit)
    ticks = [t for t in 10.0 ** np.arange(-5, 2) if edge <= t <= limit]
    ticks = [edge / 2, *ticks]
    ax.yaxis.set_major_locator(FixedLocator([*(-t for t in ticks[::-1]), 0, *ticks]))
    ax.yaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _minus(f"{value:g}")))
    if what == "snr":
        ax.set_xscale("log")
        ax.set_xlabel("Signal-to-noise ratio per pixel (median)")
        _plain_labels(ax.xaxis, x)
    else:
        _redshift_axis(
            ax, "x", float(min(x.min(initial=0), -0.02)), float(x.max(initial=0.1)) * 1.1
        )
        ax.set_xlabel("Catalogue redshift")
    for sign in (-1, 1):
        ax.axhline(sign * OUTLIERS[1], color=INK, lw=0.5, ls=(0, (4, 3)))
    _running(ax, x, dz)
    ax.set_ylabel(r"$\Delta z = (z_\mathrm{pred} - z)\,/\,(1 + z)$")
    legend_above(ax)


def _running(ax: Axes, x: Floats, dz: Floats, bins: int = 12) -> None:
    """Median and 16-84 % band in bins of equal count; none where there are too few spectra."""
    bins = min(bins, len(x) // MIN_RUNNING)
    if bins < 2:
        return
    parts = np.array_split(np.argsort(x, kind="stable"), bins)
    centre = [np.median(x[part]) for part in parts]
    low, middle, high = np.array([np.percentile(dz[part], (16, 50, 84)) for part in parts]).T
    ax.fill_between(centre, low, high, color=INK, alpha=0.18, lw=0, zorder=4)
    ax.plot(centre, middle, color=INK, lw=1.1, zorder=5, label="median, 68 %")


def by_bin(
    ax: Axes,
    groups: Sequence[dict[str, Any]],
    values: dict[str, dict[str, dict[str, Any]]],
    metric: str,
    models: list[str],
    xlabel: str,
    unit: str = "",
) -> None:
    """A metric of each model in bins, with intervals; small bins are drawn open."""
    bins = [group for group in groups if group["low"] is not None]
    entries = [values[model][group["name"]].get(metric, {}) for model in models for group in bins]
    shown = [entry["value"] for entry in entries if entry.get("value") is not None]
    if not shown:
        few = "too few spectra are" if bins else "no spectrum is"
        say_empty(ax, f"{few} in these bins")
        return
    step = 0.6 / max(len(models), 1)
    for k, model in enumerate(models):
        look = model_look(model, models)
        offset = (k - (len(models) - 1) / 2) * step
        for i, group in enumerate(bins):
            entry = values[model][group["name"]].get(metric, {})
            if entry.get("value") is None:
                continue
            if entry["lo"] is not None:
                ax.plot([i + offset] * 2, [entry["lo"], entry["hi"]], color=look["color"], lw=1)
            ax.plot(
                [i + offset],
                [entry["value"]],
                look["marker"],
                color=look["color"],
                mfc=PAPER if group["small"] else look["color"],
            )
        ax.plot([], [], look["marker"], color=look["color"], label=model_name(model))
    names = [f"{_edge(group)}\n{group['n']:,}".replace(",", "\N{NO-BREAK SPACE}") for group in bins]
    ax.set_xticks(range(len(bins)), names)
    ax.set_xlim(-0.6, len(bins) - 0.4)
    ax.tick_params(axis="x", length=0)
    ax.grid(axis="x", visible=False)
    ax.set_xlabel(f"{xlabel}, and number of spectra")
    if METRICS[metric].style == "milli":
        if max(shown) > 0:  # it is 0 where the bins have a spectrum each
            ax.set_yscale("log")
            # Of two spectra the interval ends at the arithmetic's noise, decades below all values.
            least = min(value for value in shown if value > 0) / 10
            ax.set_ylim(bottom=max(ax.get_ylim()[0], least))
        ax.set_ylabel(r"$\sigma_\mathrm{NMAD}$" if metric == "sigma_nmad" else metric)
    else:
        ax.set_ylabel(METRICS[metric].title + unit)
    legend_above(ax)


def _edge(group: dict[str, Any]) -> str:
    low, high = group["low"], group["high"]
    if high >= 100:
        return f"> {low:g}"
    return f"< {high:g}" if low < 0 else f"{low:g}–{high:g}"


def _minus(text: str) -> str:
    return text.replace("-", "\N{MINUS SIGN}")


def parameter_scatter(ax: Axes, scores: ValueScores, name: str, unit: str) -> None:
    """Predicted against catalogue value of another number."""
    known = np.isfinite(scores.pred)
    if not known.any():
        say_empty(ax, f"no {name} was predicted")
        return
    true, pred = scores.true[known], scores.pred[known]
    low, high = np.percentile(np.concatenate([true, pred]), (0.2, 99.8))
    margin = 0.04 * (high - low) or 1.0
    low, high = low - margin, high + margin
    if len(true) > MANY:
        _density(ax, true, pred, np.linspace(low, high, 150))
    else:
        ax.plot(
            true, pred, CLASS_MARKERS["STAR"], color=CLASS_COLOURS["STAR"], ms=2.6, mew=0, alpha=0.6
        )
    ax.plot([low, high], [low, high], color=INK, lw=0.6)
    ax.set_xlim(low, high)
    ax.set_ylim(low, high)
    ax.set_aspect("equal")
    ax.set_xlabel(f"Catalogue {name}{unit}")
    ax.set_ylabel(f"Predicted {name}{unit}")


def reliability_diagram(
    ax: Axes, before: ClassScores, after: ClassScores, look: dict[str, Any]
) -> None:
    """Accuracy against confidence in bins, with 95 % Wilson intervals and the number of spectra.

    Filled: as predicted; open: after temperature scaling. The diagonal is perfect calibration.
    """
    ax.plot([0, 1], [0, 1], color=INK, lw=0.6)
    every = reliability(before)["count"]
    # From the first bin with a spectrum on, though few spectra have no accuracy.
    lowest = [float(np.argmax(every > 0)) / len(every), 1.0]
    drawn = (
        (before, "as predicted", {"zorder": 3}),
        (after, "after scaling", {"mfc": PAPER, "alpha": 0.75, "zorder": 2}),
    )
    for scores, label, how in drawn:
        found = reliability(scores)
        filled = found["count"] >= MIN_BIN
        if not filled.any():
            continue
        count, x, y = (found[key][filled] for key in ("count", "confidence", "accuracy"))
        low, high = np.transpose([_wilson(n, share) for n, share in zip(count, y, strict=True)])
        colour = {"color": look["color"], "elinewidth": 0.8, "capsize": 0}
        errors = np.maximum([y - low, high - y], 0.0)
        ax.errorbar(x, y, errors, fmt=look["marker"], **colour, **how, label=label)
        lowest = [min(lowest[0], float(x.min())), min(lowest[1], float(low.min()))]
    if lowest[1] == 1.0:
        say(ax, f"no bin has {MIN_BIN} spectra")
    left, low_edge = (max(0.0, np.floor(least * 10) / 10) for least in lowest)
    # Room below, where the numbers of spectra stand.
    bottom = low_edge - 0.28 * (1.02 - low_edge)
    ax.set_xlim(left - 0.02, 1.02)
    ax.set_ylim(bottom, 1.02)
    ax.xaxis.set_major_locator(FixedLocator(_tenths(left)))
    ax.yaxis.set_major_locator(FixedLocator(_tenths(low_edge)))
    _counts(ax, every, bottom, 0.16 * (1.02 - low_edge))
    ax.set_xlabel("Confidence (largest probability)")
    ax.set_ylabel("Accuracy")
    legend_above(ax)


def _tenths(low: float) -> list[float]:
    step = 0.1 if low >= 0.5 else 0.2
    return [round(1 - step * n, 1) for n in range(11) if 1 - step * n >= low - 1e-9]


def _counts(ax: Axes, count: Floats, bottom: float, height: float) -> None:
    """The number of spectra in each bin of confidence, as bars that stand on the axis."""
    edges = np.linspace(0, 1, len(count) + 1)
    heights = height * count / max(float(count.max()), 1.0)
    ax.bar(
        *(edges[:-1], heights, np.diff(edges), bottom),
        align="edge",
        color=GRID,
        edgecolor=PAPER,
        lw=0.4,
        zorder=1,
    )
    for edge, top, number in zip(edges, heights, count, strict=False):
        if number and edge + 0.5 / len(count) > ax.get_xlim()[0]:
            ax.annotate(
                f"{int(number)}",
                (edge + 0.5 / len(count), bottom + top),
                (0, 1),
                textcoords="offset points",
                ha="center",
                va="bottom",
                fontsize=4.8,
                rotation=90,
                in_layout=False,
            )


def _wilson(count: float, share: float) -> tuple[float, float]:
    """95 % interval of a share (Wilson 1927)."""
    found = binomtest(round(share * count), int(count)).proportion_ci(0.95, method="wilson")
    return float(found.low), float(found.high)


def pit_histogram(ax: Axes, pits: dict[str, Floats], models: list[str]) -> None:
    """Histogram of PIT values over what a uniform law gives."""
    edges = np.linspace(0, 1, 11)
    for model, pit in pits.items():
        value = pit[np.isfinite(pit)]
        if len(value):
            share = np.histogram(value, edges)[0] / len(value) * 10
            ax.stairs(
                share,
                edges,
                baseline=None,
                **line_look(model, models),
                lw=1,
                label=model_name(model),
            )
    if not ax.get_legend_handles_labels()[0]:
        say(ax, "no distribution was predicted")
    ax.axhline(1, color=INK, lw=0.6)
    ax.set_xlim(0, 1)
    ax.set_ylim(bottom=0)
    ax.set_xlabel("PIT: predicted cumulative probability of the truth")
    ax.set_ylabel("Density (calibrated: 1)")
    legend_above(ax)


def coverage_curve(ax: Axes, pits: dict[str, Floats], models: list[str]) -> None:
    """Share of truths inside central intervals against their nominal probability."""
    levels = np.linspace(0, 1, 41)
    ax.plot([0, 1], [0, 1], color=INK, lw=0.6)
    for model, pit in pits.items():
        if np.isfinite(pit).any():
            ax.plot(
                levels,
                central_coverage(pit, levels),
                **line_look(model, models),
                label=model_name(model),
            )
    if not ax.get_legend_handles_labels()[0]:
        say(ax, "no distribution was predicted")
    ax.axvline(COVERAGE, color=INK, lw=0.5, ls=(0, (4, 3)))
    ax.set_xlim(0, 1)
    ax.set_ylim(0, 1)
    ax.set_aspect("equal")
    ax.set_xlabel("Nominal probability of the central interval")
    ax.set_ylabel("Share of truths inside")
    legend_above(ax)


def risk_coverage_curve(
    ax: Axes,
    answers: dict[str, ClassScores | ValueScores],
    models: list[str],
    selective: dict[str, dict[str, Any] | None],
    target: float,
    failure: str,
) -> None:
    """Risk among accepted answers against the share accepted; a point at the threshold of val."""
    top = 150 * target
    for model, answer in answers.items():
        if not np.isfinite(answer.confidence).any():
            continue
        coverage, risk = risk_coverage(answer.confidence, answer.wrong)
        # The first few answers swing between 0 and 1 and say nothing.
        steady = coverage * len(answer.wrong) >= 20
        if not steady.any():
            continue
        look = model_look(model, models)
        x, y = 100 * coverage[steady], 100 * risk[steady]
        ax.plot(x, y, **line_look(model, models), label=model_name(model))
        top = max(top, float(y.max(initial=0)) * 1.1)
        chosen = selective[model]
        if chosen is not None and chosen["risk_at_target"]["value"] is not None:
            kept = 100 * (1 - chosen["refused_at_target"]["value"])
            there = 100 * chosen["risk_at_target"]["value"]
            point = {"color": look["color"], "mec": PAPER, "mew": 0.5}
            ax.plot([kept], [there], look["marker"], ms=5, clip_on=False, zorder=3, **point)
    if not ax.get_legend_handles_labels()[0]:
        say(ax, "fewer than 20 spectra with a confidence")
    ax.axhline(100 * target, color=INK, lw=0.5, ls=(0, (4, 3)))
    # Linear up to the target, so that no failure at all has its place.
    ax.set_yscale("symlog", linthresh=100 * target, linscale=0.8)
    ax.yaxis.set_major_locator(FixedLocator([t for t in PERCENT_TICKS if t <= top]))
    ax.yaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.set_xlim(0, 100)
    ax.set_ylim(0, top)
    ax.set_xlabel("Coverage: spectra accepted [%]")
    ax.set_ylabel(f"Risk: {failure} [%]")
    legend_above(ax)


def forest(
    ax: Axes,
    entries: dict[str, dict[str, Any]],
    models: list[str],
    metric: str,
    unit: str = "",
) -> None:
    """One metric of every model with its interval, a row a model."""
    rows = [model for model in models if entries.get(model, {}).get("value") is not None]
    if not rows:
        say_empty(ax, "no model has a value")
        return
    for i, model in enumerate(rows):
        entry, look = entries[model], model_look(model, models)
        if entry["lo"] is not None:
            ax.plot([entry["lo"], entry["hi"]], [i, i], color=look["color"], lw=1.2)
        ax.plot([entry["value"]], [i], look["marker"], color=look["color"])
    ax.set_yticks(range(len(rows)), [model_name(model) for model in rows])
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.grid(axis="y", visible=False)
    ax.tick_params(axis="y", length=0)
    ax.set_xlabel(METRICS[metric].title + unit)


def scaling_curve(
    ax: Axes, points: Sequence[tuple[float, dict[str, Any]]], metric: str, unit: str = ""
) -> None:
    """A metric against the share of the train split that a network learned from."""
    points = sorted(points, key=lambda point: point[0])
    share = np.array([100 * fraction for fraction, _ in points])
    value = np.array([entry["value"] for _, entry in points], dtype=float)
    low = np.array([entry["lo"] for _, entry in points], dtype=float)
    high = np.array([entry["hi"] for _, entry in points], dtype=float)
    look = model_look("vit", ["vit"])
    ax.fill_between(share, low, high, color=look["color"], alpha=0.2, lw=0)
    ax.plot(share, value, **look)
    ax.set_xscale("log")
    ax.set_xticks(share, [f"{s:g}" for s in share])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlabel("Share of the train split's objects [%]")
    ax.set_ylabel(METRICS[metric].title + unit)
