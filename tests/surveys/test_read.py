"""Whatever a file holds, it is a spectrum or a reason; never an exception of another kind."""

from __future__ import annotations

import gzip
import io

import numpy as np
import pytest
from astropy.io import fits

from spectrum_files import LOGLAM, galaxy_flux, lamost_table_file, sdss_file
from specvit.errors import MachineError, SpectrumError, blamed_on_the_file
from specvit.surveys.read import read_header, read_spectrum


def changed(data: bytes, hdu: int, column: str, form: str, values: object) -> bytes:
    """The file with one column of a table in another format."""
    with fits.open(io.BytesIO(data)) as hdus:
        columns = [
            fits.Column(one.name, form, array=values)
            if one.name.upper() == column
            else fits.Column(one.name, one.format, array=hdus[hdu].data[one.name])
            for one in hdus[hdu].columns
        ]
        hdus[hdu] = fits.BinTableHDU.from_columns(columns, header=hdus[hdu].header)
        buffer = io.BytesIO()
        hdus.writeto(buffer)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("form", "bits"),
    [("I", False), ("B", False), ("L", False), ("J", True), ("K", True), ("E", True), ("D", True)],
)
def test_masks_of_every_type(form: str, bits: bool) -> None:
    """A mask too narrow for bit 23 has no BRIGHTSKY."""
    mask = np.zeros(len(LOGLAM), np.int64)
    mask[:100] = 1 << 23 if bits else 1
    data = changed(sdss_file(galaxy_flux()), 1, "AND_MASK", form, mask)
    assert read_spectrum(data).good[:100].any() == (not bits)
    assert read_spectrum(data).good[100:].all()


@pytest.mark.parametrize("columns", [["FLUX"], ["FLUX", "IVAR", "WAVELENGTH"]])
def test_columns_of_variable_length(columns: list[str]) -> None:
    plain = lamost_table_file(galaxy_flux())
    with fits.open(io.BytesIO(plain)) as hdus:
        vectors = {name: np.asarray(hdus[1].data[name][0]) for name in columns}
    data = plain
    for name, vector in vectors.items():
        cell = np.empty(1, object)
        cell[0] = vector
        data = changed(data, 1, name, "PE()", cell)
    np.testing.assert_array_equal(read_spectrum(data).flux, read_spectrum(plain).flux)


def test_gzip_in_members_and_padding() -> None:
    data = sdss_file(galaxy_flux())
    packed = gzip.compress(data[:5000]) + gzip.compress(data[5000:]) + bytes(512)
    assert read_header(packed) == read_header(data)
    with pytest.raises(SpectrumError, match="truncated gzip"):
        read_header(packed[:-600])


def test_gzip_that_unpacks_without_end_is_refused() -> None:
    bomb = gzip.compress(bytes(2**26))
    with pytest.raises(SpectrumError, match="unpacks to more than 33554432 bytes"):
        read_header(bomb)
    with pytest.raises(SpectrumError, match="unpacks to more than 33554432 bytes"):
        read_header(gzip.compress(bytes(2**24)) * 4)


@pytest.mark.parametrize(
    ("card", "over"),
    [
        ("TFIELDS", 2**31),
        ("TFIELDS", 1000),
        ("NAXIS", 10**16),
        ("NAXIS", 1000),
    ],
)
@pytest.mark.parametrize("unusual", [False, True])
def test_more_than_fits_allows_is_refused(card: str, over: int, unusual: bool) -> None:
    data = bytearray(sdss_file(galaxy_flux()))
    start = data.index(b"XTENSION")
    at = data.index(card.ljust(8).encode() + b"=", start)
    data[at : at + 80] = f"{card:8}= {over:20d}".ljust(80).encode()
    if unusual:  # what only astropy knows, before it
        at = data.index(b"BITPIX  =")
        data[at : at + 80] = b"BITPIX  =  8".ljust(80)
    with pytest.raises(SpectrumError, match=f"{card} = {over}.*FITS allows at most 999"):
        read_header(bytes(data))


def test_whose_fault_it_is() -> None:
    said = "unusable: ZeroDivisionError: division by zero"
    with pytest.raises(SpectrumError, match=said), blamed_on_the_file():
        1 / 0  # noqa: B018
    for error in (MachineError("full"), OSError(28, "No space left"), SpectrumError("cut")):
        with pytest.raises(type(error)) as caught, blamed_on_the_file():
            raise error
        assert caught.value is error
