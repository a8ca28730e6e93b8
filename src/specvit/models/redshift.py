"""A probability density of redshift, from weights on bins of log(1+z).

With x = ln(1+z) in units of bins, the density is a mixture of Gaussians of one width at the
centres of the bins, p(x) = sum_k pi_k N(x; k + 1/2, sigma). Training minimises -ln p(x_true), a
proper score, so that intervals and PIT need no later correction (spreading the true redshift over
bins and taking the cross-entropy would widen every answer by that spread a second time).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from specvit.config.learning import RedshiftBins
from specvit.predictions import COVERAGE

PEAK_FRACTION = 0.1
"""A peak ends where the density falls below this share of its maximum."""
LEVELS = 65
"""Intervals tried between the two extreme ones that contain the prediction."""


@dataclass(frozen=True)
class Bins:
    """The bins; x is ln(1+z) in units of bins from the first bin's lower edge."""

    count: int
    low: float
    """ln(1+z) at the first bin's lower edge."""
    width: float
    """Width of a bin in ln(1+z)."""
    sigma: float
    """Width (standard deviation) of each bin's Gaussian, in bins."""

    @classmethod
    def of(cls, settings: RedshiftBins) -> Bins:
        """The bins of these settings."""
        low, high = math.log1p(settings.z_min), math.log1p(settings.z_max)
        return cls(settings.bins, low, (high - low) / settings.bins, settings.smoothing_bins)

    def position(self, z: Tensor) -> Tensor:
        """X of a redshift, float64."""
        return (torch.log1p(z.double()) - self.low) / self.width

    def redshift(self, x: Tensor) -> Tensor:
        """Redshift at a position."""
        return torch.expm1(x * self.width + self.low)

    def inside(self, z: Tensor) -> Tensor:
        """Whether a redshift is known (not nan) and inside the bins."""
        x = self.position(z)
        return (x >= 0) & (x <= self.count)


def negative_log_density(logits: Tensor, x: Tensor, bins: Bins) -> Tensor:
    """-ln p(x) in nats a bin, of shape (n,); logits (n, bins), x (n,) finite."""
    centres = torch.arange(bins.count, device=logits.device, dtype=torch.float64) + 0.5
    offset = ((x[:, None] - centres) / bins.sigma).to(logits.dtype)
    kernel = -0.5 * offset**2 - math.log(bins.sigma * math.sqrt(2 * math.pi))
    return -torch.logsumexp(functional.log_softmax(logits, dim=1) + kernel, dim=1)


@dataclass(frozen=True)
class Density:
    """Densities of n spectra on a fine grid of x."""

    bins: Bins
    edges: Tensor
    """(cells + 1,) positions of the cells' edges, float64."""
    mass: Tensor
    """(n, cells) probability in each cell, float64."""
    cumulative: Tensor
    """(n, cells + 1) probability below each edge."""

    @classmethod
    def of(cls, logits: Tensor, bins: Bins) -> Density:
        """Evaluate the mixtures; the grid has at least two cells a sigma and four a bin."""
        cells = max(4, math.ceil(2 / bins.sigma))
        reach = math.ceil(6 * bins.sigma + 0.5)  # bins on either side that a Gaussian reaches
        # Mass of the Gaussian at 0.5 in cell j of each bin from -reach to +reach.
        edges = torch.arange(-reach * cells, (reach + 1) * cells + 1, dtype=torch.float64) / cells
        below = torch.special.ndtr((edges - 0.5) / bins.sigma)
        kernel = (below[1:] - below[:-1]).view(2 * reach + 1, cells)
        kernel = kernel.flip(0).T[:, None, :].to(logits.device)  # conv1d correlates: reversed
        weights = torch.softmax(logits.double(), dim=1)[:, None, :]
        mass = functional.conv1d(weights, kernel, padding=2 * reach).transpose(1, 2).flatten(1)
        mass = mass / mass.sum(dim=1, keepdim=True)
        grid = torch.arange(mass.shape[1] + 1, dtype=torch.float64, device=logits.device)
        cumulative = functional.pad(mass.cumsum(dim=1), (1, 0)).clamp(max=1.0)
        return cls(bins, grid / cells - reach, mass, cumulative)

    def expectation_in_peak(self) -> Tensor:
        """Mean of x inside the highest peak, (n,): finer than the bins, deaf to other peaks."""
        top, at = self.mass.max(dim=1, keepdim=True)
        cell = torch.arange(self.mass.shape[1], device=self.mass.device)
        low = self.mass < PEAK_FRACTION * top
        first = torch.where(low & (cell < at), cell, -1).amax(dim=1, keepdim=True)
        last = torch.where(low & (cell > at), cell, len(cell)).amin(dim=1, keepdim=True)
        peak = torch.where((cell > first) & (cell < last), self.mass, 0.0)
        middle = (self.edges[1:] + self.edges[:-1]) / 2
        return (peak * middle).sum(dim=1) / peak.sum(dim=1)

    def probability_below(self, x: Tensor) -> Tensor:
        """Cumulative probability at x, (n,); nan where x is."""
        step = self.edges[1] - self.edges[0]
        position = ((x - self.edges[0]) / step).clamp(0, self.mass.shape[1])
        cell = torch.nan_to_num(position).long().clamp(max=self.mass.shape[1] - 1)[:, None]
        part = position[:, None] - cell
        return (self.cumulative.gather(1, cell) + part * self.mass.gather(1, cell))[:, 0]

    def quantile(self, probability: Tensor) -> Tensor:
        """Positions at which the cumulative probability, (n, m), is reached."""
        inner = self.cumulative[:, 1:].contiguous()
        cell = torch.searchsorted(inner, probability.contiguous()).clamp(max=inner.shape[1] - 1)
        part = (probability - self.cumulative.gather(1, cell)) / self.mass.gather(1, cell)
        step = self.edges[1] - self.edges[0]
        return self.edges[cell] + part.nan_to_num(0.0).clamp(0, 1) * step

    def interval_around(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Shortest interval of 68 % of the probability that contains x; two tensors (n,).

        The central interval (16 % to 84 %) can lie beside the highest peak when there are several.
        """
        below = self.probability_below(x)[:, None]
        first = (below - COVERAGE).clamp(0, 1 - COVERAGE)
        last = below.clamp(0, 1 - COVERAGE)
        share = torch.linspace(0, 1, LEVELS, dtype=torch.float64, device=x.device)
        start = first + share * (last - first)
        low, high = self.quantile(start), self.quantile(start + COVERAGE)
        best = (high - low).argmin(dim=1, keepdim=True)
        low, high = low.gather(1, best)[:, 0], high.gather(1, best)[:, 0]
        return torch.minimum(low, x), torch.maximum(high, x)
