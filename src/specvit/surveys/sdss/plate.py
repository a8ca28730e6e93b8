"""SDSS plates on disk (spPlate): the coadded spectra of 640 or 1000 fibers, cut to single ones.

Images with a row a fiber: flux, inverse variance, AND mask (datamodel spPlate), of which those
three are read, and what follows need not be there. Lite files were made from them in the same way:
a fiber's row, without the pixels before the first and behind the last that has an inverse variance.
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
from specvit.spectrum.fits_layout import Cards, UnusualFitsError
from specvit.spectrum.fits_table import extents
from specvit.spectrum.fits_write import Table, card, primary, remark

FLUX, IVAR, MASK = range(3)  # HDUs
PARTS = 3
COADD = Table("COADD", "FLUX E, LOGLAM E, IVAR E, AND_MASK J")
CUT = remark("One fiber of an SDSS spPlate file, cut out by specvit", "HISTORY")
NOT_FITS = (OSError, DataError, UnusualFitsError, SpectrumError)


def _parts(path: Path) -> list[tuple[Cards, int]]:
    """The HDUs that are read; fewer where no more are there, none where it is not FITS."""
    try:
        return list(extents(path, PARTS)) if path.is_file() else []  # a pipe would never end
    except NOT_FITS:
        return []


def is_plate(path: Path) -> bool:
    """Whether the file has the layout, by its headers: images of one size, a plate's number."""
    headers = [cards for cards, _ in _parts(path)]
    if len(headers) < PARTS or any(headers[0].value(key) is None for key in ("PLATEID", "COEFF0")):
        return False
    sizes = {(cards.value("NAXIS1"), cards.value("NAXIS2")) for cards in headers}
    return len(sizes) == 1 and all(cards.value("NAXIS") == 2 for cards in headers)


def is_enough(path: Path) -> bool:
    """Whether a file that is arriving has all that is read of a plate."""
    parts = _parts(path)
    return len(parts) == PARTS and parts[-1][1] <= path.stat().st_size


@contextmanager
def open_plate(path: Path) -> Iterator[Plate]:
    """Open a plate. Raises SpectrumError where it is broken."""
    from astropy.io import fits

    if not is_enough(path):
        raise SpectrumError(f"truncated: {path.stat().st_size} bytes, the headers announce more")
    with as_spectrum_error():
        hdus = fits.open(path, memmap=False, lazy_load_hdus=True)
    try:
        yield Plate(hdus)
    finally:
        hdus.close()


class Plate:
    """See Many; `open_plate` opens one."""

    def __init__(self, hdus: Any) -> None:
        with as_spectrum_error():
            self._hdus = [hdus[number] for number in range(PARTS)]
            self._header = hdus[FLUX].header
            self._start, self._step = (float(self._header[key]) for key in ("COEFF0", "COEFF1"))
            self._plate, self._mjd = (int(self._header[key]) for key in ("PLATEID", "MJD"))
            self.fibers = int(hdus[FLUX].shape[0])

    @property
    def identities(self) -> Sequence[str]:
        """Plate, MJD and fiber; fibers are numbered from 1, in the order of the rows."""
        return [f"{self._plate}-{self._mjd}-{fiber}" for fiber in range(1, self.fibers + 1)]

    def cut(self, row: int) -> bytes:
        """See Many."""
        with as_spectrum_error():
            flux, ivar, mask = (np.asarray(hdu.section[row]) for hdu in self._hdus)
        seen = np.flatnonzero(ivar > 0)
        # Where nothing was seen, lite files have all pixels.
        pixels = np.arange(seen[0], seen[-1] + 1) if len(seen) else np.arange(len(ivar))
        values = {"FLUX": flux[pixels], "IVAR": ivar[pixels], "AND_MASK": mask[pixels]}
        values["LOGLAM"] = self._start + self._step * pixels
        start = primary([*self._cards, card("FIBERID", row + 1, "Fiber number"), CUT])
        return start + COADD.hdu(len(pixels), values)

    @cached_property
    def _cards(self) -> list[bytes]:
        """Of the primary header, what all fibers share."""
        said = {key: self._header.get(key) for key in ("ORIGIN", "RUN2D")}
        return [
            *(card(key, value) for key, value in said.items() if isinstance(value, str)),
            card("PLATEID", self._plate, "Plate Id"),
            card("MJD", self._mjd, "MJD of observation"),
        ]
