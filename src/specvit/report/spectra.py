"""A failure as a spectrum: flux against wavelength, with the lines where either redshift has them.

Strong lines stand at the true redshift and at the predicted one, so that a reader sees which of the
two the spectrum shows; below, which wavelengths spoke for what the network said.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from specvit.config.data import Grid
from specvit.explain.kept import Relevance
from specvit.explain.lines import STRONG
from specvit.metrics.resample import Floats
from specvit.report.failures import Failure
from specvit.report.style import INK, MM, VIT_COLOUR
from specvit.spectrum.grid import bin_centres

BINS = 640  # as many as an eye can tell apart on a page
WIDTH_MM = 130.0
# From bottom to top: the axis' labels, relevance where it is known, flux, a rim.
LABELS_MM, RELEVANCE_MM, FLUX_MM, RIM_MM = 9.0, 7.0, 27.0, 1.2
FILL = "#56b4e9"
WAVELENGTHS = dict(STRONG)
# Those of each class that a spectrum of middling signal shows.
LINES = {
    "STAR": ("Ca K", "Ca H", "Hδ", "Hβ", "Mg b", "Na D", "Hα"),
    "GALAXY": ("[O II]", "Ca K", "Ca H", "Hβ", "[O III]", "Mg b", "Na D", "Hα"),
    "QSO": ("Lyα", "C IV", "C III]", "Mg II", "[O II]", "Hβ", "[O III]", "Hα"),
}


def draw_failure(failure: Failure, flux: Floats, grid: Grid, relevance: Relevance | None) -> Canvas:
    """The spectrum of a failure, `flux` on the common grid, nan where there is none."""
    # To work a layout out would take longer than all else.
    heights = [FLUX_MM] if relevance is None else [FLUX_MM, RELEVANCE_MM]
    total = RIM_MM + sum(heights) + LABELS_MM
    canvas = Canvas(figsize=(WIDTH_MM * MM, total * MM))
    margins = {
        "left": 0.115,
        "right": 0.995,
        "bottom": LABELS_MM / total,
        "top": 1 - RIM_MM / total,
    }
    spec = {**margins, "hspace": 0.12, "height_ratios": heights}
    top, *below = canvas.subplots(len(heights), sharex=True, squeeze=False, gridspec_kw=spec)[:, 0]
    wave, binned = shown_flux(flux, grid)
    _flux(top, wave, binned)
    top.set_xlim(grid.wave_min, grid.wave_max)
    top.set_ylabel("Flux [relative]")
    if relevance is not None:
        _relevance(below[0], relevance)
    mark_lines([top, *below], failure.true_class, failure.true_z, INK, top=True)
    mark_lines([top, *below], failure.said_class, failure.said_z, VIT_COLOUR, top=False)
    (below or [top])[-1].set_xlabel("Vacuum wavelength [Å]")
    return canvas


def shown_flux(flux: Floats, grid: Grid, bins: int = BINS) -> tuple[Floats, Floats]:
    """Wavelengths (A) and mean flux in at most so many bins, both (bins,); nan without data."""
    wave = 10 ** bin_centres(grid, len(flux))
    each = -(-len(flux) // bins)
    pad = (0, -len(flux) % each)
    parts = (np.pad(x, pad, constant_values=np.nan).reshape(-1, each) for x in (wave, flux))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of bins without data
        wave, binned = (np.nanmean(part.astype(float), axis=1) for part in parts)
    return wave, binned


def _flux(ax: Axes, wave: Floats, flux: Floats) -> None:
    """The curve, with limits that a few bad pixels do not stretch."""
    ax.plot(wave, flux, color=INK, lw=0.6)
    low, high = np.nanpercentile(flux, (0.5, 99.5)) if np.isfinite(flux).any() else (0.0, 1.0)
    room = 0.3 * (high - low) or 1.0
    ax.set_ylim(low - room, high + room)
    ax.grid(False)


def _relevance(ax: Axes, relevance: Relevance) -> None:
    """Relevance for each Angstrom, so that areas are shares."""
    ax.stairs(relevance.share / np.diff(relevance.edges), relevance.edges, fill=True, color=FILL)
    ax.set_ylim(bottom=0)
    ax.set_yticks([])
    ax.set_ylabel("Relevance", rotation=0, ha="right", va="center", labelpad=4, fontsize=6.5)
    ax.grid(False)


def mark_lines(
    axes: Sequence[Axes], label: str | None, z: float | None, colour: str, top: bool
) -> None:
    """Mark a class's strong lines at a redshift, named at the first axes' top or bottom."""
    if label is None or z is None:
        return
    low, high = axes[0].get_xlim()
    end = -np.inf
    for name in LINES.get(label, ()):
        wave = WAVELENGTHS[name] * (1 + z)
        if not low < wave < high:
            continue
        for ax in axes:
            ax.axvline(wave, color=colour, lw=0.7, ls="-" if top else (0, (3, 2)), alpha=0.6)
        # A name that would stand on the one before is left out; its line stays.
        if wave - end > 0.025 * (high - low):
            axes[0].annotate(
                name,
                (wave, 1.0 if top else 0.0),
                (-1, -2 if top else 2),
                axes[0].get_xaxis_transform(),
                "offset points",
                ha="right",
                va="top" if top else "bottom",
                rotation=90,
                fontsize=6,
                color=colour,
            )
            end = wave
