"""Catalogues agree with the files; objects are shared within and between the surveys."""

from __future__ import annotations

import gzip
import io

import numpy as np
import pandas as pd
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.table import Table
from sky_helpers import GENERAL, SPECOBJ, STELLAR, lamost_path, sdss_path

from specvit.config.surveys import Simulated
from specvit.surveys.read import read_header
from specvit.surveys.simulated import SimulatedSky
from specvit.surveys.simulated.objects import NONE
from specvit.surveys.simulated.observations import (
    INTACT,
    MISFILED_PLATE,
    PROGRAMS,
    draw_universe,
)
from specvit.surveys.simulated.sdss_exposure import sdss_exposure


@pytest.fixture(scope="module")
def specobj(sky) -> Table:
    """The simulated specObj."""
    with fits.open(io.BytesIO(sky.read(SPECOBJ))) as hdus:
        return Table(hdus[1].data)


def csv(sky: SimulatedSky, path: str) -> pd.DataFrame:
    text = gzip.decompress(sky.read(path)).decode("ascii")
    return pd.read_csv(io.StringIO(text), sep="|", dtype={"uid": str})


def test_specobj_rows_are_those_of_the_files(sky, specobj):
    rows = sky.universe.sdss
    for number in np.flatnonzero(rows["fate"] == INTACT)[::7]:
        line = specobj[int(number)]
        path = sdss_path(rows[number])
        header = read_header(sky.read(path))
        assert header.identity == f"{line['PLATE']}-{line['MJD']}-{line['FIBERID']}"
        assert header.class_ == line["CLASS"].strip()
        assert (header.subclass or "") == line["SUBCLASS"].strip()
        assert header.release == line["RUN2D"].strip()
        assert header.z == line["Z"]
        assert header.z_err == line["Z_ERR"]
        assert header.zwarning == line["ZWARNING"]
        assert header.snr == line["SN_MEDIAN_ALL"]
        assert header.ra == line["PLUG_RA"]
        assert header.dec == line["PLUG_DEC"]


def test_lamost_rows_are_those_of_the_files(sky):
    table = csv(sky, GENERAL).set_index("obsid")
    rows = sky.universe.lamost
    assert table.index.is_unique
    for row in rows[rows["fate"] == INTACT][::5]:
        line = table.loc[int(row["obsid"])]
        header = read_header(sky.read(lamost_path(row)))
        assert header.class_ == line["class"]
        assert (header.subclass or "Non") == line["subclass"]
        assert header.z == pytest.approx(line["z"], abs=1e-8)
        assert header.z_err == pytest.approx(line["z_err"], abs=1e-8)
        assert header.snr == line["snrr"]
        assert (header.ra, header.dec) == (line["ra"], line["dec"])
        assert header.object_name == f"LAMOST {line['designation']}"


def test_lamost_catalogue_has_the_columns_of_dr10(sky):
    names = list(csv(sky, GENERAL).columns)
    assert names[:6] == ["obsid", "uid", "gp_id", "designation", "obsdate", "lmjd"]
    assert names[-4:] == ["ra", "dec", "fibermask", "with_norm_flux"]
    assert len(names) == 36
    assert set(csv(sky, STELLAR).columns) > {"teff", "teff_err", "logg", "feh", "rv", "rv_err"}


def test_stellar_catalogue_holds_afgk_stars_with_their_parameters(sky):
    stellar = csv(sky, STELLAR)
    general = csv(sky, GENERAL).set_index("obsid").loc[stellar["obsid"]]
    assert len(stellar) > 40
    assert (general["class"] == "STAR").all()
    assert set(general["subclass"].str[0]) <= set("AFGK")
    rows = sky.universe.lamost
    true = sky.universe.objects[rows["object"][np.isin(rows["obsid"], stellar["obsid"])]]
    pull = (stellar["teff"].to_numpy() - true["teff"]) / stellar["teff_err"].to_numpy()
    assert 0.3 < np.std(pull) < 1.2


def test_designation_is_the_position(sky):
    table = csv(sky, GENERAL)
    texts = table["designation"].str.extract(r"J(\d\d)(\d\d)([\d.]{5})([+-])(\d\d)(\d\d)([\d.]{4})")
    ra = 15 * (texts[0].astype(float) + texts[1].astype(float) / 60 + texts[2].astype(float) / 3600)
    dec = texts[4].astype(float) + texts[5].astype(float) / 60 + texts[6].astype(float) / 3600
    dec *= np.where(texts[3] == "-", -1, 1)
    assert np.abs(ra - table["ra"]).max() < 0.016 * 15 / 3600
    assert np.abs(dec - table["dec"]).max() < 0.11 / 3600


def test_classes_have_their_shares():
    universe = draw_universe(Simulated())
    assert (len(universe.sdss), len(universe.lamost)) == (1800, 1200)
    for rows, wanted in (
        (universe.sdss, (0.25, 0.40, 0.34, 0.015)),
        (universe.lamost, (0.65, 0.235, 0.1, 0.015)),
    ):
        kinds = universe.objects["kind"][rows["object"]]
        assert np.bincount(kinds) / len(rows) == pytest.approx(wanted, abs=0.03)
        assert (kinds == NONE).any()


def test_what_is_nothing_is_said_to_be_so(sky, specobj):
    nothing = sky.universe.objects["kind"][sky.universe.sdss["object"]] == NONE
    flagged = specobj["ZWARNING"] & (1 << 0 | 1 << 7) != 0
    np.testing.assert_array_equal(flagged, nothing)
    assert {text.strip() for text in specobj["TARGETTYPE"][nothing].tolist()} == {"SKY"}
    table = csv(sky, GENERAL).set_index("obsid")
    rows = sky.universe.lamost
    nothing = sky.universe.objects["kind"][rows["object"]] == NONE
    unknown = table.loc[rows["obsid"][nothing]]
    assert (unknown[["class", "subclass", "z"]] == ["Unknown", "Non", -9999.0]).all(axis=None)
    assert (table["class"] == "Unknown").sum() == nothing.sum() > 0
    number = int(np.flatnonzero(nothing)[0])
    header = read_header(sky.lamost.spectrum(number, "dr10"))
    assert (header.class_, header.z) == (None, None)


def test_redshifts_are_those_of_the_surveys():
    universe = draw_universe(Simulated())
    for rows, galaxies, quasars in (
        (universe.sdss, (0.1, 0.5, 0.75), (1.3, 2.4, 5.0)),
        (universe.lamost, (0.04, 0.12, 0.33), (0.6, 1.8, 5.0)),
    ):
        seen = universe.objects[rows["object"]]
        assert np.abs(seen["z"][seen["kind"] == 0]).max() < 0.003
        for kind, (low, high, limit) in ((1, galaxies), (2, quasars)):
            z = seen["z"][seen["kind"] == kind]
            assert low < np.median(z) < high
            assert z.max() < limit
            assert z.min() > 0.002


def test_measured_redshifts_scatter_by_their_errors():
    universe = draw_universe(Simulated(sdss_spectra=10_000))
    rows = universe.sdss[universe.sdss["zwarning"] == 0]
    assert (universe.objects["kind"][rows["object"]] != NONE).all()
    pull = (rows["z"] - universe.objects["z"][rows["object"]]) / rows["z_err"]
    assert pull.std() == pytest.approx(1, abs=0.03)
    # Where the pipeline warns, some redshifts are plainly wrong.
    warned = universe.sdss[universe.sdss["zwarning"] & 4 != 0]
    warned = warned[universe.objects["kind"][warned["object"]] != NONE]
    wrong = np.abs(warned["z"] - universe.objects["z"][warned["object"]]) > 0.01
    assert 0.01 < len(warned) / len(universe.sdss) < 0.08
    assert 0.15 < wrong.mean() < 0.45


def test_repeats_are_of_the_same_object_at_the_same_place():
    universe = draw_universe(Simulated())
    rows = universe.sdss
    again = rows[~rows["primary"]]
    assert len(again) == 144  # 8 %
    first = {int(row["object"]): row for row in rows[rows["primary"]]}
    assert len(first) == len(rows) - len(again)
    for row in again:
        other = first[int(row["object"])]
        assert (row["plate"], row["mjd"]) != (other["plate"], other["mjd"])
        assert row["plate"] == other["plate"]
        here, there = (SkyCoord(r["ra"], r["dec"], unit="deg") for r in (row, other))
        assert here.separation(there).arcsec < 1


def test_repeats_share_the_surveys_own_names(sky, specobj):
    rows = sky.universe.sdss
    frame = pd.DataFrame({"object": rows["object"], "best": specobj["BESTOBJID"]})
    frame["best"] = frame["best"].str.strip()
    named = frame[frame["best"] != ""]
    assert (named.groupby("object")["best"].nunique() == 1).all()
    assert (named.groupby("best")["object"].nunique() == 1).all()
    # As in the real table, some have no photometric match and must be grouped by position.
    assert 0 < (frame["best"] == "").mean() < 0.1
    table = csv(sky, GENERAL)
    repeats = table.groupby("uid").size()
    assert (repeats > 1).sum() >= 5
    assert (table.groupby("uid")["gp_id"].nunique() == 1).all()


def test_some_objects_are_in_both_surveys_within_half_an_arcsecond(sky, specobj):
    table = csv(sky, GENERAL)
    here = SkyCoord(table["ra"], table["dec"], unit="deg")
    there = SkyCoord(specobj["PLUG_RA"], specobj["PLUG_DEC"], unit="deg")
    nearest, distance, _ = here.match_to_catalog_sky(there)
    close = distance.arcsec < 2
    same = sky.universe.lamost["object"] == sky.universe.sdss["object"][nearest]
    np.testing.assert_array_equal(close, same & close)
    assert close.sum() >= 8
    assert distance.arcsec[close].max() < 0.6
    classes = pd.Series(specobj["CLASS"][nearest[close]]).str.strip()
    assert (classes.to_numpy() == table["class"][close].to_numpy()).all()


def test_repeat_spectra_are_of_one_spectrum_with_other_noise(sky):
    rows = sky.universe.sdss
    repeat = int(np.flatnonzero(~rows["primary"] & (rows["zwarning"] == 0))[0])
    thing = rows["object"][repeat]
    first = int(np.flatnonzero(rows["primary"] & (rows["object"] == thing))[0])
    one, two = (sdss_exposure(sky.universe, number) for number in (first, repeat))
    grid = np.arange(36000, 39400)
    left = np.interp(grid, one.pixels.loglam * 1e4, one.model)
    right = np.interp(grid, two.pixels.loglam * 1e4, two.model)
    # Each is calibrated on its own, to some 4 % in colour.
    ratio = left / right
    assert np.abs(ratio / np.median(ratio) - 1).max() < 0.25
    lines = ratio / np.convolve(ratio, np.ones(301) / 301, mode="same")
    np.testing.assert_allclose(lines[200:-200], 1, rtol=0.02)
    assert not np.array_equal(one.flux[:3000], two.flux[:3000])


def test_every_row_says_that_it_is_simulated(sky, specobj):
    assert {chunk.strip() for chunk in specobj["CHUNK"].tolist()} == {"simulated"}
    assert csv(sky, GENERAL)["planid"].str.startswith("SIM").all()


def test_misfiled_plate_is_listed_under_26_and_served_under_104():
    sky = SimulatedSky(Simulated(corrupt_fraction=0, missing_fraction=0))
    rows = sky.universe.sdss[sky.universe.sdss["plate"] == MISFILED_PLATE]
    assert set(rows["mjd"]) == {54843, 54892}
    with fits.open(io.BytesIO(sky.read(SPECOBJ))) as hdus:
        listed = hdus[1].data[hdus[1].data["PLATE"] == MISFILED_PLATE]
        assert set(listed["RUN2D"]) == {"26"}
    path = sdss_path(rows[0])
    assert "/104/" in path
    assert sky.read(path)
    with pytest.raises(FileNotFoundError):
        sky.read(path.replace("/104/", "/26/"))


def test_names_are_unique_and_in_order():
    universe = draw_universe(Simulated(sdss_spectra=30_000, lamost_spectra=30_000))
    rows = universe.sdss
    key = (rows["plate"] * 100_000 + rows["mjd"]) * 10_000 + rows["fiber"]
    assert (np.diff(key) > 0).all()
    assert (np.diff(universe.lamost["obsid"]) > 0).all()
    boss = np.array([program.boss for program in PROGRAMS])[rows["program"]]
    assert rows["fiber"].min() == 1
    assert rows["fiber"][~boss].max() <= 640
    assert rows["fiber"].max() <= 1000
    assert universe.lamost["fiber"].max() <= 250
    assert universe.lamost["spectrograph"].max() <= 16
