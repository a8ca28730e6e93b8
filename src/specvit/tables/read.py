"""A file of any kind to a Spectrum: the surveys' readers first, then tables of any make."""

from __future__ import annotations

import io
from dataclasses import replace

from specvit.errors import SpectrumError, blamed_on_the_file
from specvit.spectrum import Spectrum
from specvit.surveys.read import UnknownLayoutError, read_spectrum, unpacked
from specvit.tables.arrays import Reading, spectrum_from
from specvit.tables.columns import arrays_of
from specvit.tables.fits_file import read_fits
from specvit.tables.objects import spectrum_of
from specvit.tables.text import read_text

FITS_START = b"SIMPLE  ="


def read_any(data: bytes, reading: Reading, identity: str = "") -> Spectrum:
    """Read the bytes of one file, plain or gzipped.

    A survey's file by its survey's reader; any other FITS file by its first table with a wavelength
    and a flux column, or first image of one row; text as a table; what is left by specutils, where
    that is installed. `identity` names a spectrum whose file does not. Raises SpectrumError, whose
    text is the reason.
    """
    data = unpacked(data)
    if not data:
        raise SpectrumError("empty file")
    with blamed_on_the_file():
        if data.startswith(FITS_START):
            try:
                return read_spectrum(data)
            except UnknownLayoutError as error:
                arrays = read_fits(data)
                if arrays is None:
                    return _by_specutils(data, reading, error)
        else:
            table, notes = read_text(data)
            arrays = arrays_of(table, notes=notes)
        return spectrum_from(replace(arrays, identity=identity), reading)


def _by_specutils(data: bytes, reading: Reading, error: SpectrumError) -> Spectrum:
    """What one of specutils' loaders makes of it; SpectrumError where none knows the file."""
    no_spectrum = SpectrumError(f"{error}, nor any with a wavelength and a flux")
    try:
        from specutils import Spectrum as Theirs
    except ImportError:
        raise no_spectrum from None
    try:
        found = Theirs.read(io.BytesIO(data))
    except Exception:  # loaders raise nearly anything
        raise no_spectrum from None
    return spectrum_of(found, reading)
