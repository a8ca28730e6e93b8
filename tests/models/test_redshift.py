import math

import numpy as np
import pytest
import torch
from scipy.stats import kstest, norm

from specvit.config.learning import RedshiftBins
from specvit.models.redshift import Bins, Density, negative_log_density

BINS = Bins.of(RedshiftBins(z_min=-0.02, z_max=7.0, bins=256, smoothing_bins=0.7))


def gaussian_logits(x, sigma, bins=BINS):
    """Weights whose mixture is a Gaussian of this position and total width, both (n,) in bins."""
    centres = torch.arange(bins.count, dtype=torch.float64) + 0.5
    inner = torch.sqrt(sigma**2 - bins.sigma**2)[:, None]
    return -0.5 * ((centres - x[:, None]) / inner) ** 2


def test_bins_span_the_range_evenly_in_log_one_plus_z():
    edges = BINS.redshift(torch.tensor([0.0, 128.0, 256.0], dtype=torch.float64))
    assert edges[0].item() == pytest.approx(-0.02)
    assert edges[2].item() == pytest.approx(7.0)
    assert (1 + edges[1].item()) ** 2 == pytest.approx((1 - 0.02) * (1 + 7.0))
    assert torch.allclose(BINS.redshift(BINS.position(edges)), edges)


def test_the_density_is_the_mixture_that_training_scores():
    torch.manual_seed(1)
    logits = torch.randn(3, BINS.count, dtype=torch.float64)
    x = torch.tensor([3.2, 100.0, 200.9], dtype=torch.float64)
    weights = torch.softmax(logits, dim=1).numpy()
    centres = np.arange(BINS.count) + 0.5
    pdf = (weights * norm.pdf(x.numpy()[:, None], centres, BINS.sigma)).sum(axis=1)
    nll = negative_log_density(logits, x, BINS)
    assert nll.numpy() == pytest.approx(-np.log(pdf), rel=1e-9)
    cdf = (weights * norm.cdf(x.numpy()[:, None], centres, BINS.sigma)).sum(axis=1)
    # The grid is linear inside a cell.
    assert Density.of(logits, BINS).probability_below(x).numpy() == pytest.approx(cdf, abs=2e-4)


def test_minimising_the_loss_recovers_a_known_shift_finer_than_a_bin():
    z_true = torch.tensor([-0.001, 0.0123, 0.5, 2.345, 6.5], dtype=torch.float64)
    logits = torch.zeros(5, BINS.count, requires_grad=True)
    optimiser = torch.optim.Adam([logits], lr=0.3)
    x = BINS.position(z_true)
    for _ in range(100):
        optimiser.zero_grad()
        negative_log_density(logits, x, BINS).sum().backward()
        optimiser.step()
    found = Density.of(logits.detach(), BINS).expectation_in_peak()
    assert torch.all((found - x).abs() < 0.5)


def test_expectation_in_the_peak_beats_the_bin_width_and_ignores_a_lower_peak():
    torch.manual_seed(2)
    x = 20 + 200 * torch.rand(500, dtype=torch.float64)
    main = torch.softmax(gaussian_logits(x, torch.full_like(x, 1.5)), dim=1)
    other = torch.softmax(gaussian_logits((x + 100) % 240, torch.full_like(x, 3.0)), dim=1)
    logits = torch.log(0.7 * main + 0.3 * other)
    found = Density.of(logits, BINS).expectation_in_peak()
    assert (found - x).abs().max() < 0.1
    at_bin_centre = logits.argmax(dim=1) + 0.5
    assert (found - x).abs().mean() < 0.2 * (at_bin_centre - x).abs().mean()


def test_pit_of_a_calibrated_model_is_uniform_and_intervals_cover_68_percent():
    torch.manual_seed(3)
    n = 4000
    sigma = 1 + 3 * torch.rand(n, dtype=torch.float64)
    centre = 30 + 190 * torch.rand(n, dtype=torch.float64)
    truth = centre + sigma * torch.randn(n, dtype=torch.float64)
    density = Density.of(gaussian_logits(centre, sigma), BINS)
    assert kstest(density.probability_below(truth).numpy(), "uniform").pvalue > 0.01
    low, high = density.interval_around(density.expectation_in_peak())
    covered = ((truth > low) & (truth < high)).double().mean().item()
    assert covered == pytest.approx(0.68, abs=4 * math.sqrt(0.68 * 0.32 / n))
    # Of a Gaussian the shortest interval is the central one.
    assert (high - low).numpy() == pytest.approx(2 * norm.ppf(0.84) * sigma.numpy(), rel=0.05)


def test_intervals_of_a_calibrated_model_with_two_peaks_cover_68_percent():
    """The wrong line taken for Lyman alpha: 60 % here, 40 % there."""
    torch.manual_seed(4)
    n = 4000
    first = 30 + 80 * torch.rand(n, dtype=torch.float64)
    width = torch.full((n,), 2.0, dtype=torch.float64)
    here = torch.softmax(gaussian_logits(first, width), dim=1)
    there = torch.softmax(gaussian_logits(first + 60, width), dim=1)
    density = Density.of(torch.log(0.6 * here + 0.4 * there + 1e-30), BINS)
    truth = first + 60 * (torch.rand(n) > 0.6) + 2.0 * torch.randn(n, dtype=torch.float64)
    predicted = density.expectation_in_peak()
    low, high = density.interval_around(predicted)
    assert torch.all((low <= predicted) & (predicted <= high))
    covered = ((truth > low) & (truth < high)).double().mean().item()
    assert covered == pytest.approx(0.68, abs=0.03)
    assert kstest(density.probability_below(truth).numpy(), "uniform").pvalue > 0.01


def test_quantiles_invert_the_cumulative_probability():
    torch.manual_seed(5)
    density = Density.of(torch.randn(4, BINS.count) * 3, BINS)
    levels = torch.linspace(0.01, 0.99, 9, dtype=torch.float64).expand(4, 9)
    positions = density.quantile(levels)
    for level, position in zip(levels.T, positions.T, strict=True):
        assert density.probability_below(position).numpy() == pytest.approx(level.numpy(), abs=1e-9)


def test_redshifts_outside_the_bins_or_unknown_are_not_learned():
    z = torch.tensor([-0.5, -0.02, 0.0, 7.0, 7.1, math.nan], dtype=torch.float64)
    assert BINS.inside(z).tolist()[2:] == [True, True, False, False]
    assert BINS.inside(z).tolist()[0] is False
    assert torch.isnan(Density.of(torch.zeros(6, BINS.count), BINS).probability_below(z)[5:]).all()
