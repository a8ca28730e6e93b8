"""Spectra in FITS files of no survey: a table with named columns, or an image of one row."""

from __future__ import annotations

import io
import warnings
from typing import Any

import numpy as np

from specvit.errors import SpectrumError, on_one_line
from specvit.spectrum.fits_layout import check_limits
from specvit.spectrum.values import number
from specvit.tables.arrays import Arrays
from specvit.tables.columns import arrays_of
from specvit.tables.names import LOG_LAMBDA, has_spectrum

FEWEST, MAX_PIXELS = 31, 2**22
IN_AIR = ("AWAV", "AIR")


def read_fits(data: bytes) -> Arrays | None:
    """The first table with a wavelength and a flux column, or the first one-row image.

    None where there is neither. Raises SpectrumError where the file cannot be read.
    """
    from astropy.io import fits

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            check_limits(data)
            with fits.open(io.BytesIO(data), memmap=False) as hdus:
                return _first_table(hdus) or _first_image(hdus)
        except SpectrumError:
            raise
        except Exception as error:  # a broken file makes astropy raise nearly anything
            raise SpectrumError(f"unreadable FITS: {on_one_line(error, 100)}") from error


def _first_table(hdus: Any) -> Arrays | None:
    from astropy.io import fits
    from astropy.table import Table

    for hdu in hdus:
        is_table = isinstance(hdu, fits.BinTableHDU | fits.TableHDU)
        if is_table and has_spectrum([str(name) for name in hdu.columns.names]):
            table = Table.read(hdu)
            # From the cards: astropy's columns may have lost a unit that it does not know.
            units = {column.name: column.unit for column in hdu.columns if column.unit}
            return arrays_of(table, units, in_air=_in_air(hdu.header, hdus[0].header))
    return None


def _first_image(hdus: Any) -> Arrays | None:
    for hdu in hdus:
        header = hdu.header
        step = number(header.get("CDELT1", header.get("CD1_1", header.get("COEFF1"))))
        start = number(header.get("CRVAL1", header.get("COEFF0")))
        data = hdu.data if getattr(hdu, "is_image", False) else None
        if data is None or step is None or start is None or step == 0:
            continue
        rows = data.reshape(-1, data.shape[-1])
        if len(rows) != 1 or not FEWEST < rows.shape[1] <= MAX_PIXELS:
            continue
        pixel = np.arange(rows.shape[1]) + 1 - (number(header.get("CRPIX1")) or 1.0)
        kind = str(header.get("CTYPE1", "")).upper()
        is_log = number(header.get("DC-FLAG")) == 1 or "COEFF0" in header or "LOG" in kind
        unit = LOG_LAMBDA if is_log else header.get("CUNIT1")
        in_air = kind.startswith(IN_AIR) or _in_air(header)
        return Arrays(
            *(start + step * pixel, rows[0]),
            wave_unit=unit,
            flux_unit=header.get("BUNIT"),
            in_air=in_air,
        )
    return None


def _in_air(*headers: Any) -> bool | None:
    """What the header says of air: VACUUM, AIRORVAC."""
    for header in headers:
        if header.get("VACUUM") in (False, 0):
            return True
        said = str(header.get("AIRORVAC", "")).lower()
        if said:
            return said.startswith("air")
    return None
