"""A probability density of redshift, from weights on bins of log(1+z).

With x = ln(1+z) in units of bins, the logarithm of the density is, up to a constant, the cubic
B-spline that has the weights as its coefficients, one at the centre of each bin: the parabola of a
Gaussian of any width and place is such a spline, so that every spectrum has a width of its own, and
finer than a bin where its lines are sharp. The density is constant in each of CELLS cells of a bin
and 0 outside the bins. Training minimises -ln p(x_true), the proper score of that same density:
what is trained, what gives intervals and what gives the PIT are one thing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from specvit.config.learning import RedshiftBins
from specvit.predictions import COVERAGE

CELLS = 8
"""Cells of a bin; no interval is narrower than 0.68 of a cell."""
REACH = 2
"""Bins on either side that a bin's weight reaches."""
PEAK_FRACTION = 0.1
"""A peak ends where the density falls below this share of its maximum."""
LEAST_PEAK = 0.01
"""Probability from which a second peak counts as one."""
LEVELS = 65
"""Intervals tried between the two extreme ones that contain the prediction."""
WINDOW = 8
"""Bins that are taken together in what classes are told of a redshift."""


@dataclass(frozen=True)
class Bins:
    """The bins; x is ln(1+z) in units of bins from the first bin's lower edge."""

    count: int
    low: float
    """ln(1+z) at the first bin's lower edge."""
    width: float
    """Width of a bin in ln(1+z)."""

    @classmethod
    def of(cls, settings: RedshiftBins) -> Bins:
        """The bins of these settings."""
        low, high = math.log1p(settings.z_min), math.log1p(settings.z_max)
        return cls(settings.bins, low, (high - low) / settings.bins)

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


def log_density(weights: Tensor) -> Tensor:
    """Logarithm of the density at the middle of each cell, up to a constant: (n, bins x CELLS).

    `weights` (n, bins) are the coefficients of a cubic B-spline; beyond the ends they go on alike.
    """
    # Made where the weights are: a copy from pageable memory would wait for all that a card does.
    device = weights.device
    middle = (torch.arange(CELLS, dtype=torch.float64, device=device) + 0.5) / CELLS - 0.5
    distance = (middle[:, None] - torch.arange(-REACH, REACH + 1, device=device)).abs()
    near, far = 2 / 3 - distance**2 + distance**3 / 2, (2 - distance).clamp(min=0) ** 3 / 6
    kernel = torch.where(distance < 1, near, far)[:, None, :].to(weights)
    padded = functional.pad(weights[:, None, :], (REACH, REACH), mode="replicate")
    return functional.conv1d(padded, kernel).transpose(1, 2).flatten(1)


def negative_log_density(weights: Tensor, x: Tensor, bins: Bins) -> Tensor:
    """-ln p(x) in nats a bin, of shape (n,); weights (n, bins), x (n,) finite."""
    cell = (x * CELLS).long().clamp(0, bins.count * CELLS - 1)
    loss = functional.cross_entropy(log_density(weights), cell, reduction="none")
    return loss - math.log(CELLS)


def window_count(bins: Bins) -> int:
    """Windows of WINDOW bins that cover all bins."""
    return math.ceil(bins.count / WINDOW)


def window_evidence(weights: Tensor) -> Tensor:
    """How much more probable each window of redshifts is than among equals: (n, windows), >= 0.

    ln(1 + windows x probability): 0 where a redshift is not. Probabilities are those of the
    weights (n, bins) themselves; what the spline adds is finer than a window.
    """
    share = functional.pad(torch.softmax(weights, dim=1), (0, -weights.shape[1] % WINDOW))
    windows = share.view(len(share), -1, WINDOW).sum(dim=2)
    return torch.log1p(windows.shape[1] * windows)


@dataclass(frozen=True)
class Density:
    """Densities of n spectra."""

    bins: Bins
    edges: Tensor
    """(cells + 1,) positions of the cells' edges, float64."""
    mass: Tensor
    """(n, cells) probability in each cell, float64."""
    cumulative: Tensor
    """(n, cells + 1) probability below each edge."""

    @classmethod
    def of(cls, weights: Tensor, bins: Bins) -> Density:
        """The densities that these weights (n, bins) stand for."""
        mass = torch.softmax(log_density(weights.double()), dim=1)
        grid = torch.arange(mass.shape[1] + 1, dtype=torch.float64, device=weights.device)
        cumulative = functional.pad(mass.cumsum(dim=1), (1, 0)).clamp(max=1.0)
        return cls(bins, grid / CELLS, mass, cumulative)

    def expectation_in_peak(self) -> Tensor:
        """Mean of x inside the most probable peak, (n,): finer than the bins, deaf to other peaks.

        That is the peak with most probability within a bin's width, not the highest: a peak that
        is twice as narrow is not twice as probable.
        """
        return self._mean(self._peak_at(self._around().argmax(dim=1, keepdim=True)))

    def second_peak(self) -> tuple[Tensor, Tensor]:
        """Mean of x inside the second most probable peak, and the peak's probability; both (n,).

        A peak of its own is a local maximum outside the first peak. nan and 0 where there is none.
        """
        around = self._around()
        first = self._peak_at(around.argmax(dim=1, keepdim=True)) > 0
        highest = functional.max_pool1d(around[:, None], 2 * CELLS + 1, 1, CELLS)[:, 0]
        # Where the density falls away from the first peak there is no maximum.
        tops = torch.where((around == highest) & ~first, around, 0.0)
        place = tops.argmax(dim=1, keepdim=True)
        peak = torch.where(first, 0.0, self._peak_at(place, alone=True))
        probability = peak.sum(dim=1)
        found = (tops.amax(dim=1) > 0) & (probability >= LEAST_PEAK)
        probability = torch.where(found, probability, 0.0)
        return torch.where(found, self._mean(peak), torch.nan), probability

    def _around(self) -> Tensor:
        """Mean probability of the cells within a bin's width of each, (n, cells)."""
        return functional.avg_pool1d(self.mass[:, None], CELLS + 1, 1, CELLS // 2)[:, 0]

    def _peak_at(self, place: Tensor, *, alone: bool = False) -> Tensor:
        """Probability in each cell of the peak at or beside a cell (n, 1), 0 in all others.

        `alone`: it ends where a higher one rises, too.
        """
        cell = torch.arange(self.mass.shape[1], device=self.mass.device)
        near = (cell - place).abs() <= CELLS // 2
        top, at = torch.where(near, self.mass, 0.0).max(dim=1, keepdim=True)
        low = self.mass < PEAK_FRACTION * top
        if alone:
            low |= self.mass > top
        first = torch.where(low & (cell < at), cell, -1).amax(dim=1, keepdim=True)
        last = torch.where(low & (cell > at), cell, len(cell)).amin(dim=1, keepdim=True)
        return torch.where((cell > first) & (cell < last), self.mass, 0.0)

    def _mean(self, mass: Tensor) -> Tensor:
        """Mean of x under a part of the probability, (n,)."""
        middle = (self.edges[1:] + self.edges[:-1]) / 2
        return (mass * middle).sum(dim=1) / mass.sum(dim=1)

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
