"""From a file's bytes to a Spectrum or Header, whatever the survey and layout."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from typing import TypeVar

from specvit.errors import SpectrumError
from specvit.spectrum.fits import BytesFits, FitsSource, UnusualFitsError
from specvit.spectrum.lamost import (
    is_lamost_image,
    is_lamost_table,
    is_medium_resolution,
    lamost_header,
    lamost_identity,
    lamost_image,
    lamost_table,
)
from specvit.spectrum.sdss import is_sdss, sdss_header, sdss_identity, sdss_spectrum
from specvit.spectrum.types import Header, Layout, Spectrum

GZIP_MAGIC = b"\x1f\x8b"
SHOWN = 24  # characters of a wrong file that its reason quotes

T = TypeVar("T")


def read_spectrum(data: bytes) -> Spectrum:
    """Read the bytes of one FITS file, plain or gzipped.

    Raises SpectrumError, whose text is the reason for ledgers: empty, not FITS, truncated, medium
    resolution, unknown layout, no data.
    """
    return _quick_or_astropy(data, spectrum_of)


def read_header(data: bytes) -> Header:
    """Read what a file says of itself; an all-zero spectrum has a header too."""
    return _quick_or_astropy(data, header_of)


def read_identity(data: bytes) -> tuple[str, str]:
    """Read survey and identity alone, as in Header: half the work, for a look at every download."""
    return _quick_or_astropy(data, identity_of)


def spectrum_of(source: FitsSource) -> Spectrum:
    """Read the spectrum from an opened file."""
    layout = layout_of(source)
    if layout == "sdss":
        return sdss_spectrum(source)
    return lamost_image(source) if layout == "lamost_image" else lamost_table(source)


def header_of(source: FitsSource) -> Header:
    """Read the header from an opened file."""
    layout = layout_of(source)
    return sdss_header(source) if layout == "sdss" else lamost_header(source, layout)


def identity_of(source: FitsSource) -> tuple[str, str]:
    """Read survey and identity from an opened file."""
    if layout_of(source) == "sdss":
        return "sdss", sdss_identity(source)
    return "lamost", lamost_identity(source)


def layout_of(source: FitsSource) -> Layout:
    """Tell the layout by structure, not by release or name. SpectrumError where it is unknown."""
    if is_medium_resolution(source):
        raise SpectrumError("medium resolution (COADD_B, COADD_R), not a low-resolution spectrum")
    if is_lamost_image(source):
        return "lamost_image"
    if is_lamost_table(source):
        return "lamost_table"
    if is_sdss(source):
        return "sdss"
    raise SpectrumError("FITS, but neither an SDSS nor a LAMOST low-resolution spectrum")


def plain_bytes(data: bytes) -> bytes:
    """Undo gzip and check that what is left is FITS. Raises SpectrumError."""
    if data.startswith(GZIP_MAGIC):
        try:
            data = gzip.decompress(data)
        except EOFError as error:
            raise SpectrumError("truncated gzip") from error
        except (OSError, zlib.error) as error:
            raise SpectrumError(f"corrupt gzip: {error}") from error
    if not data:
        raise SpectrumError("empty file")
    if not data.startswith(b"SIMPLE  ="):
        raise SpectrumError(f"not a FITS file (starts with {_quote(data)})")
    return data


def _quote(data: bytes) -> str:
    start = data[:SHOWN].decode("utf-8", "replace")
    return repr("".join(char if char.isprintable() else "?" for char in start).strip())


def _quick_or_astropy(data: bytes, build: Callable[[FitsSource], T]) -> T:
    plain = plain_bytes(data)
    try:
        return build(BytesFits(plain))
    except UnusualFitsError:
        # Loaded here: most runs never need it, and it costs half a second to import.
        from specvit.spectrum.astropy_fits import AstropyFits

        return build(AstropyFits(plain))
