"""specutils' own objects, both ways, and what merely looks like one."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import astropy.units as u
import numpy as np
import pytest
import specutils
from astropy.nddata import InverseVariance, StdDevUncertainty, VarianceUncertainty

from spectrum_files import LOGLAM, galaxy_flux
from spectrum_files import spectrum_of as made
from specvit.errors import SpectrumError
from specvit.tables.arrays import Reading
from specvit.tables.objects import spectrum_of
from specvit.tables.read import read_any

WAVE, FLUX = 10**LOGLAM, galaxy_flux().astype(float)
SIGMA = 0.02
MASK = np.zeros(len(FLUX), bool)
MASK[100:200] = True
UNIT = u.Unit("erg / (s cm2 Angstrom)")


@pytest.mark.parametrize(
    "uncertainty",
    [
        StdDevUncertainty(np.full(len(FLUX), SIGMA * 1e-17)),
        VarianceUncertainty(np.full(len(FLUX), SIGMA**2 * 1e-34)),
        InverseVariance(np.full(len(FLUX), SIGMA**-2 * 1e34)),
    ],
    ids=lambda uncertainty: uncertainty.uncertainty_type,
)
def test_a_spectrum_of_specutils_is_read(uncertainty: object) -> None:
    theirs = specutils.Spectrum(
        spectral_axis=(WAVE / 10) * u.nm,
        flux=FLUX * 1e-17 * UNIT,
        uncertainty=uncertainty,
        mask=MASK,
    )
    ours = spectrum_of(theirs, Reading())
    np.testing.assert_allclose(ours.wavelength, WAVE, rtol=1e-9)
    good = ours.good
    assert (good == ~MASK).all()
    assert ours.notes == ()
    np.testing.assert_allclose(
        ours.flux[good] * np.sqrt(ours.ivar[good]), FLUX[good] / SIGMA, rtol=1e-5
    )


def test_frequencies_and_janskys_become_wavelengths() -> None:
    theirs = specutils.Spectrum(
        spectral_axis=(WAVE * u.AA).to(u.THz, u.spectral())[::-1], flux=(FLUX * u.Jy)[::-1]
    )
    ours = spectrum_of(theirs, Reading())
    np.testing.assert_allclose(ours.wavelength, WAVE, rtol=1e-9)
    ratio = ours.flux / (FLUX / WAVE**2)
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-5)
    assert "noise estimated" in ours.notes


def test_there_and_back() -> None:
    ours = made(galaxy_flux(), good=~MASK)
    theirs = ours.to_specutils()
    assert isinstance(theirs, specutils.Spectrum)
    assert theirs.flux.unit == u.Unit("1e-17 erg / (s cm2 Angstrom)")
    back = spectrum_of(theirs, Reading())
    np.testing.assert_allclose(back.loglam, ours.loglam, atol=1e-12)
    assert (back.good == ours.good).all()
    snr = ours.flux * np.sqrt(ours.ivar)
    np.testing.assert_allclose(back.flux * np.sqrt(back.ivar), snr * ours.good, rtol=1e-5)


def test_its_loaders_read_what_no_reader_here_knows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "theirs.fits"
    specutils.Spectrum(
        spectral_axis=WAVE * u.AA,
        flux=FLUX * UNIT,
        uncertainty=StdDevUncertainty(np.full(len(FLUX), SIGMA)),
    ).write(path, format="tabular-fits")
    direct = read_any(path.read_bytes(), Reading())
    monkeypatch.setattr("specvit.tables.read.read_fits", lambda data: None)
    by_loader = read_any(path.read_bytes(), Reading())
    np.testing.assert_allclose(by_loader.wavelength, direct.wavelength, rtol=1e-9)
    assert by_loader.header.snr == pytest.approx(direct.header.snr)
    with pytest.raises(SpectrumError, match="nor any with a wavelength and a flux"):
        read_any(path.read_bytes()[:2880], Reading())


def test_several_spectra_are_refused_and_one_row_is_one() -> None:
    def like(flux: np.ndarray) -> SimpleNamespace:
        return SimpleNamespace(spectral_axis=WAVE * u.AA, flux=flux * UNIT)

    assert spectrum_of(like(FLUX[None]), Reading()).good.all()
    with pytest.raises(SpectrumError, match="of 2 spectra, not one"):
        spectrum_of(like(np.array([FLUX, FLUX])), Reading())
