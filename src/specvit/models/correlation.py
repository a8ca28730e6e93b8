"""Redshift by cross-correlation with learned rest-frame templates, on the tokens of the patches.

A redshift moves every line by the same step in log-wavelength, and where a patch lies in
log-wavelength is known from the plot. So each patch token is turned into a few channels over the
stretch of wavelength that its patch shows, the stretches are put together to a sequence over
log-wavelength, and the weight of a redshift is the sequence's cross-correlation with templates at
that shift (the idea of Tonry & Davis 1979, with features and templates both learned). A line
learned at one redshift is known at all others, which a linear map from one pooled token has to
learn bin by bin.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from scipy.fft import next_fast_len
from torch import Tensor, nn

from specvit.config.data import Grid, Render
from specvit.models.redshift import Bins
from specvit.plot.modes import panel_count, panel_tops

CHANNELS = 16


@dataclass(frozen=True)
class TokenLayout:
    """Where the tokens of a plot lie in log-wavelength.

    A patch covers `parts` stretches of wavelength in each of up to `slots` panels of the plot
    (panels: `specvit.plot.modes`).
    """

    rows: int
    """Rows of patches."""
    columns: int
    """Patches in a row."""
    slots: int
    parts: int
    panels: Tensor
    """(rows, slots, panels): share of a row's slot in a panel; those of a panel add up to 1."""
    cells: Tensor
    """(panels x columns x parts, cells): mean over each cell of the wavelength sequence."""

    @classmethod
    def of(cls, render: Render, grid: Grid, patch: tuple[int, int], bins: Bins) -> TokenLayout:
        """Layout of plots cut into patches of (height, width); cells are as wide as the bins."""
        rows, columns = render.size // patch[0], render.size // patch[1]
        count = panel_count(render)
        tops, ends = _panel_rows(render, count)
        edges = np.arange(rows + 1)[:, None] * patch[0]
        touched = (edges[:-1] < ends) & (edges[1:] > tops)  # (rows, panels)
        slots = int(touched.sum(axis=1).max())
        panels = np.zeros((rows, slots, count))
        for row, panel in zip(*np.nonzero(touched), strict=True):
            slot = panel - np.flatnonzero(touched[row])[0]
            panels[row, slot, panel] = 1 / touched[:, panel].sum()
        span = math.log(grid.wave_max / grid.wave_min) / bins.width  # of all panels, in bins
        # No finer than the bins, nor than the pixels.
        parts = min(patch[1], math.ceil(span / (count * columns)))
        return cls(
            *(rows, columns, slots, parts),
            torch.from_numpy(panels).float(),
            torch.from_numpy(_cells(render, count, columns * parts, span)).float(),
        )


def _panel_rows(render: Render, count: int) -> tuple[np.ndarray, np.ndarray]:
    """First pixel row of each panel and the one behind its last."""
    if render.mode in ("line", "overlap"):
        return np.zeros(count), np.full(count, render.size)
    tops = panel_tops(render)
    return tops, np.append(tops[1:], render.size)


def _cells(render: Render, panels: int, stretches: int, span: float) -> np.ndarray:
    """Share of each cell that each stretch of each panel covers, (panels x stretches, cells)."""
    edges = np.linspace(0, span, panels * stretches + 1)
    cell = np.arange(math.ceil(span))
    low = np.maximum(edges[:-1, None], cell)
    high = np.minimum(edges[1:, None], cell + 1)
    shares = np.clip(high - low, 0, None).reshape(panels, stretches, -1)
    if render.boustrophedon:
        shares[1::2] = shares[1::2, ::-1]
    return np.asarray(shares.reshape(panels * stretches, -1))


class TemplateCorrelation(nn.Module):
    """From patch tokens (n, rows x columns, width) to weights on redshift bins (n, bins)."""

    panels: Tensor
    cells: Tensor

    def __init__(self, width: int, layout: TokenLayout, bins: Bins) -> None:
        super().__init__()
        self.layout, self.bins = layout, bins
        # Not saved: they follow from the settings.
        self.register_buffer("panels", layout.panels, persistent=False)
        self.register_buffer("cells", layout.cells, persistent=False)
        self.norm = nn.LayerNorm(width)
        self.emit = nn.Linear(width, layout.slots * layout.parts * CHANNELS)
        # Redshift bin k moves rest-frame cell m to observed cell m + k - (bins - 1).
        self.templates = nn.Parameter(torch.empty(CHANNELS, layout.cells.shape[1] + bins.count - 1))
        self.length: int = next_fast_len(self.templates.shape[1], real=True)
        nn.init.normal_(self.emit.weight, std=0.02)
        nn.init.zeros_(self.emit.bias)
        nn.init.normal_(self.templates, std=0.05)

    def sequence(self, patches: Tensor) -> Tensor:
        """Channels over log-wavelength, (n, CHANNELS, cells)."""
        layout = self.layout
        cells = (layout.rows, layout.columns, layout.slots, layout.parts)
        shape = (patches.shape[0], *cells, CHANNELS)
        emitted = self.emit(self.norm(patches)).view(shape)
        in_panels = torch.einsum("nyxspc,ysq->ncqxp", emitted, self.panels)
        return torch.matmul(in_panels.flatten(2), self.cells)

    def correlate(self, sequence: Tensor) -> Tensor:
        """Weight of bin k: sum over channels and cells of the sequence times the moved template."""
        template = torch.fft.rfft(self.templates, self.length)
        product = torch.fft.rfft(sequence, self.length).conj() * template
        lags: Tensor = torch.fft.irfft(product.sum(dim=1), self.length)
        return lags[:, : self.bins.count].flip(1)

    def forward(self, patches: Tensor) -> Tensor:
        """Weights of the redshift bins, (n, bins)."""
        return self.correlate(self.sequence(patches))
