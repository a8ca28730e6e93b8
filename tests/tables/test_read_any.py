"""Tables of any make give the same spectrum."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import astropy.units as u
import numpy as np
import pandas as pd
import pytest
from astropy.io import fits
from astropy.table import Table

from spectrum_files import LOGLAM, galaxy_flux, sdss_file
from specvit.errors import DataError, SpectrumError
from specvit.spectrum.values import vacuum
from specvit.tables.arrays import Reading
from specvit.tables.objects import spectrum_of
from specvit.tables.read import read_any

WAVE, FLUX = 10**LOGLAM, galaxy_flux().astype(float)
SIGMA = np.full(len(FLUX), 0.02)
DEFAULT = Reading()


def text_of(columns: dict[str, np.ndarray], sep: str = ",", before: str = "") -> bytes:
    lines = [sep.join(columns)] if before == "" else [before]
    lines += [sep.join(f"{v:.9g}" for v in row) for row in zip(*columns.values(), strict=True)]
    return "\n".join(lines).encode() + b"\n"


def fits_of(table: Table) -> bytes:
    buffer = io.BytesIO()
    table.write(buffer, format="fits")
    return buffer.getvalue()


def written(table: Table, kind: str, path: Path) -> bytes:
    table.write(path, format=kind)
    return path.read_bytes()


LIKE = {
    "csv": text_of({"wavelength": WAVE, "flux": FLUX, "error": SIGMA}),
    "case and blanks": text_of({" Wave ": WAVE, "FLUX": FLUX, "Flux_Err": SIGMA}),
    "loglam, ivar": text_of({"loglam": LOGLAM, "flux": FLUX, "ivar": SIGMA**-2}),
    "variance": text_of({"lambda": WAVE, "flux": FLUX, "var": SIGMA**2}),
    "unit in the name": text_of({"wavelength (nm)": WAVE / 10, "flux": FLUX, "sigma": SIGMA}),
    "unit behind the name": text_of({"wave_um": WAVE / 1e4, "flux": FLUX, "sigma": SIGMA}),
    "tabs": text_of({"wave": WAVE, "flux": FLUX, "err": SIGMA}, "\t"),
    "semicolons": text_of({"wave": WAVE, "flux": FLUX, "err": SIGMA}, ";"),
    "blanks, no names": text_of({"a": WAVE, "b": FLUX, "c": SIGMA}, "  ", "# made by hand"),
    "names in a comment": text_of({"a": FLUX, "b": WAVE, "c": SIGMA}, " ", "# flux wave err"),
    "byte-order mark": "\ufeff".encode() + text_of({"wave": WAVE, "flux": FLUX, "err": SIGMA}),
    "gzip": gzip.compress(text_of({"wave": WAVE, "flux": FLUX, "err": SIGMA})),
    "falling": text_of({"wave": WAVE[::-1], "flux": FLUX[::-1], "err": SIGMA}),
    "fits": fits_of(Table({"WAVE": WAVE * u.AA, "FLUX": FLUX, "ERR": SIGMA})),
    "fits, one row": fits_of(Table({"WAVE": [WAVE / 10] * u.nm, "FLUX": [FLUX], "ERR": [SIGMA]})),
}


@pytest.mark.parametrize("name", LIKE)
def test_any_table_gives_the_same_spectrum(name: str) -> None:
    spectrum = read_any(LIKE[name], DEFAULT, "mine")
    assert spectrum.header.survey == "other"
    assert spectrum.header.identity == "mine"
    np.testing.assert_allclose(spectrum.wavelength, WAVE, rtol=1e-7)
    ratio = spectrum.flux / FLUX
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-5)
    # Flux and error have one scale: S/N is what was given.
    np.testing.assert_allclose(spectrum.flux * np.sqrt(spectrum.ivar), FLUX / SIGMA, rtol=1e-4)
    assert spectrum.header.snr == pytest.approx(np.median(FLUX / SIGMA), rel=1e-3)
    assert spectrum.good.all()
    assert "noise estimated" not in spectrum.notes


def test_formats_with_units_of_their_own(tmp_path: Path) -> None:
    table = Table({"wave": (WAVE / 10) * u.nm, "flux": FLUX * u.Jy, "uncertainty": SIGMA * u.Jy})
    spectra = [
        read_any(written(table, kind, tmp_path / kind), DEFAULT)
        for kind in ("ascii.ecsv", "votable", "fits")
    ]
    for spectrum in spectra:
        np.testing.assert_allclose(spectrum.wavelength, WAVE, rtol=1e-7)
        # Janskys are by frequency: f_lambda goes as f_nu / lambda^2.
        ratio = spectrum.flux / (FLUX / WAVE**2)
        np.testing.assert_allclose(ratio, ratio[0], rtol=1e-5)
    assert "wavelength taken as Angstrom" not in spectra[0].notes


def test_an_image_of_one_row_is_a_spectrum() -> None:
    hdu = fits.PrimaryHDU(FLUX)
    hdu.header.update({"CRVAL1": 400.0, "CDELT1": 0.14, "CRPIX1": 1.0, "CUNIT1": "nm"})
    buffer = io.BytesIO()
    hdu.writeto(buffer)
    spectrum = read_any(buffer.getvalue(), DEFAULT)
    np.testing.assert_allclose(spectrum.wavelength, 4000 + 1.4 * np.arange(3840), rtol=1e-9)
    hdu.header["CTYPE1"] = "AWAV"
    buffer = io.BytesIO()
    hdu.writeto(buffer)
    in_air = read_any(buffer.getvalue(), DEFAULT)
    np.testing.assert_allclose(in_air.wavelength, vacuum(4000.0 + 1.4 * np.arange(3840)), rtol=1e-9)


def test_the_surveys_own_files_keep_their_readers() -> None:
    spectrum = read_any(sdss_file(galaxy_flux()), Reading(wave_unit="nm", air=True), "name")
    assert (spectrum.header.survey, spectrum.header.identity) == ("sdss", "266-51602-1")
    np.testing.assert_allclose(spectrum.loglam, LOGLAM, rtol=1e-6)


def test_air_is_said_by_the_user_or_by_the_column() -> None:
    said = read_any(text_of({"wave": WAVE, "flux": FLUX}), Reading(air=True))
    named = read_any(text_of({"lambda_air": WAVE, "flux": FLUX}), DEFAULT)
    for spectrum in (said, named):
        np.testing.assert_allclose(spectrum.wavelength, vacuum(WAVE), rtol=1e-7)
        assert "converted from air" in spectrum.notes


def test_a_unit_is_asked_for_where_angstrom_cannot_be() -> None:
    data = text_of({"wave": WAVE / 10, "flux": FLUX})
    with pytest.raises(SpectrumError, match=r"around 59.* without a unit: say --wave-unit nm"):
        read_any(data, DEFAULT)
    np.testing.assert_allclose(read_any(data, Reading("nm")).wavelength, WAVE, rtol=1e-7)
    logs = text_of({"wave": LOGLAM, "flux": FLUX})
    np.testing.assert_allclose(read_any(logs, Reading("loglam")).wavelength, WAVE, rtol=1e-7)
    for unit in ("A", "Ang", "ANGSTROMS"):
        assert read_any(text_of({"wave": WAVE, "flux": FLUX}), Reading(unit)).good.all()
    for unit in ("kg", "furlongs!"):
        with pytest.raises(SpectrumError, match=f"unit '{unit}' is none of length"):
            read_any(data, Reading(unit))


def test_noise_is_estimated_and_said_so() -> None:
    rng = np.random.default_rng(1)
    flux = 5 + rng.normal(scale=0.5, size=4000)
    flux[:100] = 0  # padding
    wave = np.linspace(3800, 9200, 4000)
    spectrum = read_any(text_of({"wave": wave, "flux": flux}), DEFAULT)
    assert "noise estimated" in spectrum.notes
    assert spectrum.header.snr == pytest.approx(10, rel=0.05)
    assert not spectrum.good[:100].any()
    assert spectrum.good[100:].all()
    flat = read_any(text_of({"wave": wave, "flux": np.ones(4000)}), DEFAULT)
    assert flat.header.snr is None
    assert "no noise seen" in flat.notes


def test_a_finer_spectrum_is_resampled_with_its_noise() -> None:
    rng = np.random.default_rng(2)
    wave = np.geomspace(4000, 8000, 30_103)  # ten pixels to one of SDSS's
    flux = 1 + rng.normal(scale=0.3, size=len(wave))
    gap = (wave > 5000) & (wave < 5100)
    flux[gap] = np.nan
    sigma = np.full(len(wave), 0.3)
    spectrum = read_any(text_of({"wave": wave, "flux": flux, "err": sigma}), DEFAULT)
    assert "resampled" in spectrum.notes
    np.testing.assert_allclose(np.diff(spectrum.loglam), 1e-4, rtol=1e-6)
    good = spectrum.good
    inside = (spectrum.wavelength > 5005) & (spectrum.wavelength < 5095)
    assert not good[inside].any()
    assert good[~inside].sum() > 2900
    assert spectrum.header.snr == pytest.approx(np.sqrt(10) / 0.3, rel=0.05)
    # The errors are those of the means.
    pull = (spectrum.flux[good] - np.median(spectrum.flux[good])) * np.sqrt(spectrum.ivar[good])
    assert np.std(pull) == pytest.approx(1, abs=0.1)


BAD = {
    "empty": (b"", "empty file"),
    "html": (b"<!DOCTYPE html><html><body>404</body></html>", "a page of HTML"),
    "binary": (bytes(range(256)) * 10, "neither FITS nor text"),
    "prose": (b"Dear reader, this\nis a text of several words.\n", "no table|no wavelength"),
    "text in columns": (b"wave,flux\n" + b"blue,bright\n" * 99, "holds what is no number"),
    "no flux": (text_of({"wave": WAVE, "x": FLUX}), r"no flux column \(it has wave, x\)"),
    "one column": (b"1.0\n2.0\n3.0\n", "one column of numbers"),
    "few": (text_of({"wave": WAVE[:9], "flux": FLUX[:9]}), "9 pixels with a wavelength"),
    "zero": (text_of({"wave": WAVE, "flux": 0 * FLUX}), "flux is all zero"),
    "nan": (text_of({"wave": WAVE, "flux": np.nan * FLUX}), "not finite"),
    "header alone": (b"wave,flux\n", "."),
    "fits, no names": (fits_of(Table({"X": WAVE, "Y": FLUX})), r"\(X, Y\).*wavelength and a flux"),
    "fits, two spectra": (
        fits_of(Table({"WAVE": [WAVE] * 2, "FLUX": [FLUX] * 2})),
        "2 x 3840: several spectra",
    ),
    "broken gzip": (gzip.compress(b"wave,flux\n1,2\n")[:-9], "truncated gzip"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_spectrum_has_a_reason(name: str) -> None:
    data, reason = BAD[name]
    with pytest.raises(SpectrumError, match=reason):
        read_any(data, DEFAULT)


def test_what_python_holds() -> None:
    ivar = SIGMA**-2
    for thing in (
        (WAVE, FLUX, ivar),
        (WAVE / 10 * u.nm, FLUX, ivar),
        pd.DataFrame({"wave": WAVE, "flux": FLUX, "ivar": ivar}),
        {"wave": WAVE, "flux": FLUX, "ivar": ivar},
        Table({"wave": WAVE, "flux": FLUX, "ivar": ivar}),
        np.rec.fromarrays([WAVE, FLUX, ivar], names="wave,flux,ivar"),
    ):
        spectrum = spectrum_of(thing, DEFAULT)
        np.testing.assert_allclose(spectrum.wavelength, WAVE, rtol=1e-9)
        assert spectrum.header.snr == pytest.approx(np.median(FLUX / SIGMA), rel=1e-6)
    for wrong in (3, "text", None, [WAVE, FLUX], object()):
        with pytest.raises(DataError, match="is no spectrum: give a path"):
            spectrum_of(wrong, DEFAULT)
    with pytest.raises(SpectrumError, match="3840 wavelengths and 10 fluxes"):
        spectrum_of((WAVE, FLUX[:10]), DEFAULT)
