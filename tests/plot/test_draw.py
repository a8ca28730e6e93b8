"""Pictures: size and channels, properties that must hold, and inputs that are not spectra."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as some_arrays

from spectrum_files import LOGLAM, galaxy_flux, spectrum_of
from specvit.config.data import Grid, Render
from specvit.errors import SpectrumError
from specvit.plot import draw, render_hash

GRID = Grid()
SPAN = np.log10(GRID.wave_max / GRID.wave_min)
MODES: list[dict[str, Any]] = [
    {"mode": "line"},
    {"mode": "line", "line_width": 3.5, "size": 65},
    {"mode": "overlap"},
    {"mode": "stacked"},
    {"mode": "stacked", "size": 64, "rows": 7},
    {"mode": "map", "size": 64, "rows": 10},
    {"mode": "map", "boustrophedon": True},
    {"mode": "map", "derivatives": 1, "size": 16, "rows": 16},
    {"mode": "map", "derivatives": 2},
]
SCALES = ("percentile", "asinh", "continuum")


def unrolled(picture: np.ndarray, render: Render) -> np.ndarray:
    """The picture with its panels side by side: one row of columns in order of wavelength."""
    if render.mode == "overlap":
        return np.concatenate([picture[..., channel] for channel in range(3)], axis=1)
    if render.mode == "line":
        return picture
    tops = np.arange(render.rows) * render.size // render.rows
    height = render.size // render.rows
    return np.concatenate([picture[top : top + height] for top in tops], axis=1)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("options", MODES)
def test_size_channels_and_something_to_see(options: dict[str, Any], scale: Any) -> None:
    render = Render(scale=scale, **options)
    picture = draw(spectrum_of(galaxy_flux()), render, GRID)
    square = (render.size, render.size)
    assert picture.shape == (square if render.channels == 1 else (*square, 3))
    assert picture.dtype == np.uint8
    assert picture.flags.c_contiguous
    assert picture.max() > 200
    assert np.unique(picture).size > 10


@settings(max_examples=25, deadline=None)
@given(columns=st.integers(-40, 40), options=st.sampled_from([*MODES[:5], MODES[5], MODES[8]]))
def test_a_shift_by_columns_shifts_the_picture(columns: int, options: dict[str, Any]) -> None:
    render = Render(**options)
    # Well inside the range, so that the same pixels are seen before and after.
    flux, loglam = galaxy_flux()[1000:2500], LOGLAM[1000:2500]
    panels = {"line": 1, "overlap": 3}.get(render.mode, render.rows)
    step = SPAN / (panels * render.size)
    columns = int(np.clip(columns, -0.08 / step, 0.08 / step))
    before = unrolled(draw(spectrum_of(flux, loglam), render, GRID), render)
    after = unrolled(draw(spectrum_of(flux, loglam + columns * step), render, GRID), render)
    difference = np.abs(np.roll(before, columns, axis=1).astype(int) - after)
    assert before.any()
    # A pixel whose share of a column is a tie in binary may fall to either side.
    assert (difference > 2).mean() < 1e-3


@settings(max_examples=30, deadline=None)
@given(
    factor=st.floats(1e-12, 1e12),
    options=st.sampled_from(MODES),
    scale=st.sampled_from(SCALES),
)
def test_flux_times_a_constant_changes_nothing(factor: float, options: Any, scale: Any) -> None:
    render = Render(scale=scale, **options)
    flux = galaxy_flux()
    one = draw(spectrum_of(flux), render, GRID).astype(int)
    other = draw(spectrum_of(flux * np.float32(factor)), render, GRID)
    assert (np.abs(one - other) > 4).mean() < 1e-3


@settings(max_examples=25, deadline=None)
@given(start=st.integers(0, 3500), length=st.integers(60, 800), options=st.sampled_from(MODES))
def test_a_masked_stretch_draws_nothing(start: int, length: int, options: Any) -> None:
    render = Render(**options)
    good = np.ones(len(LOGLAM), bool)
    good[start : start + length] = False
    picture = unrolled(draw(spectrum_of(galaxy_flux(), good=good), render, GRID), render)
    panels = {"line": 1, "overlap": 3}.get(render.mode, render.rows)
    last = min(start + length, len(LOGLAM)) - 1
    ends = (LOGLAM[[start, last]] - np.log10(GRID.wave_min)) / SPAN * panels * render.size
    clear = 1 + render.line_width / 2 + render.derivatives  # the stroke's own width, rounded up
    inside = slice(max(int(np.ceil(ends[0] + clear)), 0), max(int(ends[1] - clear), 0))
    if render.mode == "map" and render.boustrophedon:
        return
    assert not picture[:, inside].any()


def test_boustrophedon_turns_every_other_row() -> None:
    plain, turned = (
        draw(spectrum_of(galaxy_flux()), Render(mode="map", rows=8, size=64, boustrophedon=b), GRID)
        for b in (False, True)
    )
    np.testing.assert_array_equal(turned[0:8], plain[0:8])
    np.testing.assert_array_equal(turned[8:16], plain[8:16, ::-1])
    # The end of a row is above the start of the next: the same wavelength, nearly the same grey.
    assert abs(int(turned[7, -1]) - int(turned[8, -1])) < 40


def test_map_shows_flux_and_its_slope() -> None:
    flux = np.interp(np.arange(3840), [0, 1900, 1940, 3839], [1, 1, 2, 2])
    render = Render(mode="map", rows=60, size=64, derivatives=1)
    picture = draw(spectrum_of(flux + 0.001 * galaxy_flux()), render, GRID)
    red, green, blue = np.moveaxis(picture, -1, 0)
    assert red[5].mean() < 100 < 200 < red[58].mean()
    brightest = np.unravel_index(green.argmax(), green.shape)
    assert 28 < brightest[0] < 36
    assert not blue.any()


def test_a_gap_in_the_arrays_is_a_gap_in_the_line() -> None:
    keep = np.r_[0:1000, 2000:3840]
    picture = draw(spectrum_of(galaxy_flux()[keep], LOGLAM[keep]), Render(mode="line"), GRID)
    assert not picture[:, 62:114].any()
    assert picture[:, 20:50].any(axis=0).all()


def test_uneven_steps_alone_are_no_gap() -> None:
    # Even in wavelength, so that steps in its logarithm shrink to less than half.
    loglam = np.log10(np.linspace(3800, 9200, 2000))
    picture = draw(
        spectrum_of(np.ones(2000) + 0.1 * np.sin(loglam * 50), loglam),
        Render(mode="line", size=128),
        GRID,
    )
    assert picture.any(axis=0).all()


def test_overlap_puts_each_third_into_its_channel() -> None:
    flux = galaxy_flux()
    third = len(LOGLAM) // 3
    picture = draw(
        spectrum_of(flux[third : 2 * third], LOGLAM[third : 2 * third]),
        Render(mode="overlap"),
        GRID,
    )
    red, green, blue = np.moveaxis(picture, -1, 0)
    assert green.any(axis=0).sum() > 215
    assert red.any(axis=0).sum() < 4
    assert blue.any(axis=0).sum() < 4


def test_rest_frame_moves_lines_to_one_place() -> None:
    render = Render(mode="line", frame="rest", size=128)
    near, far = (
        draw(spectrum_of(galaxy_flux(z)), render, GRID, z=z).argmax(axis=0) for z in (0.02, 0.12)
    )
    column = int(np.log10(6564.61 / GRID.wave_min) / SPAN * 128)
    assert abs(int(near[40:110].argmin()) + 40 - column) <= 1
    assert abs(int(far[40:110].argmin()) + 40 - column) <= 1
    for z in (None, float("nan"), -1.0):
        with pytest.raises(SpectrumError, match="needs a redshift"):
            draw(spectrum_of(galaxy_flux()), render, GRID, z=z)


def test_scales_differ_as_they_say() -> None:
    flux = galaxy_flux(noise=0.001) * (10**LOGLAM / 6000) ** -3
    pictures = {
        scale: draw(spectrum_of(flux), Render(mode="line", scale=scale), GRID) for scale in SCALES
    }
    heights = {scale: picture.argmax(axis=0) for scale, picture in pictures.items()}
    quiet = np.r_[5:40, 190:215]
    # Divided by its continuum the blue end is no higher than the red one; else far above it.
    assert np.ptp(heights["continuum"][quiet]) < 60
    assert np.ptp(heights["percentile"][quiet]) > 150
    # asinh leaves room above the percentiles.
    assert heights["percentile"].min() <= 1
    assert heights["asinh"].min() > 20


FLOATS = st.floats(width=32, allow_nan=True, allow_infinity=True)
ODD_FLUX = st.one_of(
    some_arrays.arrays(np.float32, st.integers(1, 60), elements=FLOATS),
    st.builds(np.full, st.integers(1, 60), FLOATS),
    st.just(-galaxy_flux()),
    st.just(np.zeros(100, np.float32)),
)


@settings(max_examples=200, deadline=None)
@given(
    flux=ODD_FLUX,
    options=st.sampled_from(MODES),
    scale=st.sampled_from(SCALES),
    start=st.floats(3.4, 4.0),
    step=st.floats(1e-5, 1e-2),
    bad=st.sets(st.integers(0, 59)),
)
def test_odd_inputs_give_a_picture_or_a_reason(
    flux: np.ndarray, options: Any, scale: Any, start: float, step: float, bad: set[int]
) -> None:
    good = np.ones(len(flux), bool)
    good[[i for i in bad if i < len(flux)]] = False
    spectrum = spectrum_of(flux, start + step * np.arange(len(flux)), good)
    with suppress(SpectrumError):
        assert draw(spectrum, Render(scale=scale, **options), GRID).any()


@pytest.mark.parametrize(
    ("flux", "loglam", "reason"),
    [
        (np.full(100, np.nan), LOGLAM[:100], "no data between 3800 and 9200 A"),
        (np.full(100, np.inf), LOGLAM[:100], "no data between"),
        (np.ones(100), 4 + LOGLAM[:100], "no data between"),
        (np.ones(100), LOGLAM[99::-1], "not finite and rising"),
        (np.ones(2), np.array([3.6, np.nan]), "not finite and rising"),
        (np.ones(0), np.ones(0), "not finite and rising"),
        (np.ones(1), LOGLAM[:1] + 0.1, "too few pixels"),
        (np.where(np.arange(100) % 2, 1.0, np.nan), LOGLAM[100:200], "too few pixels"),
    ],
)
def test_refusals_have_reasons(flux: np.ndarray, loglam: np.ndarray, reason: str) -> None:
    with pytest.raises(SpectrumError, match=reason):
        draw(spectrum_of(flux, loglam), Render(mode="line"), GRID)


def test_a_constant_spectrum_is_a_line_in_the_middle() -> None:
    picture = draw(spectrum_of(np.full(3840, 7.0)), Render(mode="line", size=65), GRID)
    assert (picture[:, 5:60].argmax(axis=0) == 32).all()


def test_the_hash_follows_pixels_not_names() -> None:
    one = render_hash(Render(), GRID)
    assert render_hash(Render(name="mine"), GRID) == one
    assert render_hash(Render(line_width=2.0), GRID) != one
    assert render_hash(Render(), Grid(wave_min=3900.0)) != one
