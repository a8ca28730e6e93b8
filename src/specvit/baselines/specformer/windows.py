"""Flux as tokens: windows that overlap by half, and one token for mean and scale.

As in AstroCLIP: a spectrum is standardised, cut into windows of 20 pixels that begin every 10, and
one token before them tells mean and scale. Every token has two places in front of its window, in
which that first token alone has numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from specvit.baselines.features import fill_gaps
from specvit.config.data import Grid
from specvit.spectrum.grid import bin_centres, bin_edges

WINDOW, STEP = 20, 10  # pixels
TOKEN = 2 + WINDOW
SCALE = 2.0
"""Standard deviation to which a spectrum is brought first, in AstroCLIP's unit of flux: where its
own token for the scale has its zero. The rows of a run say nothing of brightness."""
PUBLISHED = 3600 + 0.8 * np.arange(7781)
"""Wavelengths of the published weights' pixels, in Angstrom in vacuum: DESI's."""


@dataclass(frozen=True)
class Windows:
    """How the flux of a run becomes tokens."""

    grid: Grid
    published: bool = False
    """Whether flux is brought to the pixels of the published weights first."""

    @property
    def count(self) -> int:
        """Number of windows, without the token before them."""
        pixels = len(PUBLISHED) if self.published else self.grid.pixels
        return (pixels - WINDOW) // STEP + 1

    def tokens(self, flux: NDArray[np.float16]) -> NDArray[np.float32]:
        """Tokens (n, 1 + count, TOKEN) of flux (n, pixels); pixels without data are filled first.

        A pixel of the published grid that the run's own does not reach holds the mean.
        """
        filled = fill_gaps(flux)
        mean = filled.mean(axis=1, keepdims=True)
        std = filled.std(axis=1, ddof=1, keepdims=True)
        std = np.where(std > 0, std, 1)
        pixels = (filled - mean) / std
        if self.published:
            wave = 10 ** bin_centres(self.grid, self.grid.pixels)
            pixels = np.stack([np.interp(PUBLISHED, wave, row, 0, 0) for row in pixels])
        tokens = np.zeros((len(flux), 1 + self.count, TOKEN), np.float32)
        tokens[:, 1:, 2:] = sliding_window_view(pixels, WINDOW, axis=1)[:, ::STEP]
        # (mean - 2) / 2 and (std - 2) / 8 are AstroCLIP's; the latter is 0 at SCALE.
        tokens[:, 0, 0] = (SCALE * mean / std - 2)[:, 0] / 2
        return tokens

    def edges(self) -> NDArray[np.float64]:
        """Where each window's middle half begins and the last one's ends, in ln(Angstrom).

        The windows' middle halves lie side by side: (count + 1,).
        """
        if self.published:
            pixel_edges = np.log(np.append(PUBLISHED, PUBLISHED[-1] + 0.8) - 0.4)
        else:
            pixel_edges = bin_edges(self.grid, self.grid.pixels) * np.log(10)
        first = (WINDOW - STEP) // 2
        return np.asarray(pixel_edges[first : first + STEP * self.count + 1 : STEP])
