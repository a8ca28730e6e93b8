"""Damaged spectra are refused in words, or give the arrays that astropy finds in the same bytes."""

from __future__ import annotations

import io
import random
import re
import warnings
from contextlib import suppress

import numpy as np
import pytest
from astropy.io import fits
from damage import ALONE, COMPARED, REFUSED, Became
from hostile_files import spectra
from limits import little_memory, no_hang
from mutate import FITS, headers
from numpy.typing import NDArray

from specvit.errors import SpectrumError
from specvit.spectrum import Spectrum
from specvit.spectrum.astropy_fits import AstropyFits
from specvit.spectrum.values import vacuum
from specvit.surveys.read import header_of, plain_bytes, read_header, read_spectrum

FILES = 60  # of each layout, in one round
LAYOUTS = tuple(spectra())


@pytest.mark.parametrize("layout", LAYOUTS)
def test_sound_files_are_read(layout: str) -> None:
    check(spectra()[layout])
    read_spectrum(spectra()[layout])


def damaged(layout: str, seed: int) -> bytes:
    rng = random.Random(f"{layout} {seed}")
    mutator = rng.choice(FITS)
    return mutator(rng, spectra()[layout])


# What long runs (make fuzz) have found.
FOUND = {
    "control characters in the name of a column": (
        lambda whole: damaged("boss", 904),
        "does not say whose it is",
    ),
    "lists in place of numbers": (
        lambda whole: whole.replace(b"TFORM1  = 'E       '", b"TFORM1  = '1PE(5)  '"),
        "column FLUX holds a list in each row",
    ),
}


@pytest.mark.parametrize("what", FOUND)
def test_what_was_found(what: str) -> None:
    change, said = FOUND[what]
    data = change(spectra()["boss"])
    assert data != spectra()["boss"]
    with pytest.raises(SpectrumError, match=said):
        read_spectrum(data)
    assert check(data) == REFUSED


@pytest.mark.parametrize(("layout", "key"), [("spspec", "NAXIS1"), ("lamost_table", "PCOUNT")])
def test_sizes_below_none_are_refused(layout: str, key: str) -> None:
    """Through such a file astropy goes backwards, for ever."""
    whole = spectra()[layout]
    card = re.search(rf"{key:<8}= +\d+".encode(), whole)
    assert card is not None
    less = f"{key:<8}= {-5:>{len(card[0]) - 10}}".encode()
    with no_hang(), pytest.raises(SpectrumError, match=f"{key} = -5"):
        read_spectrum(whole.replace(card[0], less))


def test_an_image_has_one_or_two_axes() -> None:
    buffers = [io.BytesIO(), io.BytesIO()]
    for buffer, shape in zip(buffers, ((7,), (2, 3, 7)), strict=True):
        fits.PrimaryHDU(np.ones(shape)).writeto(buffer)
    assert AstropyFits(buffers[0].getvalue()).image(0).shape == (1, 7)
    with pytest.raises(SpectrumError, match=r"no image of one or two axes: \(2, 3, 7\)"):
        AstropyFits(buffers[1].getvalue()).image(0)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_damaged_spectra(layout: str, round_: int, became: Became) -> None:
    whole = spectra()[layout]
    with little_memory():
        for seed in range(round_ * FILES, (round_ + 1) * FILES):
            rng = random.Random(f"{layout} {seed}")
            mutator = rng.choice(FITS)
            try:
                became(check(mutator(rng, whole)))
            except BaseException as error:
                error.add_note(f"{layout}, seed {seed}, {mutator.__name__}")
                raise


def check(data: bytes) -> str:
    """Read a file as every stage does; what became of it."""
    with no_hang():
        try:
            spectrum = read_spectrum(data)
        except SpectrumError as error:
            check_sentence(str(error))
            spectrum = None
        try:
            header = read_header(data)
        except SpectrumError as error:
            check_sentence(str(error))
            assert spectrum is None
            return REFUSED
    if spectrum is None:
        return REFUSED
    assert spectrum.header == header
    plain = plain_bytes(data)
    try:
        arrays = by_astropy(plain, header.layout)
    except Exception:  # astropy looks at all cards: a wrong one of another column is too much
        return ALONE
    check_arrays(spectrum, *arrays)
    with suppress(SpectrumError):
        if is_standard(plain):
            assert header_of(AstropyFits(plain)) == header
    return COMPARED


def is_standard(plain: bytes) -> bool:
    """Whether each card is one of the standard's: what astropy makes of others is not in it.

    It takes a keyword without `= ` for one with it, and glues a CONTINUE to any text before it.
    """
    cards = [plain[at : at + 80] for header in headers(plain) for at in header]
    without = (b"COMMENT ", b"HISTORY ", b" " * 8, b"END     ")
    return all(
        (card[8:10] == b"= " and not card.startswith(b"CONTINUE")) or card.startswith(without)
        for card in cards
    )


def check_sentence(text: str) -> None:
    assert 5 < len(text) < 300
    assert text.isprintable()
    # What nobody foresaw: reading has a mistake.
    assert not text.startswith("unusable")


def by_astropy(plain: bytes, layout: str) -> tuple[NDArray, NDArray, NDArray, NDArray | None]:
    """Wavelength, flux, inverse variance and masked pixels."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with fits.open(io.BytesIO(plain), memmap=False) as hdus:
            header = hdus[0].header
            if layout == "sdss":
                mask = _bright(_column(hdus, "AND_MASK"))
                return (*(_column(hdus, name) for name in ("LOGLAM", "FLUX", "IVAR")), mask)
            if layout == "sdss_spspec":
                image = hdus[0].data
                with np.errstate(all="ignore"):
                    error = image[2].astype(float)
                    ivar = np.where(error > 0, 1 / error**2, 0)
                return _scale(header, image), image[0], ivar, _bright(image[3])
            if layout == "lamost_image":
                image = hdus[0].data
                loglam = _scale(header, image)
                if header.get("VACUUM") is False:
                    loglam = np.log10(vacuum(10**loglam))
                return loglam, image[0], image[1], image[0] == 0
            wave, flux, ivar = (
                np.asarray(_column(hdus, n)).ravel() for n in ("WAVELENGTH", "FLUX", "IVAR")
            )
            if flux.dtype == object:
                wave, flux, ivar = wave[0], flux[0], ivar[0]
            wave = wave.astype(float)
            loglam = np.log10(vacuum(wave) if header.get("VACUUM") is False else wave)
            return loglam, flux, ivar, flux == 0


def _scale(header: fits.Header, image: NDArray) -> NDArray:
    return float(header["COEFF0"]) + float(header["COEFF1"]) * np.arange(image.shape[1])


def _column(hdus: fits.HDUList, name: str) -> NDArray | None:
    names = [(column or "").upper() for column in hdus[1].columns.names]
    return hdus[1].data.field(names.index(name)) if name in names else None


def _bright(mask: NDArray | None) -> NDArray | None:
    if mask is None or (mask.dtype.kind in "iu" and mask.dtype.itemsize <= 2):
        return None
    with np.errstate(all="ignore"):
        return (np.nan_to_num(mask, nan=0, posinf=0, neginf=0).astype(np.int64) & (1 << 23)) != 0


def check_arrays(
    spectrum: Spectrum, loglam: NDArray, flux: NDArray, ivar: NDArray, masked: NDArray | None
) -> None:
    with np.errstate(all="ignore"):
        flux, ivar = flux.astype(np.float32), ivar.astype(np.float32)
        known = np.isfinite(flux) & np.isfinite(ivar) & (ivar > 0)
    np.testing.assert_array_equal(spectrum.loglam, loglam.astype(float))
    np.testing.assert_array_equal(spectrum.flux, flux)
    np.testing.assert_array_equal(spectrum.ivar, np.where(known, ivar, 0))
    np.testing.assert_array_equal(spectrum.good, known if masked is None else known & ~masked)
