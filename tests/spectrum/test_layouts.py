"""Each layout and each trap of it, from small made files."""

from __future__ import annotations

import gzip

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st

from spectrum_files import (
    LOGLAM,
    galaxy_flux,
    lamost_image_file,
    lamost_table_file,
    sdss_file,
    to_bytes,
)
from specvit.errors import SpectrumError
from specvit.spectrum import fits as quick_fits
from specvit.spectrum.fits_layout import UnusualFitsError
from specvit.surveys.read import read_header, read_spectrum

FLUX = galaxy_flux()
SMALL = sdss_file(FLUX[:64], loglam=LOGLAM[:64])


@pytest.mark.parametrize("upper", [False, True])
@pytest.mark.parametrize("named", [False, True])
def test_sdss_by_position_and_any_case(upper: bool, named: bool) -> None:
    spectrum = read_spectrum(sdss_file(FLUX, upper=upper, named=named))
    np.testing.assert_array_equal(spectrum.flux, FLUX)
    assert spectrum.loglam == pytest.approx(LOGLAM, abs=1e-6)
    header = spectrum.header
    assert (header.survey, header.layout, header.identity) == ("sdss", "sdss", "266-51602-1")
    assert (header.class_, header.subclass, header.zwarning) == ("GALAXY", "AGN", 0)
    assert header.z == pytest.approx(0.1)
    assert header.snr == 12.5


def test_sdss_masks_brightsky_but_not_or_mask() -> None:
    mask = np.zeros(len(FLUX), int)
    mask[100:110] = 1 << 23
    mask[200:210] = 1 << 20
    ivar = np.full(len(FLUX), 4.0)
    ivar[300:310] = 0
    ivar[400] = -1
    good = read_spectrum(sdss_file(FLUX, and_mask=mask, ivar=ivar)).good
    assert set(np.flatnonzero(~good)) == {*range(100, 110), *range(300, 310), 400}


def test_sdss_v_names_itself_by_field_and_catalogid() -> None:
    data = sdss_file(FLUX, CATALOGID=27021597842679140, FIELD=15000)
    assert read_header(data).identity == "15000-51602-27021597842679140"


def test_an_unclassified_sdss_row_has_no_class() -> None:
    header = read_header(sdss_file(FLUX, CLASS=" ", SUBCLASS=" ", Z=float("nan")))
    assert (header.class_, header.subclass, header.z) == (None, None, None)


def test_lamost_image_takes_wavelength_from_the_header() -> None:
    flux = FLUX.copy()
    flux[1000:1010] = 0
    spectrum = read_spectrum(lamost_image_file(flux))
    assert spectrum.header.layout == "lamost_image"
    assert spectrum.header.identity == "101001"
    assert spectrum.loglam == pytest.approx(3.5682 + 1e-4 * np.arange(len(flux)))
    assert set(np.flatnonzero(~spectrum.good)) == set(range(1000, 1010))


def test_lamost_image_in_double_precision_and_old_keys() -> None:
    keys = {"SNRR": None, "SN_R": 4.5, "OBSID": None}
    names = {"LMJD": 55862, "PLANID": "B6212", "SPID": 6, "FIBERID": "126"}
    header = read_header(lamost_image_file(FLUX, dtype=np.float64, **keys, **names))
    assert (header.snr, header.identity) == (4.5, "55862-B6212_sp06-126")


def test_lamost_table() -> None:
    spectrum = read_spectrum(lamost_table_file(FLUX))
    assert spectrum.header.layout == "lamost_table"
    assert spectrum.loglam == pytest.approx(3.5682 + 1e-4 * np.arange(len(FLUX)), abs=1e-7)
    np.testing.assert_array_equal(spectrum.flux, FLUX)


def test_sentinels_are_none() -> None:
    data = lamost_image_file(FLUX, CLASS="Unknown", SUBCLASS="Non", Z=-9999.0, RA=-9999)
    header = read_header(data)
    assert (header.class_, header.subclass, header.z, header.ra) == (None, None, None, None)


def test_an_all_zero_spectrum_has_a_header_but_no_data() -> None:
    data = sdss_file(np.zeros(100), loglam=LOGLAM[:100], ivar=0)
    assert read_header(data).class_ == "GALAXY"
    with pytest.raises(SpectrumError, match=r"no data: flux is all zero \(100 pixels\)"):
        read_spectrum(data)


def test_gzip_is_undone() -> None:
    np.testing.assert_array_equal(read_spectrum(gzip.compress(sdss_file(FLUX))).flux, FLUX)


def test_scaled_columns_go_through_astropy(monkeypatch: pytest.MonkeyPatch) -> None:
    data = sdss_file(FLUX, bzero=2.0)
    np.testing.assert_allclose(read_spectrum(data).flux, FLUX, atol=1e-6)

    def refuse(*_: object) -> None:
        raise UnusualFitsError("told to")

    monkeypatch.setattr(quick_fits.BytesFits, "names", refuse)
    np.testing.assert_array_equal(read_spectrum(sdss_file(FLUX)).flux, FLUX)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty file"),
        (gzip.compress(b"", mtime=0), "empty file"),
        (b"<html><body>404 Not Found", r"not a FITS file \(starts with '<html>"),
        (b'{"code": 404, "msg": "no"}', r"not a FITS file \(starts with '\{\"code"),
        (SMALL[:240], "truncated: a header has no END"),
        (SMALL[:1000], "truncated: 1000 bytes, the headers announce at least 2880"),
        (SMALL[:-2880], "truncated"),
        (gzip.compress(SMALL, mtime=0)[:-20], "truncated gzip"),
        (
            gzip.compress(SMALL, mtime=0)[:200] + bytes(200) + gzip.compress(SMALL, mtime=0)[400:],
            "corrupt gzip",
        ),
        (to_bytes(fits.PrimaryHDU(np.ones((4, 4)))), "no spectrum of SDSS or LAMOST"),
        (lamost_image_file(FLUX, COEFF1=0.0), "no wavelength scale"),
        (sdss_file(FLUX, loglam=LOGLAM[::-1]), "not finite and rising"),
        (sdss_file(FLUX[:1], loglam=LOGLAM[:1]), "not finite and rising"),
        (sdss_file(np.full(50, np.nan), loglam=LOGLAM[:50]), "no data"),
        (sdss_file(FLUX, PLATE=0), "without plate, MJD and fiber"),
    ],
)
def test_each_refusal_has_its_reason(data: bytes, reason: str) -> None:
    with pytest.raises(SpectrumError, match=reason):
        read_spectrum(data)


def test_medium_resolution_is_refused() -> None:
    names = ("FLUX", "IVAR", "LOGLAM")
    columns = [fits.Column(name, "E", array=LOGLAM[:50]) for name in names]
    arms = [fits.BinTableHDU.from_columns(columns, name=f"COADD_{arm}") for arm in "BR"]
    with pytest.raises(SpectrumError, match="medium resolution"):
        read_spectrum(to_bytes(fits.PrimaryHDU(), *arms))


@settings(max_examples=150, deadline=None)
@given(at=st.integers(0, len(SMALL) - 1), junk=st.binary(min_size=1, max_size=200))
def test_damage_is_refused_or_harmless(at: int, junk: bytes) -> None:
    damaged = SMALL[:at] + junk + SMALL[at + len(junk) :]
    try:
        spectrum = read_spectrum(damaged)
    except SpectrumError:
        return
    assert spectrum.good.any()
    assert np.isfinite(spectrum.flux[spectrum.good]).all()
    assert (np.diff(spectrum.loglam) > 0).all()
