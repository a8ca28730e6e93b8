"""Noise agrees with ivar, S/N with the catalogue; masks, gaps and sky lines are as in real data."""

from __future__ import annotations

import numpy as np
import pytest

from specvit.config.surveys import Simulated
from specvit.surveys.read import read_spectrum
from specvit.surveys.simulated import SimulatedSky
from specvit.surveys.simulated.instrument import BOSS, LAMOST, SDSS
from specvit.surveys.simulated.lamost_exposure import calibration, lamost_exposure
from specvit.surveys.simulated.observations import DEAD_FIBER, LITTLE_COVERAGE, of_program
from specvit.surveys.simulated.sdss_exposure import BRIGHTSKY, FULLREJECT, sdss_exposure


def alive(sky) -> np.ndarray:
    return np.flatnonzero(sky.universe.sdss["zwarning"] != DEAD_FIBER)


def test_noise_is_gaussian_with_the_stated_ivar_sdss(sky):
    chi, neighbours = [], []
    for number in alive(sky)[::9]:
        exposure = sdss_exposure(sky.universe, int(number))
        good = exposure.ivar > 0
        chi.append(((exposure.flux - exposure.model) * np.sqrt(exposure.ivar))[good])
        chi[-1] /= exposure.pixels.spectrograph.stated
        neighbours.append(np.corrcoef(chi[-1][:-1], chi[-1][1:])[0, 1])
    chi = np.concatenate(chi)
    assert len(chi) > 100_000
    assert chi.mean() == pytest.approx(0, abs=0.01)
    assert chi.std() == pytest.approx(1, abs=0.01)
    # The shares of a Gaussian beyond 1, 2 and 3 sigma.
    for limit, share in ((1, 0.3173), (2, 0.0455), (3, 0.0027)):
        assert (np.abs(chi) > limit).mean() == pytest.approx(share, rel=0.1)
    # Interpolated onto the common grid: neighbours are correlated, each spectrum's in its own way.
    assert 0 < min(neighbours) < 0.12
    assert 0.3 < max(neighbours) < 0.5


def test_noise_of_sky_lines_is_stated_too(sky):
    """Pixels on bright sky lines have lower ivar, and still chi of 1."""
    chi, drop = [], []
    for number in alive(sky)[::9]:
        exposure = sdss_exposure(sky.universe, int(number))
        wavelength = exposure.pixels.wavelength
        line = (np.abs(wavelength - 5578.9) < 2) & (exposure.ivar > 0)
        beside = (np.abs(wavelength - 5600) < 10) & (exposure.ivar > 0)
        chi.append(((exposure.flux - exposure.model) * np.sqrt(exposure.ivar))[line])
        drop.append(np.sqrt(np.median(exposure.ivar[beside]) / exposure.ivar[line].min()))
    assert np.concatenate(chi).std() == pytest.approx(1, abs=0.15)
    # Real spectra: 4 to 11 times noisier in [O I] 5577, less for bright objects.
    assert 2.5 < np.median(drop) < 14


def test_noise_agrees_with_ivar_lamost(sky):
    chi = []
    for number in range(0, 200, 8):
        exposure = lamost_exposure(sky.universe, number)
        # Cosmic rays are flagged in or_mask, as in LAMOST; zero is no data.
        good = (exposure.flux != 0) & (exposure.or_mask == 0) & (exposure.ivar > 0)
        # The first releases left out pixels of low flux: the faint ones are not a fair sample.
        good &= exposure.pixels.wavelength > 5000
        chi.append(((exposure.flux - exposure.model) * np.sqrt(exposure.ivar))[good])
    chi = np.concatenate(chi)
    assert chi.mean() == pytest.approx(0, abs=0.03)
    assert chi.std() == pytest.approx(LAMOST.stated, abs=0.02)


def test_the_file_holds_the_exposure(sky):
    number = int(alive(sky)[5])
    exposure = sdss_exposure(sky.universe, number)
    spectrum = read_spectrum(sky.sdss.lite(number))
    np.testing.assert_allclose(spectrum.flux, exposure.flux, rtol=1e-5)
    np.testing.assert_allclose(spectrum.ivar, exposure.ivar, rtol=1e-5)
    np.testing.assert_array_equal(
        spectrum.good, (exposure.ivar > 0) & (exposure.and_mask & 1 << BRIGHTSKY == 0)
    )


def test_snr_of_the_catalogue_is_that_of_the_pixels(sky):
    for number in alive(sky)[::9]:
        exposure = sdss_exposure(sky.universe, int(number))
        measured = np.median((exposure.flux * np.sqrt(exposure.ivar))[exposure.ivar > 0])
        assert measured == pytest.approx(sky.universe.sdss["snr_all"][number], rel=0.15, abs=0.15)
    ratios = []
    for number in range(0, 200, 8):
        exposure = lamost_exposure(sky.universe, number)
        red = (exposure.pixels.wavelength > 5500) & (exposure.pixels.wavelength < 6900)
        red &= exposure.flux != 0
        measured = np.median((exposure.flux * np.sqrt(exposure.ivar))[red])
        ratios.append(measured / sky.universe.lamost["snr"][number, 2])
    assert np.median(ratios) == pytest.approx(1, abs=0.05)
    assert np.all((np.array(ratios) > 0.7) & (np.array(ratios) < 1.6))


def test_snr_is_that_of_a_survey(sky):
    sdss, lamost = sky.universe.sdss["snr_all"], sky.universe.lamost["snr"][:, 2]
    for values in (sdss, lamost):
        assert 4 < np.median(values) < 30
        assert (values < 4).mean() > 0.02  # some are hard
        assert (values < 1.5).mean() < 0.1
    # Blue ends are noisier.
    assert np.median(sky.universe.sdss["snr"][:, 0] / sky.universe.sdss["snr"][:, 2]) < 0.6


def test_masks_are_set_as_in_real_spectra(sky):
    share = {False: [], True: []}
    bright = []
    for number in alive(sky)[::5]:
        exposure = sdss_exposure(sky.universe, int(number))
        boss = bool(of_program(sky.universe.sdss[number : number + 1], "boss")[0])
        share[boss].append((exposure.or_mask != 0).mean())
        flagged = (exposure.and_mask & 1 << BRIGHTSKY) != 0
        bright.append(flagged.mean())
        assert (exposure.or_mask & exposure.and_mask == exposure.and_mask).all()
        rejected = (exposure.and_mask & 1 << FULLREJECT) != 0
        np.testing.assert_array_equal(exposure.ivar == 0, rejected)
        if flagged.any():
            # SDSS's definition: sky above flux plus ten times its error.
            good = flagged & (exposure.ivar > 0)
            assert (exposure.sky > exposure.model + 10 * exposure.ivar.clip(1e-30) ** -0.5)[
                good
            ].all()
    # Real files: or_mask on a tenth of the pixels before BOSS, about half since.
    assert 0.05 < np.mean(share[False]) < 0.25
    assert 0.4 < np.mean(share[True]) < 0.8
    assert 0.005 < np.mean(bright) < 0.09


def test_some_spectra_have_gaps(sky):
    exposures = [sdss_exposure(sky.universe, int(number)) for number in alive(sky)[:60]]
    without = [(exposure.ivar == 0).sum() for exposure in exposures]
    assert 5 < np.count_nonzero(without) < 45
    assert np.median(without) < 60


def test_lamost_has_zeros_with_ivar_at_its_end_and_sometimes_between_its_arms(sky):
    seams = 0
    for number in range(200):
        exposure = lamost_exposure(sky.universe, number)
        assert exposure.flux[-2:].tolist() == [0, 0]
        assert exposure.ivar[-1] > 0 or (exposure.ivar == 0).sum() > 50
        inner = exposure.flux[500:-50] == 0
        if inner.any():
            seams += 1
            where = exposure.pixels.wavelength[500:-50][inner]
            assert 5700 < where.min() < where.max() < 6000
            # The reader takes them for no data.
            spectrum = read_spectrum(sky.lamost.spectrum(number, "dr10"))
            assert not spectrum.good[500:-50][inner].any()
    assert 3 < seams < 40


def test_half_of_lamost_lacks_the_airs_band_and_the_blue_end_of_red_stars(sky):
    """As in its first releases: ivar 0 at 7581-7682 A and around pixels without signal."""
    blue, old = [], 0
    for number in range(200):
        exposure = lamost_exposure(sky.universe, number)
        wavelength, none = exposure.pixels.wavelength, exposure.ivar == 0
        band = none[(wavelength > 7585) & (wavelength < 7680)]
        assert band.all() or band.mean() < 0.1
        assert band.all() or not none.any()
        old += int(band.all())
        if band.all():
            blue.append(none[(wavelength > 3800) & (wavelength < 4000)].mean())
    assert 60 < old < 150
    assert 0.1 < np.mean(blue) < 0.7


def test_a_lost_arm_is_half_a_spectrum_with_a_warning():
    sky = SimulatedSky(Simulated(sdss_spectra=3000, lamost_spectra=1))
    rows = sky.universe.sdss
    halves = np.flatnonzero(rows["zwarning"] & DEAD_FIBER == LITTLE_COVERAGE)
    assert 2 < len(halves) < 40
    for number in halves[:3]:
        exposure = sdss_exposure(sky.universe, int(number))
        assert 0.25 < (exposure.ivar == 0).mean() < 0.75


def test_the_arms_of_lamost_join_worse_where_there_is_less_light():
    wavelength = 10 ** np.arange(3.57, 3.95, 1e-4)
    rng = np.random.default_rng(0)
    size = {}
    for snr in (5.0, 50.0):
        factors = [calibration(rng, wavelength, 0.0, snr) for _ in range(300)]
        seam, left, right = (
            np.array([f[np.abs(wavelength - c) < 20].mean() for f in factors])
            for c in (5850, 5500, 6200)
        )
        size[snr] = np.percentile(np.abs(2 * seam / (left + right) - 1), 84)
    assert 0.03 < size[50.0] < 0.1
    assert 0.12 < size[5.0] < 0.4


def test_lamost_flux_is_relative(sky):
    """One object in both surveys: SDSS's flux is in physical units, LAMOST's on any scale."""
    sdss, lamost = sky.universe.sdss, sky.universe.lamost
    scales = []
    for thing in np.intersect1d(sdss["object"], lamost["object"]):
        left = int(np.flatnonzero((sdss["object"] == thing) & (sdss["zwarning"] == 0))[0])
        right = int(np.flatnonzero(lamost["object"] == thing)[0])
        exposures = (sdss_exposure(sky.universe, left), lamost_exposure(sky.universe, right))
        levels = [
            np.median(exposure.model[np.abs(exposure.pixels.wavelength - 6600) < 100])
            for exposure in exposures
        ]
        scales.append(levels[1] / levels[0])
    assert len(scales) > 4
    assert max(scales) > 2 * min(scales)


def test_a_dead_fiber_is_all_zero(sky):
    rows = sky.universe.sdss
    number = 3
    before = rows["zwarning"][number]
    try:
        rows["zwarning"][number] = DEAD_FIBER
        exposure = sdss_exposure(sky.universe, number)
    finally:
        rows["zwarning"][number] = before
    assert not exposure.flux.any()
    assert not exposure.ivar.any()


@pytest.mark.parametrize("spectrograph", [SDSS, BOSS, LAMOST])
def test_night_sky_has_its_lines(spectrograph):
    sky = spectrograph.sky
    for line in (5578.9, 6302.0, 8828.8, 8920.7):
        near = np.argmin(np.abs(sky.wavelength - line))
        assert sky.lines[near] > 2 * sky.continuum[near]
        assert sky.bright[near]
    dark = np.abs(sky.wavelength - 5330) < 90
    assert not sky.bright[dark].any()
