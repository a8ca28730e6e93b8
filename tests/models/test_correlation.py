import math

import numpy as np
import pytest
import torch

from specvit.config.data import Grid, Render
from specvit.config.learning import RedshiftBins
from specvit.models.correlation import TemplateCorrelation, TokenLayout
from specvit.models.redshift import Bins
from specvit.plot import draw
from specvit.spectrum.types import Header, Spectrum

GRID = Grid()
BINS = Bins.of(RedshiftBins(z_min=-0.01, z_max=2.0, bins=400))
HEADER = Header(**dict.fromkeys(Header.__dataclass_fields__))


def spectrum_with_line(wave):
    """Flat, with one narrow bright line; as many pixels as SDSS has."""
    loglam = np.linspace(np.log10(3700), np.log10(9300), 4000)
    flux = 1 + 50 * np.exp(-0.5 * ((loglam - np.log10(wave)) / 3e-4) ** 2)
    ones = np.ones(len(loglam), dtype=np.float32)
    return Spectrum(HEADER, loglam, flux.astype(np.float32), ones, ones.astype(bool))


def brightness(picture, render, layout, patch):
    """What a layout expects tokens to emit, made from the pixels: brightness by slot and part.

    Each panel's own pixel rows, or channel, are looked at with no help from the layout.
    """
    size, panels = render.size, layout.panels.shape[2]
    emitted = torch.zeros(1, layout.rows, layout.columns, layout.slots, layout.parts, 1)
    for row in range(layout.rows):
        for slot in range(layout.slots):
            panel = int(layout.panels[row, slot].argmax())
            if layout.panels[row, slot, panel] == 0:
                continue
            if render.mode == "overlap":
                band, top, end = picture[..., panel], 0, size
            elif render.mode == "line":
                band, top, end = picture, 0, size
            else:
                band, top = picture, panel * size // panels
                end = (panel + 1) * size // panels
            inside = slice(max(top, row * patch), min(end, (row + 1) * patch))
            columns = band[inside].astype(float).sum(axis=0)
            # Parts need not divide the pixels of a patch: sampled at their middles.
            places = (np.arange(layout.columns * layout.parts) + 0.5) * patch / layout.parts
            sampled = columns[places.astype(int)].reshape(layout.columns, layout.parts)
            emitted[0, row, :, slot, :, 0] = torch.from_numpy(sampled)
    return emitted


@pytest.mark.parametrize(
    ("render", "patch"),
    [
        (Render(mode="stacked", size=64, rows=8), 8),
        (Render(mode="stacked", size=224, rows=7), 16),
        (Render(mode="stacked", size=224, rows=10), 14),  # patches across two rows of the plot
        (Render(mode="line", size=64), 8),
        (Render(mode="overlap", size=64), 16),
        (Render(mode="map", size=64, rows=64), 8),
        (Render(mode="map", size=64, rows=16, boustrophedon=True), 8),
        (Render(mode="map", size=60, rows=7), 12),
    ],
    ids=str,
)
def test_a_line_is_found_at_its_wavelength_in_every_kind_of_plot(render, patch):
    layout = TokenLayout.of(render, GRID, (patch, patch), BINS)
    assert torch.allclose(layout.panels.sum(dim=(0, 1)), torch.ones(layout.panels.shape[2]))
    for wave in (3912.0, 5000.0, 6300.0, 9050.0):
        picture = draw(spectrum_with_line(wave), render, GRID)
        emitted = brightness(picture, render, layout, patch)
        in_panels = torch.einsum("nyxspc,ysq->ncqxp", emitted, layout.panels)
        sequence = (in_panels.flatten(2) @ layout.cells)[0, 0].numpy()
        cell = math.log(wave / GRID.wave_min) / BINS.width - 0.5
        # One pixel column of the plot, where that is wider than a cell.
        span = math.log(GRID.wave_max / GRID.wave_min) / BINS.width
        column = span / (layout.panels.shape[2] * render.size)
        brightest = np.flatnonzero(sequence > 0.9 * sequence.max())
        assert np.abs(brightest - cell).min() <= 1 + column


def test_the_sequence_keeps_its_mean_whatever_the_layout():
    for mode, rows, patch in (("stacked", 8, 8), ("line", 7, 16), ("map", 64, 8)):
        render = Render(mode=mode, size=64, rows=rows)
        layout = TokenLayout.of(render, GRID, (patch, patch), BINS)
        module = TemplateCorrelation(12, layout, BINS)
        torch.nn.init.zeros_(module.emit.weight)
        torch.nn.init.ones_(module.emit.bias)
        patches = torch.randn(2, layout.rows * layout.columns, 12)
        sequence = module.sequence(patches)
        assert sequence.shape[0] == 2
        # The last cell is covered in part.
        assert torch.allclose(sequence[..., :-1], torch.tensor(1.0), atol=1e-5)


@pytest.fixture
def module():
    torch.manual_seed(0)
    layout = TokenLayout.of(Render(size=64, rows=8), GRID, (8, 8), BINS)
    return TemplateCorrelation(12, layout, BINS)


def test_weights_are_the_sum_of_sequence_times_moved_template(module):
    cells = module.cells.shape[1]
    sequence = torch.randn(2, module.templates.shape[0], cells)
    weights = module.correlate(sequence)
    assert weights.shape == (2, BINS.count)
    for k in (0, 1, 200, BINS.count - 1):
        start = BINS.count - 1 - k
        moved = module.templates[:, start : start + cells]
        assert torch.allclose(weights[:, k], (sequence * moved).sum(dim=(1, 2)), atol=1e-4)


def test_features_moved_by_a_bin_move_the_answer_by_a_bin(module):
    sequence = torch.zeros(1, module.templates.shape[0], module.cells.shape[1])
    sequence[..., 100:120] = torch.randn(module.templates.shape[0], 20)
    here, there = module.correlate(sequence), module.correlate(sequence.roll(3, dims=2))
    assert torch.allclose(here[:, :-3], there[:, 3:], atol=1e-4)


def test_its_gradient_reaches_tokens_and_templates(module):
    patches = torch.randn(2, 64, 12, requires_grad=True)
    module(patches).square().sum().backward()
    assert torch.isfinite(patches.grad).all()
    assert (patches.grad.abs().sum(dim=2) > 0).all()
    assert (module.templates.grad.abs().sum(dim=1) > 0).all()
