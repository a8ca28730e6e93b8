"""From a file's bytes to a Spectrum or Header, whatever the survey and layout."""

from __future__ import annotations

import errno
import stat
import zlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, TypeVar

from specvit.errors import SpectrumError, blamed_on_the_file, on_one_line
from specvit.registry import surveys
from specvit.spectrum.fits import BytesFits, FitsSource
from specvit.spectrum.fits_layout import UnusualFitsError, check_limits
from specvit.spectrum.types import Header, Spectrum
from specvit.surveys.survey import Many, Reader, Survey

GZIP_MAGIC = b"\x1f\x8b"
# A full SDSS file has a few MB; a few kB of gzip can unpack to as many GB.
MAX_BYTES = 32 * 2**20
MACHINE = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})  # no fault of a file
SHOWN_COLUMNS = 6
SHOWN = 24  # characters of a wrong file that its reason quotes

T = TypeVar("T")


class UnknownLayoutError(SpectrumError):
    """FITS, but of no survey that is known here."""


def read_spectrum(data: bytes, row: int = 0) -> Spectrum:
    """Read the bytes of one FITS file, plain or gzipped; `row` where a file holds several spectra.

    Raises SpectrumError, whose text is the reason for ledgers: empty, not FITS, truncated, medium
    resolution, unknown layout, no data.
    """
    return _quick_or_astropy(data, lambda source: spectrum_of(source, row))


def read_header(data: bytes, row: int = 0) -> Header:
    """Read what a file says of itself; an all-zero spectrum has a header too."""
    return _quick_or_astropy(data, lambda source: header_of(source, row))


def read_identity(data: bytes, row: int = 0) -> tuple[str, str]:
    """Read survey and identity alone, as in Header: half the work, for a look at every download."""

    def of(source: FitsSource) -> tuple[str, str]:
        survey, reader, layout = recognised(source)
        return survey.name, reader.identity(source, layout, row)

    return _quick_or_astropy(data, of)


def spectrum_of(source: FitsSource, row: int = 0) -> Spectrum:
    """Read a spectrum from an opened file."""
    _, reader, layout = recognised(source)
    return reader.read(source, layout, row)


def header_of(source: FitsSource, row: int = 0) -> Header:
    """Read a header from an opened file."""
    _, reader, layout = recognised(source)
    return reader.header(source, layout, row)


def open_shared(path: Path) -> AbstractContextManager[Many] | None:
    """Open a file that holds many spectra of some survey; None where it is none. See Survey."""
    opened = (survey.open_shared(path) for survey in surveys().values())
    return next((many for many in opened if many is not None), None)


def recognised(source: FitsSource) -> tuple[Survey[Any], Reader, str]:
    """The survey that the file is of, what reads it, and its layout.

    Told by structure, not by release or name. SpectrumError where no survey knows it.
    """
    for survey in surveys().values():
        reader = survey.reader
        layout = reader.recognise(source)
        if layout is not None:
            return survey, reader, layout
    titles = " or ".join(survey.title for survey in surveys().values())
    raise UnknownLayoutError(f"FITS, but no spectrum of {titles}: {_described(source)}")


def _described(source: FitsSource) -> str:
    """What a file holds that is no survey's."""
    names = source.names(1)
    if names:
        shown = ", ".join(on_one_line(name, most=SHOWN) for name in sorted(names)[:SHOWN_COLUMNS])
        shown += ", ..." * (len(names) > SHOWN_COLUMNS)
        return f"a table ({shown}) that does not say whose it is"
    if source.get(0, "NAXIS") == 2:
        width, height = source.get(0, "NAXIS1"), source.get(0, "NAXIS2")
        return f"an image of {width} x {height} pixels that does not say whose it is"
    return f"neither a table nor an image of spectra in its first {min(source.count, 2)} parts"


def plain_bytes(data: bytes) -> bytes:
    """Undo gzip and check that what is left is FITS. Raises SpectrumError."""
    data = unpacked(data)
    if not data:
        raise SpectrumError("empty file")
    if not data.startswith(b"SIMPLE  ="):
        raise SpectrumError(f"not a FITS file (starts with {_quote(data)})")
    return data


def read_bytes(path: Path) -> bytes:
    """The bytes of a file that may hold a spectrum.

    Raises SpectrumError where it cannot be read, is no file (a pipe or device would never end) or
    is longer than any spectrum.
    """
    try:
        state = path.stat()
        if not stat.S_ISREG(state.st_mode):
            raise SpectrumError("not a regular file")
        if state.st_size > MAX_BYTES:
            raise SpectrumError(f"{state.st_size} bytes, which no spectrum has")
        return path.read_bytes()
    except OSError as error:
        if error.errno in MACHINE:
            raise
        raise SpectrumError(f"cannot read: {error.strerror}") from error


def unpacked(data: bytes) -> bytes:
    """Undo gzip where there is any, also of several members; what follows them is let be.

    Raises SpectrumError where it is broken or no spectrum could be as long.
    """
    if not data.startswith(GZIP_MAGIC):
        return data
    pieces, left = [], MAX_BYTES
    try:
        while data.startswith(GZIP_MAGIC):
            member = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
            piece = member.decompress(data, left + 1)
            pieces.append(piece)
            left -= len(piece)
            if left < 0:
                raise SpectrumError(
                    f"unpacks to more than {MAX_BYTES} bytes, which no spectrum does"
                )
            if not member.eof:
                raise SpectrumError("truncated gzip")
            data = member.unused_data.lstrip(b"\0")
    except zlib.error as error:
        raise SpectrumError(f"corrupt gzip: {error}") from error
    return b"".join(pieces)


def _quote(data: bytes) -> str:
    start = data[:SHOWN].decode("utf-8", "replace")
    return repr("".join(char if char.isprintable() else "?" for char in start).strip())


def _quick_or_astropy(data: bytes, build: Callable[[FitsSource], T]) -> T:
    plain = plain_bytes(data)
    with blamed_on_the_file():
        try:
            return build(BytesFits(plain))
        except UnusualFitsError:
            check_limits(plain)
            # Loaded here: most runs never need it, and it costs half a second to import.
            from specvit.spectrum.astropy_fits import AstropyFits

            return build(AstropyFits(plain))
