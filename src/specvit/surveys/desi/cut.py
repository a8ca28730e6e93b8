"""DESI coadds on disk: hundreds of spectra and as many MB, out of which single ones are cut.

A cut-out has the coadd's own layout with one row, without the resolution matrices, which are three
quarters of a coadd. Written card by card: the same coadd gives the same bytes on every machine.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from specvit.errors import DataError, SpectrumError
from specvit.spectrum.astropy_fits import as_spectrum_error
from specvit.spectrum.fits_layout import UnusualFitsError
from specvit.spectrum.fits_table import extents
from specvit.spectrum.fits_write import Table, card, image, primary, remark
from specvit.surveys.desi.coadd import CAMERAS, check_cameras

# The first extension of every file of this layout that is known.
FIRST = frozenset(
    {"FIBERMAP", *(f"{c}_{part}" for c in CAMERAS for part in ("FLUX", "WAVELENGTH"))}
)
# Of the primary header: where on the sky, in which part of the survey; whether it is simulated.
KEPT_KEYS = ("ORIGIN", "SURVEY", "PROGRAM", "SPGRP", "SPGRPVAL", "HPXPIXEL", "TILEID")
TARGET = ("TARGETID", "TARGET_RA", "TARGET_DEC")
FIBERMAP = Table("FIBERMAP", "TARGETID K, TARGET_RA D, TARGET_DEC D")
PARTS = {"FLUX": ">f4", "IVAR": ">f4", "MASK": ">i4"}


def is_coadd(path: Path) -> bool:
    """Whether the file has the layout, by its first two headers."""
    try:
        if not path.is_file():  # a pipe would never end
            return False
        headers = [cards for cards, _ in extents(path, 2)]
        return len(headers) == 2 and headers[1].value("EXTNAME") in FIRST
    except (OSError, DataError, UnusualFitsError, SpectrumError):
        return False


def _check_whole(path: Path) -> None:
    """Raise SpectrumError where the file ends before its headers say.

    Astropy passes over HDUs that are cut off: a spectrum would lose cameras without a word.
    """
    size = path.stat().st_size
    try:
        for _, end in extents(path):
            if end > size:
                raise SpectrumError(f"truncated: {size} bytes, the headers announce {end}")
    except (DataError, UnusualFitsError) as error:
        raise SpectrumError(f"broken FITS: {error}") from error


@contextmanager
def open_coadd(path: Path) -> Iterator[Coadd]:
    """Open a coadd. Raises SpectrumError where it is none or broken."""
    from astropy.io import fits

    _check_whole(path)
    with as_spectrum_error():
        hdus = fits.open(path, memmap=False)
    try:
        yield Coadd(hdus)
    finally:
        hdus.close()


class Coadd:
    """See Many; `open_coadd` opens one."""

    def __init__(self, hdus: Any) -> None:
        with as_spectrum_error():
            self._hdus = {hdu.name: hdu for hdu in hdus}
            self._primary = hdus[0].header
        check_cameras(self._hdus)
        self._fibermap = None
        if "FIBERMAP" in self._hdus:
            with as_spectrum_error():
                data = self._hdus["FIBERMAP"].data
                self._fibermap = np.zeros(len(data), FIBERMAP.dtype)
                for name in TARGET:
                    self._fibermap[name] = data[name]
        self._check_rows()

    def _check_rows(self) -> None:
        with as_spectrum_error():
            shapes = {name: self._hdus[name].shape for name in self._images}
        self.rows = shapes["B_FLUX"][0]
        if self._fibermap is not None and len(self._fibermap) != self.rows:
            raise SpectrumError(f"FIBERMAP of {len(self._fibermap)} rows, spectra of {self.rows}")
        for camera in CAMERAS:
            wanted = (self.rows, *self._hdus[f"{camera}_WAVELENGTH"].shape)
            for name in (name for name in self._images if name.startswith(camera)):
                if shapes[name] != wanted:
                    raise SpectrumError(f"{name} has the shape {shapes[name]}, not {wanted}")

    @property
    def _images(self) -> list[str]:
        """Names of the images with a row a spectrum."""
        names = (f"{camera}_{part}" for camera in CAMERAS for part in PARTS)
        return [name for name in names if name in self._hdus]

    @property
    def identities(self) -> Sequence[str]:
        """The TARGETIDs; empty texts where there is no FIBERMAP."""
        if self._fibermap is None:
            return [""] * self.rows
        return [str(target) for target in self._fibermap["TARGETID"].tolist()]

    def cut(self, row: int) -> bytes:
        """See Many."""
        pieces = [self._start]
        if self._fibermap is not None:
            pieces.append(FIBERMAP.hdu(1, {name: self._fibermap[name][row] for name in TARGET}))
        for camera in CAMERAS:
            pieces.append(self._wavelengths[camera])
            for name in (name for name in self._images if name.startswith(camera)):
                with as_spectrum_error():
                    values = np.asarray(self._hdus[name].section[row : row + 1])
                    pieces.append(image(name, values.astype(PARTS[name[2:]])))
        return b"".join(pieces)

    @cached_property
    def _start(self) -> bytes:
        """The primary header, which all rows share."""
        kept = {key: self._primary.get(key) for key in KEPT_KEYS}
        cards = [card(key, value) for key, value in kept.items() if isinstance(value, str | int)]
        return primary([*cards, remark("One row of a DESI coadd, cut out by specvit", "HISTORY")])

    @cached_property
    def _wavelengths(self) -> dict[str, bytes]:
        """The extensions with wavelengths, which all rows share."""
        names = {camera: f"{camera}_WAVELENGTH" for camera in CAMERAS}
        with as_spectrum_error():
            return {
                camera: image(name, self._hdus[name].data.astype(">f8"), "Angstrom")
                for camera, name in names.items()
            }
