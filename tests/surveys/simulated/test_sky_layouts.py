"""Files have the structure of the real ones, and astropy finds nothing to complain about."""

from __future__ import annotations

import gzip
import io
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from sky_helpers import SPECOBJ, sdss_path
from test_sky_bytes import desi_paths

from specvit.surveys.sdss.paths import RELEASES, plate_of
from specvit.surveys.simulated.observations import DEAD_FIBER, PROGRAMS, of_program
from specvit.surveys.simulated.sdss_files import CATALOGUE, SUMMARY


def opened(data: bytes) -> fits.HDUList:
    """Open with astropy, all warnings being errors, and verify."""
    if data[:2] == b"\x1f\x8b":
        data = gzip.decompress(data)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        hdus = fits.open(io.BytesIO(data), lazy_load_hdus=False)
        hdus.verify("exception")
        for hdu in hdus:
            for column in hdu.columns if isinstance(hdu, fits.BinTableHDU) else ():
                assert len(hdu.data[column.name]) == len(hdu.data)
    return hdus


def kinds(hdu) -> list[tuple[str, str]]:
    """Names and formats of columns; text of any width is one kind."""
    return [(column.name, re.sub(r"^\d*A$", "text", column.format)) for column in hdu.columns]


@pytest.fixture(scope="module")
def lite(sky) -> dict[bool, fits.HDUList]:
    """A lite file of the old spectrographs (False) and of BOSS (True)."""
    rows = sky.universe.sdss
    usable = rows["zwarning"] != DEAD_FIBER
    return {
        boss: opened(
            sky.sdss.lite(int(np.flatnonzero((of_program(rows, "boss") == boss) & usable)[0]))
        )
        for boss in (False, True)
    }


@pytest.mark.parametrize(
    ("boss", "name"),
    [(False, "sdss_firefly/spec-0266-51602-0001.fits"),
     (True, "sdss_picca/spec-3655-55240-0002.fits")],
)  # fmt: skip
def test_lite_files_have_the_structure_of_real_ones(lite, real_spectra: Path, boss, name):
    ours = lite[boss]
    # The real file has the single exposures behind these four; lite files of the archive do not.
    theirs = fits.open(real_spectra / name)[:4]
    assert [hdu.name for hdu in ours] == [hdu.name for hdu in theirs]
    for mine, real in zip(ours[1:], theirs[1:], strict=True):
        assert kinds(mine) == kinds(real)
    assert ours[1].data.dtype == theirs[1].data.dtype
    marks = {"ORIGIN", "HISTORY"}
    assert set(ours[0].header) - marks <= set(theirs[0].header)
    for key in ("COEFF0", "COEFF1", "PLATEID", "MJD", "FIBERID", "PLUG_RA", "PLUG_DEC", "BUNIT"):
        assert type(ours[0].header[key]) is type(theirs[0].header[key]), key


def test_lamost_images_have_the_structure_of_real_ones(sky, real_spectra: Path):
    ours = opened(sky.lamost.spectrum(first_with(sky, 0), "dr7"))
    theirs = fits.open(real_spectra / "lamost_laspec/spec-58397-EG014118N254444M01_sp03-031.fits")
    assert len(ours) == len(theirs) == 1
    assert ours[0].data.shape == theirs[0].data.shape == (5, 3909)
    assert ours[0].data.dtype == theirs[0].data.dtype
    names = {re.sub("^SN_", "SNR", key) for key in ours[0].header}
    assert names - {"HISTORY"} <= set(theirs[0].header)
    wavelength = 10 ** (3.5682 + 1e-4 * np.arange(3909))
    np.testing.assert_allclose(ours[0].data[2], wavelength, rtol=1e-6)
    np.testing.assert_allclose(theirs[0].data[2], wavelength, rtol=1e-6)


def test_lamost_tables_have_the_structure_of_real_ones(sky, real_spectra: Path):
    ours = opened(sky.lamost.spectrum(first_with(sky, 1), "dr10"))
    name = "lamost_Cmost/spec-60591-LN042429N340750BM01_sp01-001.fits.gz"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the real header has NAXIS1 where NAXIS is 0
        theirs = fits.open(real_spectra / name)
    assert [hdu.name for hdu in ours] == [hdu.name for hdu in theirs]
    assert kinds(ours[1]) == kinds(theirs[1])
    assert set(ours[0].header) - {"HISTORY"} <= set(theirs[0].header)


def first_with(sky, remainder: int) -> int:
    return int(np.flatnonzero(sky.universe.lamost["obsid"] % 2 == remainder)[0])


def test_every_file_passes_astropys_verification(sky):
    for number in range(0, 300, 20):
        opened(sky.sdss.lite(number))
    for number in range(0, 200, 20):
        opened(sky.lamost.spectrum(number, "dr10"))
    opened(sky.read(SPECOBJ))
    fields = RELEASES["dr20"]
    opened(sky.sdss.lite(0, fields))
    plate, _ = plate_of(sdss_path(sky.universe.sdss[0]))
    for path in (fields.catalogue, fields.stars, plate, *desi_paths(sky)[:2]):
        opened(sky.read(path))


def test_both_layouts_and_both_names_of_the_snr_are_there(sky):
    headers = [opened(sky.lamost.spectrum(n, "dr10"))[0].header for n in range(60)]
    assert {header["NAXIS"] for header in headers} == {0, 2}
    assert sum("SN_G" in header for header in headers) > 0
    assert sum("SNRG" in header for header in headers) > 30


def test_every_header_says_that_it_is_simulated(sky, lite):
    for hdus in (*lite.values(), *(opened(sky.lamost.spectrum(n, "dr10")) for n in range(4))):
        assert hdus[0].header["ORIGIN"] == "SIMULATED"
        assert "SIMULATED" in str(hdus[0].header["HISTORY"])


def test_the_pixel_table_is_what_the_header_says(lite):
    for boss, hdus in lite.items():
        header, data = hdus[0].header, hdus[1].data
        loglam = data["loglam"].astype(float)
        expected = header["COEFF0"] + header["COEFF1"] * np.arange(len(data))
        np.testing.assert_allclose(loglam, expected, atol=3e-7)
        assert (len(data) > 4500) == boss
        assert np.isfinite(data["flux"]).all()
        assert (data["ivar"] >= 0).all()
        # R = 1844 / wdisp: 1100 in BOSS's far blue to 2400.
        assert (data["wdisp"] > 0.7).all()
        assert (data["wdisp"] < 1.7).all()


def test_specobj_has_the_real_columns(sky, real_spectra: Path):
    with fits.open(real_spectra / "sdss_firefly/spec-0266-51602-0001.fits") as real:
        known = dict(kinds(real[2]))
    table = opened(sky.read(SPECOBJ))[1]
    joined_later = {"SPECSDSS", "THING_ID", "EBOSS_TARGET0", "EBOSS_TARGET1", "EBOSS_TARGET2"}
    ours = dict(kinds(table))
    assert len(ours) == len(CATALOGUE.columns) > 90
    assert {n: f for n, f in ours.items() if n not in joined_later} == {
        n: known[n] for n in ours if n not in joined_later
    }
    # 22 characters, right-aligned, as in DR17.
    assert table.columns["SPECOBJID"].format == "22A"
    identifier = str(table.data["SPECOBJID"][0])
    assert len(identifier.rstrip()) == 22
    packed = int(identifier)
    row = table.data[0]
    assert (packed >> 50, packed >> 38 & 4095) == (row["PLATE"], row["FIBERID"])
    assert (packed >> 24 & 16383) + 50000 == row["MJD"]


def test_column_list_is_of_one_piece():
    assert [len(SUMMARY[boss].columns) for boss in (False, True)] == [126, 236]
    assert {program.run2d for program in PROGRAMS} == {"26", "103", "104", "v5_13_2"}
