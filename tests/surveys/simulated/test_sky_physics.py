"""Spectra are what an astronomer expects of the objects they belong to."""

from __future__ import annotations

import numpy as np
import pytest
from sky_helpers import equivalent_width
from specvit.surveys.simulated.absorbers import draw_absorbers
from specvit.surveys.simulated.atmosphere import Atmosphere, hydrogen_lines
from specvit.surveys.simulated.stars import extinction

from specvit.surveys.simulated.galaxies import emission_lines
from specvit.surveys.simulated.lines import LINE, hydrogen, vacuum
from specvit.surveys.simulated.objects import (
    GALAXY,
    OBJECT,
    QSO,
    STAR,
    bpt_ratios,
    draw_objects,
    halpha_ew,
    light_shares,
)
from specvit.surveys.simulated.subclasses import lamost_subclass, letter_and_digit, sdss_subclass


def peak_near(wavelength, flux, expected, reach):
    """Wavelength of the highest point near, by a parabola through three pixels."""
    near = np.flatnonzero(np.abs(wavelength - expected) < reach)
    top = near[flux[near].argmax()]
    left, mid, right = flux[top - 1 : top + 2]
    shift = 0.5 * (left - right) / (left - 2 * mid + right)
    return wavelength[top] + shift * (wavelength[top + 1] - wavelength[top])


@pytest.mark.parametrize("z", [0.03, 0.11, 0.24])
def test_emission_lines_are_at_their_vacuum_wavelength(noise_free, z):
    wavelength, flux = noise_free(kind=GALAXY, tau=12.0, burst=0.03, oh=8.4, z=z)
    for name in ("H_beta", "[O_III] 5007", "H_alpha", "[S_II] 6716"):
        expected = LINE[name] * (1 + z)
        # A pixel is 1 to 2 A; [S II] leans on its neighbour.
        assert peak_near(wavelength, flux, expected, 8) == pytest.approx(expected, abs=0.35)


def test_line_table_is_vacuum_and_agrees_with_rydberg():
    for name, lower, upper in (("H_alpha", 2, 3), ("H_beta", 2, 4), ("H_delta", 2, 6)):
        assert LINE[name] == pytest.approx(hydrogen(lower, upper), abs=0.1)
    # NIST: [O III] 5006.843 in air is 5008.240 in vacuum; Na D2 5889.951 is 5891.583.
    assert vacuum(np.array([5006.843]))[0] == pytest.approx(5008.240, abs=0.002)
    assert vacuum(np.array([5889.951]))[0] == pytest.approx(5891.583, abs=0.002)


def test_forbidden_doublets_have_the_ratios_of_atomic_physics(noise_free):
    row = np.zeros(1, OBJECT)
    row["kind"], row["tau"], row["oh"], row["burst"] = GALAXY, 8.0, 8.5, 0.02
    fluxes = dict(zip(*(values.tolist() for values in emission_lines(row)), strict=True))
    assert fluxes[LINE["[O_III] 5007"]] / fluxes[LINE["[O_III] 4959"]] == pytest.approx(2.98)
    assert fluxes[LINE["[N_II] 6583"]] / fluxes[LINE["[N_II] 6548"]] == pytest.approx(3.05)
    wavelength, flux = noise_free(kind=GALAXY, tau=8.0, burst=0.02, oh=8.3, z=0.05)
    strong, weak = (
        equivalent_width(wavelength, flux, LINE[name] * 1.05, 9, 20)
        for name in ("[O_III] 5007", "[O_III] 4959")
    )
    assert strong / weak == pytest.approx(2.98, rel=0.12)


def test_dust_steepens_the_balmer_decrement(noise_free):
    def decrement(ebv):
        wavelength, flux = noise_free(kind=GALAXY, tau=12.0, burst=0.05, oh=8.3, ebv=ebv, z=0.02)
        area = []
        for name in ("H_alpha", "H_beta"):
            centre = LINE[name] * 1.02
            level = np.median(flux[np.abs(wavelength - centre - 45) < 15])
            area.append(-equivalent_width(wavelength, flux, centre, 7, 16) * level)
        return area[0] / area[1]

    clean, dusty = decrement(0.0), decrement(0.5)
    # The stars' own Balmer lines take from Hbeta, so a little above case B's 2.86.
    assert 2.7 < clean < 3.6
    curve = extinction(np.array([LINE["H_alpha"], LINE["H_beta"]]))
    assert dusty / clean == pytest.approx(10 ** (0.4 * 0.5 * (curve[1] - curve[0])), rel=0.12)


def break_4000(wavelength, flux, z):
    """D4000(n) of Balogh et al. (1999): mean f_nu at 4000-4100 over that at 3850-3950."""
    rest = wavelength / (1 + z)
    per_hertz = flux * wavelength**2
    red = per_hertz[(rest > 4000) & (rest < 4100)].mean()
    return red / per_hertz[(rest > 3850) & (rest < 3950)].mean()


def test_old_galaxies_have_the_4000_break_and_young_ones_do_not(noise_free):
    old = break_4000(*noise_free(kind=GALAXY, tau=0.8, oh=8.75, sigma=220, z=0.1), 0.1)
    disc = break_4000(*noise_free(kind=GALAXY, tau=6.0, oh=8.6, z=0.1), 0.1)
    burst = break_4000(*noise_free(kind=GALAXY, tau=6.0, burst=0.05, oh=8.3, z=0.1), 0.1)
    # SDSS galaxies: about 1.8-2.1, 1.2-1.5 and 1.0-1.2 (Kauffmann et al. 2003).
    assert 1.7 < old < 2.2
    assert 1.15 < disc < 1.55
    assert burst < disc < old


def test_old_galaxies_absorb_in_metals_and_lack_emission(noise_free):
    wavelength, flux = noise_free(kind=GALAXY, tau=0.8, oh=8.75, sigma=200, z=0.0)
    for centre, half, least in ((3934.8, 18, 4), (4306, 18, 3), (5176, 22, 3), (5894.5, 12, 1.5)):
        assert equivalent_width(wavelength, flux, centre, half, 50) > least
    assert abs(equivalent_width(wavelength, flux, 5008.24, 6, 20)) < 1.0


def test_balmer_lines_are_strongest_in_a_stars(noise_free):
    temperatures = [38000, 20000, 12000, 9200, 7500, 5800, 4500]
    widths = [
        equivalent_width(*noise_free(kind=STAR, teff=teff), LINE["H_beta"], 28, 40)
        for teff in temperatures
    ]
    assert int(np.argmax(widths)) == temperatures.index(9200)
    # Vega's Hbeta is some 13-16 A wide, the Sun's about 3, an O star's 2.
    assert 10 < max(widths) < 19
    assert widths[0] < 5
    assert widths[-1] < 2
    waves, depths, half = hydrogen_lines(Atmosphere(9700, 4.0, 0.0))
    delta = np.argmin(np.abs(waves - LINE["H_delta"]))
    assert 2 * half[delta] * depths[delta] * 1.3213 == pytest.approx(14, abs=2)


def test_calcium_magnesium_and_titanium_oxide_follow_temperature(noise_free):
    def width(teff, centre, half, side=40.0):
        return equivalent_width(*noise_free(kind=STAR, teff=teff, logg=4.5), centre, half, side)

    calcium = [width(teff, 3934.78, 14) for teff in (20000, 7500, 6500, 5200)]
    assert calcium == sorted(calcium)
    assert calcium[0] < 0.5
    assert calcium[-1] > 6
    assert width(5200, 8544.4, 12) > 2 > 2 * width(20000, 8544.4, 12)
    assert width(4500, 5176, 20) > 2 * width(7000, 5176, 20)
    assert width(4000, 5892, 12) > 4 * width(7000, 5892, 12)

    def head(teff):
        wavelength, flux = noise_free(kind=STAR, teff=teff, logg=4.8)
        before = flux[(wavelength > 7020) & (wavelength < 7045)].mean()
        return before / flux[(wavelength > 7100) & (wavelength < 7150)].mean()

    assert head(5800) == pytest.approx(1.0, abs=0.05)
    assert 1.2 < head(3700) < head(3100)


def test_helium_marks_o_and_b_stars(noise_free):
    def width(teff, centre):
        return equivalent_width(*noise_free(kind=STAR, teff=teff), centre, 6, 25)

    assert width(20000, 5877.25) > 0.5 > 0.2 > abs(width(8500, 5877.25))
    assert width(40000, 4686.99) > 0.5 > width(20000, 4686.99)


def test_metal_poor_stars_have_weak_metals(noise_free):
    poor, rich = (
        equivalent_width(*noise_free(kind=STAR, teff=5500, feh=feh), 5176, 20) for feh in (-2, 0)
    )
    assert poor < 0.5 * rich


def test_stars_show_their_velocity(noise_free):
    still = noise_free(kind=STAR, teff=9000)[1]
    wavelength, moving = noise_free(kind=STAR, teff=9000, z=300 / 299792.458)
    near = np.abs(wavelength - 4862) < 40
    lags = np.arange(-8, 9)
    match = [np.corrcoef(still[near], np.roll(moving, -lag)[near])[0, 1] for lag in lags]
    assert lags[int(np.argmax(match))] == 4  # 300 km/s over 69 km/s a pixel


def test_reddening_dims_the_blue(noise_free):
    wavelength, clean = noise_free(kind=STAR, teff=6000)
    dusty = noise_free(kind=STAR, teff=6000, ebv=0.3)[1]
    ratio = np.interp([4400, 5500], wavelength, dusty / clean)
    # E(B-V) is what it is called.
    assert -2.5 * np.log10(ratio[0] / ratio[1]) == pytest.approx(0.3, abs=0.02)


def test_quasars_have_their_broad_lines_at_every_redshift(noise_free):
    for z, names in ((0.2, ("H_beta",)), (1.2, ("Mg_II 2799",)), (2.5, ("Ly_alpha", "C_IV 1549"))):
        wavelength, flux = noise_free(boss=True, kind=QSO, z=z, iron=0.5)
        for name in names:
            centre = LINE[name] * (1 + z)
            near = np.abs(wavelength - centre) < 0.02 * centre
            beside = np.abs(wavelength - 1.05 * centre) < 0.01 * centre
            assert flux[near].max() > 1.15 * np.median(flux[beside])
            # Still high 1500 km/s away, where narrow lines are not.
            wing = np.argmin(np.abs(wavelength - centre * (1 + 1500 / 299792)))
            assert flux[wing] > 1.08 * np.median(flux[beside])


@pytest.mark.parametrize("z", [2.3, 3.0, 4.0])
def test_forest_absorbs_what_is_observed_and_only_blueward_of_lyman_alpha(z):
    wavelength = 10 ** (np.arange(35520, 40100) * 1e-4)
    passed = np.mean(
        [
            draw_absorbers(np.random.default_rng(n), z, 0.0).transmission(wavelength, 35520)
            for n in range(30)
        ],
        axis=0,
    )
    rest = wavelength / (1 + z)
    forest = (rest > 1060) & (rest < 1190) & (wavelength > 3600)
    expected = np.exp(-(0.751 * (wavelength[forest] / 1215.67 / 4.5) ** 2.90 - 0.132))
    assert passed[forest].mean() == pytest.approx(expected.mean(), abs=0.05)
    assert passed[rest > 1230].mean() > 0.98


def test_broad_absorption_removes_light_blueward_of_c_iv(noise_free):
    wavelength, flux = noise_free(boss=True, kind=QSO, z=2.2, bal=0.9)
    plain = noise_free(boss=True, kind=QSO, z=2.2, bal=0.0)[1]
    speed = (1 - wavelength / (1 + 2.2) / 1549.06) * 299792
    blue, red = (speed > 2000) & (speed < 25000), (speed < -3000)
    ratio = flux / plain
    assert ratio[blue].min() < 0.3 * np.median(ratio[red])


def test_galaxies_lie_on_the_bpt_diagram():
    galaxies = draw_objects(np.random.default_rng(1), np.full(3000, "legacy_main"))
    n2, o3 = bpt_ratios(galaxies)
    forming = (galaxies["agn"] == 0) & (galaxies["tau"] > 2)
    # Star-forming ones below the line of Kauffmann et al. (2003), all below an extreme.
    below = o3 < 0.61 / (n2 - 0.05) + 1.3
    assert below[forming].mean() > 0.9
    seyferts = (galaxies["agn"] > 0.5) & (galaxies["tau"] > 2)
    assert (~below)[seyferts].mean() > 0.5
    assert np.abs(o3).max() < 1.5
    # Metal-rich gas has more nitrogen and less oxygen cooling.
    assert np.corrcoef(galaxies["oh"][forming], (n2 - o3)[forming])[0, 1] > 0.95


def test_star_formation_sets_light_and_lines():
    shares = light_shares(np.array([1.0, 20.0]), np.zeros(2))
    assert shares.sum(axis=1) == pytest.approx([1, 1])
    assert shares[0, -1] > 0.8
    galaxies = np.zeros(2, OBJECT)
    galaxies["tau"] = 1.0, 20.0
    quiet, forming = halpha_ew(galaxies)
    assert quiet < 0.5
    # A nearly constant rate: some 20-40 A (Kennicutt 1998).
    assert 15 < forming < 45


def test_subclasses_are_written_as_the_surveys_do():
    stars = np.zeros(4, OBJECT)
    stars["teff"], stars["logg"] = [9850, 6600, 3400, 3400], [4, 4.3, 4.8, 1.0]
    boss, legacy = np.ones(4, bool), np.zeros(4, bool)
    assert sdss_subclass(stars, np.full(4, 20.0), boss)[1] == "F3/F5V (30743)"
    assert sdss_subclass(stars, np.full(4, 20.0), legacy)[1] == "F5"
    assert lamost_subclass(stars).tolist()[1:] == ["F4", "dM3", "gM3"]
    assert lamost_subclass(stars)[0].startswith("A0")
    letters, digits = letter_and_digit(np.array([43000, 12000, 5949.0, 2700]))
    assert letters.tolist() == ["O", "B", "G", "M"]
    assert digits.tolist() == [0, 8, 0, 9]
    galaxies = np.zeros(3, OBJECT)
    galaxies["kind"], galaxies["oh"] = GALAXY, [8.7, 8.5, 8.3]
    galaxies["tau"], galaxies["burst"], galaxies["z"] = [0.8, 8, 8], [0, 0, 0.05], 0.05
    assert sdss_subclass(galaxies, np.full(3, 20.0), np.zeros(3, bool)).tolist() == [
        "",
        "STARFORMING",
        "STARBURST",
    ]
