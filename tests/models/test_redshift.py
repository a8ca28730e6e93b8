import math

import numpy as np
import pytest
import torch
from scipy.interpolate import BSpline
from scipy.stats import kstest, norm

from specvit.config.learning import RedshiftBins
from specvit.models.redshift import CELLS, Bins, Density, log_density, negative_log_density

BINS = Bins.of(RedshiftBins(z_min=-0.02, z_max=7.0, bins=256))


def gaussian_weights(x, sigma, bins=BINS):
    """Weights of a Gaussian at x of width sigma, both (n,) in bins: the spline of a parabola.

    A cubic B-spline whose coefficients are a parabola's values is that parabola less a constant
    (1/6 of the second derivative), which a density does not see.
    """
    centres = torch.arange(bins.count, dtype=torch.float64) + 0.5
    return -0.5 * ((centres - x[:, None]) / sigma[:, None]) ** 2


def test_bins_span_the_range_evenly_in_log_one_plus_z():
    edges = BINS.redshift(torch.tensor([0.0, 128.0, 256.0], dtype=torch.float64))
    assert edges[0].item() == pytest.approx(-0.02)
    assert edges[2].item() == pytest.approx(7.0)
    assert (1 + edges[1].item()) ** 2 == pytest.approx((1 - 0.02) * (1 + 7.0))
    assert torch.allclose(BINS.redshift(BINS.position(edges)), edges)


def test_the_density_is_scipys_spline_and_what_training_scores():
    torch.manual_seed(1)
    weights = torch.randn(3, BINS.count, dtype=torch.float64)
    middles = (np.arange(BINS.count * CELLS) + 0.5) / CELLS
    knots = np.arange(-2, BINS.count + 6) - 1.5  # a coefficient at each bin's centre
    ends = np.pad(weights.numpy(), ((0, 0), (2, 2)), mode="edge")
    splines = [BSpline(knots, row, 3)(middles) for row in ends]
    found = log_density(weights).numpy()
    assert found == pytest.approx(np.array(splines), abs=1e-9)
    mass = np.exp(found) / np.exp(found).sum(axis=1, keepdims=True)
    x = torch.tensor([3.2, 100.0, 200.9], dtype=torch.float64)
    pdf = CELLS * mass[np.arange(3), (x.numpy() * CELLS).astype(int)]
    assert negative_log_density(weights, x, BINS).numpy() == pytest.approx(-np.log(pdf), rel=1e-9)
    edges = np.arange(BINS.count * CELLS + 1) / CELLS
    cdf = [np.interp(v, edges, np.append(0, m.cumsum())) for v, m in zip(x, mass, strict=True)]
    below = Density.of(weights, BINS).probability_below(x).numpy()
    assert below == pytest.approx(np.array(cdf), abs=1e-12)


def test_the_density_ends_with_the_bins():
    x = torch.tensor([0.0, 0.1, 255.9, 256.0], dtype=torch.float64)
    density = Density.of(gaussian_weights(x, torch.full_like(x, 2.0)), BINS)
    assert density.cumulative[:, 0].tolist() == [0, 0, 0, 0]
    assert density.cumulative[:, -1].numpy() == pytest.approx(1)
    low, high = density.interval_around(density.expectation_in_peak())
    assert torch.all((low >= 0) & (high <= 256) & (low < high))
    assert torch.isfinite(negative_log_density(torch.zeros(4, BINS.count), x, BINS)).all()


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
    assert torch.all((found - x).abs() < 1 / CELLS)


def test_the_second_peak_is_a_peak_of_its_own():
    x = torch.tensor([60.0, 60.0, 60.0, 60.0], dtype=torch.float64)
    main = torch.softmax(gaussian_weights(x, torch.full_like(x, 1.5)), dim=1)
    other = torch.softmax(gaussian_weights(x + 100, torch.full_like(x, 3.0)), dim=1)
    broad = torch.softmax(gaussian_weights(x, torch.full_like(x, 30.0)), dim=1)
    shares = [0.7 * main + 0.3 * other, 0.2 * main + 0.8 * other, main, 0.5 * main + 0.5 * broad]
    rows = torch.stack([share[i] for i, share in enumerate(shares)])
    density = Density.of(torch.log(rows + 1e-300), BINS)
    second, probability = density.second_peak()
    assert density.expectation_in_peak()[:2].tolist() == pytest.approx([60, 160], abs=0.1)
    assert second[:2].tolist() == pytest.approx([160, 60], abs=0.1)
    # A peak ends at a tenth of its height: some per cent of it are outside.
    assert probability[:2].tolist() == pytest.approx([0.3, 0.2], rel=0.1)
    # The wings of one peak, however broad, are no second one, nor is what rounding leaves.
    assert torch.isnan(second[2:]).all()
    assert probability[2:].tolist() == [0, 0]


def test_expectation_in_the_peak_beats_the_bin_width_and_ignores_a_lower_peak():
    torch.manual_seed(2)
    x = 20 + 200 * torch.rand(500, dtype=torch.float64)
    main = torch.softmax(gaussian_weights(x, torch.full_like(x, 1.5)), dim=1)
    other = torch.softmax(gaussian_weights((x + 100) % 240, torch.full_like(x, 3.0)), dim=1)
    weights = torch.log(0.7 * main + 0.3 * other + 1e-30)
    found = Density.of(weights, BINS).expectation_in_peak()
    assert (found - x).abs().max() < 0.1
    at_bin_centre = weights.argmax(dim=1) + 0.5
    assert (found - x).abs().mean() < 0.2 * (at_bin_centre - x).abs().mean()


@pytest.mark.parametrize(("narrowest", "widest"), [(0.15, 0.9), (1.0, 4.0)])
def test_pit_of_a_calibrated_model_is_uniform_and_intervals_cover_68_percent(narrowest, widest):
    """Errors well below a bin and above one: every spectrum has a width of its own."""
    torch.manual_seed(3)
    n = 4000
    sigma = narrowest + (widest - narrowest) * torch.rand(n, dtype=torch.float64)
    centre = 30 + 190 * torch.rand(n, dtype=torch.float64)
    truth = centre + sigma * torch.randn(n, dtype=torch.float64)
    density = Density.of(gaussian_weights(centre, sigma), BINS)
    assert kstest(density.probability_below(truth).numpy(), "uniform").pvalue > 0.01
    predicted = density.expectation_in_peak()
    # The peak ends at a tenth of its height, in whole cells.
    assert (predicted - centre).abs().max() < 1 / CELLS
    low, high = density.interval_around(predicted)
    covered = ((truth > low) & (truth < high)).double().mean().item()
    assert covered == pytest.approx(0.68, abs=4 * math.sqrt(0.68 * 0.32 / n))
    # Of a Gaussian the shortest interval is the central one.
    wide = sigma > 3 / CELLS
    expected = 2 * norm.ppf(0.84) * sigma[wide].numpy()
    assert (high - low)[wide].numpy() == pytest.approx(expected, rel=0.05)


def test_training_finds_the_width_of_errors_smaller_than_a_bin():
    """One answer for all; the truth scatters around it by 0.3 bins: the score finds the scatter."""
    torch.manual_seed(6)
    truth = 100.37 + 0.3 * torch.randn(2000, dtype=torch.float64)
    weights = torch.zeros(1, BINS.count, requires_grad=True)
    optimiser = torch.optim.Adam([weights], lr=0.3)
    for _ in range(150):
        optimiser.zero_grad()
        negative_log_density(weights.expand(2000, -1), truth, BINS).mean().backward()
        optimiser.step()
    density = Density.of(weights.detach(), BINS)
    predicted = density.expectation_in_peak()
    assert predicted.item() == pytest.approx(100.37, abs=0.05)
    low, high = density.interval_around(predicted)
    assert (high - low).item() == pytest.approx(2 * norm.ppf(0.84) * 0.3, rel=0.1)
    covered = ((truth > low) & (truth < high)).double().mean().item()
    assert covered == pytest.approx(0.68, abs=0.05)


def test_intervals_of_a_calibrated_model_with_two_peaks_cover_68_percent():
    """The wrong line taken for Lyman alpha: 60 % here, 40 % there."""
    torch.manual_seed(4)
    n = 4000
    first = 30 + 80 * torch.rand(n, dtype=torch.float64)
    width = torch.full((n,), 2.0, dtype=torch.float64)
    here = torch.softmax(gaussian_weights(first, width), dim=1)
    there = torch.softmax(gaussian_weights(first + 60, width), dim=1)
    density = Density.of(torch.log(0.6 * here + 0.4 * there + 1e-30), BINS)
    truth = first + 60 * (torch.rand(n) > 0.6) + 2.0 * torch.randn(n, dtype=torch.float64)
    predicted = density.expectation_in_peak()
    low, high = density.interval_around(predicted)
    assert torch.all((low <= predicted) & (predicted <= high))
    covered = ((truth > low) & (truth < high)).double().mean().item()
    assert covered == pytest.approx(0.68, abs=0.03)
    assert kstest(density.probability_below(truth).numpy(), "uniform").pvalue > 0.01


def test_a_narrow_peak_of_less_probability_is_not_the_answer_though_it_is_higher():
    x = torch.tensor([100.0], dtype=torch.float64)
    wide = torch.softmax(log_density(gaussian_weights(x, torch.full_like(x, 0.6))), dim=1)
    narrow = torch.softmax(log_density(gaussian_weights(x + 50, torch.full_like(x, 0.15))), dim=1)
    mass = 0.7 * wide + 0.3 * narrow
    assert mass.argmax().item() == pytest.approx(150 * CELLS, abs=1)
    cumulative = torch.cat([torch.zeros(1, 1), mass.cumsum(dim=1)], dim=1)
    edges = torch.arange(mass.shape[1] + 1, dtype=torch.float64) / CELLS
    density = Density(BINS, edges, mass, cumulative)
    assert density.expectation_in_peak().item() == pytest.approx(100, abs=0.05)


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
