"""Spectra are what an astronomer expects of the objects they belong to."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from sky_helpers import equivalent_width

from specvit.spectrum.values import vacuum
from specvit.surveys.simulated import bases
from specvit.surveys.simulated.dust import extinction, interstellar_depth
from specvit.surveys.simulated.exposure import Pixels
from specvit.surveys.simulated.galaxies import emission_lines
from specvit.surveys.simulated.instrument import BOSS
from specvit.surveys.simulated.lines import LINE, hydrogen
from specvit.surveys.simulated.objects import (
    GALAXY,
    OBJECT,
    QSO,
    STAR,
    bpt_ratios,
    draw_objects,
    halpha,
    light_shares,
)
from specvit.surveys.simulated.quasars import quasar_flux
from specvit.surveys.simulated.subclasses import lamost_subclass, sdss_subclass


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
    # Case B's 2.86, but for the stars' own Balmer lines below.
    assert 2.5 < clean < 3.6
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


def test_galaxies_lie_on_the_bpt_diagram():
    galaxies = draw_objects(np.random.default_rng(1), np.full(3000, "legacy_main"))
    n2, o3 = bpt_ratios(galaxies)
    forming = (galaxies["agn"] == 0) & (galaxies["tau"] > 2.9)
    # Star-forming ones below the line of Kauffmann et al. (2003), all below an extreme.
    below = o3 < 0.61 / (n2 - 0.05) + 1.3
    assert below[forming].mean() > 0.9
    seyferts = (galaxies["agn"] > 0.5) & (galaxies["tau"] > 2.9)
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
    (quiet, forming), _ = halpha(galaxies)
    assert quiet < 0.5
    # A nearly constant rate: some 20-40 A (Kennicutt 1998).
    assert 15 < forming < 45


def test_line_table_is_vacuum_and_agrees_with_rydberg():
    for name, lower, upper in (("H_alpha", 2, 3), ("H_beta", 2, 4), ("H_delta", 2, 6)):
        assert LINE[name] == pytest.approx(hydrogen(lower, upper), abs=0.1)
    # NIST: [O III] 5006.843 in air is 5008.240 in vacuum; Na D2 5889.951 is 5891.583.
    assert vacuum(np.array([5006.843]))[0] == pytest.approx(5008.240, abs=0.002)
    assert vacuum(np.array([5889.951]))[0] == pytest.approx(5891.583, abs=0.002)


def star_like(kind, feh=0.0, giant=False):
    """Row of the library's star of this type whose metals are nearest."""
    library = bases.stars()
    fit = np.char.startswith(library.types, kind) & (library.giant == giant)
    fit &= ~library.super_giant
    return int(np.where(fit, np.abs(library.parameters[:, 2] - feh), np.inf).argmin())


@pytest.fixture
def star(noise_free):
    """Return wavelength and noise-free flux of a star of one type."""

    def make(kind, feh=0.0, giant=False, **values):
        chosen = star_like(kind, feh, giant)
        return noise_free(kind=STAR, template=chosen, partner=chosen, **values)

    return make


def test_balmer_lines_are_strongest_in_a_stars(star):
    kinds = ["O8", "B2", "A1", "A8", "G2", "K3"]
    widths = [equivalent_width(*star(kind), LINE["H_beta"], 28, 40) for kind in kinds]
    assert int(np.argmax(widths)) == kinds.index("A1")
    # Vega's Hbeta is some 13-16 A wide, the Sun's about 3, an O star's 2.
    assert 10 < max(widths) < 19
    assert widths[0] < 5
    assert widths[-1] < 4


def test_calcium_magnesium_and_titanium_oxide_follow_temperature(star):
    def width(kind, centre, half, side=40.0):
        return equivalent_width(*star(kind), centre, half, side)

    calcium = [width(kind, 3934.78, 14) for kind in ("B2", "A8", "F6", "G8")]
    assert calcium == sorted(calcium)
    assert calcium[0] < 1.0
    assert calcium[-1] > 6
    assert width("G8", 8544.4, 12) > 2 > 2 * width("B2", 8544.4, 12)
    assert width("K4", 5176, 20) > 2 * width("F2", 5176, 20)
    assert width("M0", 5892, 12) > 4 * width("F2", 5892, 12)

    def head(kind):
        wavelength, flux = star(kind)
        before = flux[(wavelength > 7020) & (wavelength < 7045)].mean()
        return before / flux[(wavelength > 7100) & (wavelength < 7150)].mean()

    assert head("G2") == pytest.approx(1.0, abs=0.05)
    assert 1.1 < head("M1") < head("M4")


def test_helium_marks_o_and_b_stars(star):
    def width(kind, centre):
        return equivalent_width(*star(kind), centre, 6, 25)

    assert width("B2", 5877.25) > 0.3 > 0.2 > abs(width("A2", 5877.25))


def test_metal_poor_stars_have_weak_metals(star):
    poor, rich = (equivalent_width(*star("F8", feh=feh), 5176, 20) for feh in (-2, 0))
    assert poor < 0.6 * rich


def test_parameters_of_the_library_follow_the_types():
    library = bases.stars()
    cool = [
        np.median(library.parameters[np.char.startswith(library.types, k), 0]) for k in "BAFGKM"
    ]
    assert cool == sorted(cool, reverse=True)
    # The Sun is G2: 5772 K.
    assert library.parameters[star_like("G2"), 0] == pytest.approx(5772, abs=200)
    dwarfs = library.types == "K0"
    assert library.parameters[dwarfs & ~library.giant, 1].min() > 3.6
    assert library.parameters[dwarfs & library.giant, 1].max() < 3.6


def test_a_star_lies_between_its_template_and_its_partner(noise_free):
    library = bases.stars()
    one, other = star_like("G2"), star_like("G2", feh=-1.0)
    ends = [noise_free(kind=STAR, template=n, partner=n)[1] for n in (one, other)]
    middle = noise_free(kind=STAR, template=one, partner=other, mix=0.5)[1]
    np.testing.assert_allclose(middle, np.sqrt(ends[0] * ends[1]), rtol=0.03)
    assert (library.neighbours[:, 0] == np.arange(len(library.names))).all()


def test_stars_show_their_velocity(star):
    still = star("A2")[1]
    wavelength, moving = star("A2", z=300 / 299792.458)
    near = np.abs(wavelength - 4862) < 40
    lags = np.arange(-8, 9)
    match = [np.corrcoef(still[near], np.roll(moving, -lag)[near])[0, 1] for lag in lags]
    assert lags[int(np.argmax(match))] == 4  # 300 km/s over 69 km/s a pixel


def test_reddening_dims_the_blue_and_brings_sodium(star):
    wavelength, clean = star("F6")
    dusty = star("F6", ebv=0.3)[1]
    ratio = np.interp([4400, 5500], wavelength, dusty / clean)
    # E(B-V) is what it is called.
    assert -2.5 * np.log10(ratio[0] / ratio[1]) == pytest.approx(0.3, abs=0.02)
    # Poznanski et al. (2012): log10 E = 1.17 EW - 1.85.
    expected = (np.log10(0.3) + 1.85) / 1.17
    gain = np.sum((1 - ratio_near(wavelength, dusty / clean, 5894)) * 5894 * np.log(10) * 1e-4)
    assert gain == pytest.approx(expected, rel=0.25)
    assert not interstellar_depth(35700, 4000, 0.0).any()


def ratio_near(wavelength, ratio, centre):
    """The ratio within 12 A, over its level beside."""
    near = np.abs(wavelength - centre) < 12
    beside = (np.abs(wavelength - centre) > 15) & (np.abs(wavelength - centre) < 30)
    return ratio[near] / np.median(ratio[beside])


def quasar_like(z):
    which = "low" if z < 1.6 else "high"
    return int(np.abs(bases.quasars(which).z - z).argmin())


def test_quasars_have_their_broad_lines_at_every_redshift(noise_free):
    for z, names in ((0.3, ("H_beta",)), (1.2, ("Mg_II 2799",)), (2.5, ("Ly_alpha", "C_IV 1549"))):
        wavelength, flux = noise_free(boss=True, kind=QSO, z=z, template=quasar_like(z))
        for name in names:
            centre = LINE[name] * (1 + z)
            near = np.abs(wavelength - centre) < 0.02 * centre
            beside = np.abs(wavelength - 1.06 * centre) < 0.01 * centre
            assert flux[near].max() > 1.1 * np.median(flux[beside])
            # Still high 1500 km/s away, where narrow lines are not.
            wing = np.argmin(np.abs(wavelength - centre * (1 + 1500 / 299792)))
            assert flux[wing] > 1.04 * np.median(flux[beside])


def test_every_quasar_of_the_library_is_positive_where_it_was_seen(noise_free):
    for which, split in (("low", (0.1, 1.6)), ("high", (1.6, 5.0))):
        library = bases.quasars(which)
        assert (np.diff(library.z) >= 0).all()
        assert split[0] - 0.06 < library.z.min() < library.z.max() < split[1]
        for n in range(0, len(library.z), 251):
            flux = noise_free(kind=QSO, z=float(library.z[n]), template=n)[1]
            assert flux[:3500].min() > 0


@pytest.mark.parametrize("z", [2.3, 3.0, 4.0])
def test_forest_absorbs_what_is_observed_and_only_blueward_of_lyman_alpha(z):
    pixels = Pixels(BOSS, 35520, 4580)
    row = np.zeros(1, OBJECT)[0]
    row["kind"], row["z"], row["trough"], row["template"] = QSO, z, -1, quasar_like(z)
    seen = np.mean([quasar_flux(pixels, row, np.random.default_rng(n)) for n in range(30)], axis=0)
    light = bases.quasars("high")
    bare = light.coefficients[row["template"]] @ light.vectors
    bare = pixels.shifted(bare, bases.QUASAR_START["high"], z)
    passed = seen / np.maximum(bare, 0.05 * np.median(bare))
    wavelength = pixels.wavelength
    rest = wavelength / (1 + z)
    forest = (rest > 1060) & (rest < 1190) & (wavelength > 3600)
    expected = np.exp(-(0.751 * (wavelength[forest] / 1215.67 / 4.5) ** 2.90 - 0.132))
    assert passed[forest].mean() == pytest.approx(expected.mean(), abs=0.05)
    assert passed[rest > 1230].mean() > 0.98


def test_broad_absorption_removes_light_blueward_of_c_iv(noise_free):
    # Deepest just blueward of C IV.
    chosen = int(bases.troughs()[:, 930:1030].min(axis=1).argmin())
    values = {"boss": True, "kind": QSO, "z": 2.2, "template": quasar_like(2.2)}
    wavelength, flux = noise_free(trough=chosen, **values)
    plain = noise_free(trough=-1, **values)[1]
    speed = (1 - wavelength / (1 + 2.2) / 1549.06) * 299792
    blue, red = (speed > 2000) & (speed < 25000), (speed < -3000)
    ratio = flux / plain
    assert ratio[blue].min() < 0.3 * np.median(ratio[red])


def test_reddened_quasars_lose_their_blue_light(noise_free):
    values = {"kind": QSO, "z": 1.0, "template": quasar_like(1.0)}
    wavelength, clean = noise_free(**values)
    ratio = noise_free(ebv=0.3, **values)[1] / clean
    assert ratio[wavelength < 4200].mean() < 0.6 * ratio[wavelength > 8500].mean()


def test_subclasses_are_written_as_the_surveys_do():
    stars = np.zeros(5, OBJECT)
    chosen = [star_like("A2"), star_like("F5"), star_like("M2"), star_like("M2", giant=True)]
    stars["template"] = [*chosen, int(np.flatnonzero(bases.stars().types == "WD")[0])]
    boss, legacy = np.ones(5, bool), np.zeros(5, bool)
    stars["teff"] = bases.stars().parameters[stars["template"], 0]
    late = np.full(5, 8)
    assert lamost_subclass(stars, late).tolist() == ["A2V", "F5", "dM2", "gM2", "WD"]
    clump = np.zeros(2, OBJECT)
    clump["template"] = star_like("K1", giant=True)
    clump["teff"], clump["mix"] = 4700, [0.1, 0.45]
    # What LAMOST calls most giants of the red clump; the first releases had no type between.
    assert lamost_subclass(clump, late[:2]).tolist() == ["G5", "K1"]
    dwarf = np.zeros(1, OBJECT)
    dwarf["template"], dwarf["teff"] = star_like("G8"), 5400
    kinds = [lamost_subclass(dwarf, np.array([plan]))[0] for plan in (8, 0)]
    assert kinds == ["G8", "G5"]
    names = sdss_subclass(stars, np.full(5, 20.0), boss)
    assert [name[0] for name in names] == list("AFMMW")
    assert all("(" in name for name in names[:4])
    assert sdss_subclass(stars, np.full(5, 20.0), legacy)[1] == "F5"
    galaxies = np.zeros(3, OBJECT)
    galaxies["kind"], galaxies["oh"] = GALAXY, [8.7, 8.5, 8.3]
    galaxies["tau"], galaxies["burst"], galaxies["z"] = [0.8, 8, 8], [0, 0, 0.05], 0.05
    assert sdss_subclass(galaxies, np.full(3, 20.0), np.zeros(3, bool)).tolist() == [
        "",
        "STARFORMING",
        "STARBURST",
    ]


def test_the_bases_are_small_and_say_where_they_came_from():
    root = resources.files("specvit.surveys.simulated")
    assert len(root.joinpath("bases.npz").read_bytes()) < 2_000_000
    notice = (Path(__file__).parents[3] / "NOTICE").read_text("utf-8")
    for source in ("PyHammer", "MILES", "MaStar", "redrock-templates", "idlspec2d", "desisim"):
        assert source in notice


def test_the_library_has_the_colours_of_the_spectra_it_was_computed_from(real_templates):
    source = np.load(real_templates / "pyhammer_boss_templates.npz")
    library, wave = bases.stars(), 10 ** (np.arange(35480, 40200) * 1e-4)
    ratios = []
    for number, name in enumerate(library.names.tolist()):
        if name not in source["name"]:
            continue
        flux = source["flux"][source["name"].tolist().index(name)]
        ours = library.flux(number, number, 0.0)
        for low, high in ((4200, 4300), (5100, 5300), (8000, 8300)):
            levels = [
                np.median(f[(w > low) & (w < high)]) / np.median(f[(w > 6100) & (w < 6300)])
                for w, f in ((wave, ours), (10 ** source["loglam_vac"], flux))
            ]
            ratios.append(levels[0] / levels[1])
    assert len(ratios) > 400
    assert np.percentile(np.abs(np.log(ratios)), 98) < 0.06
