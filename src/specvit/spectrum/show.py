"""A spectrum as people look at it: flux over wavelength, with matplotlib."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from specvit.spectrum.types import Spectrum

FRAME = (0.5, 99.8)
"""Percentiles of good flux that the axis holds, with a margin: no cosmic ray sets it."""
MARGIN = 0.15


def plot_spectrum(spectrum: Spectrum, axes: Any, *, errors: bool) -> Any:
    """See Spectrum.plot."""
    if axes is None:
        import matplotlib.pyplot as plt

        _, axes = plt.subplots(figsize=(9, 3.2), layout="constrained")
    wave = spectrum.wavelength
    flux = np.where(spectrum.good, spectrum.flux, np.nan)
    if errors:
        with np.errstate(divide="ignore"):
            sigma = np.where(spectrum.good, 1 / np.sqrt(spectrum.ivar), np.nan)
        axes.fill_between(wave, flux - sigma, flux + sigma, color="0.8", linewidth=0)
    axes.plot(wave, flux, color="0.15", linewidth=0.7)
    low, high = np.nanpercentile(flux, FRAME)
    if high > low:
        axes.set_ylim(low - MARGIN * (high - low), high + MARGIN * (high - low))
    axes.set_xlim(wave[0], wave[-1])
    axes.set_xlabel("vacuum wavelength [Å]")
    axes.set_ylabel("flux")
    header = spectrum.header
    parts = (header.survey.upper(), header.identity, header.class_)
    axes.set_title("  ".join(part for part in parts if part), fontsize=10)
    return axes
