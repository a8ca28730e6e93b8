"""The same view of a FITS file through astropy, for files that the quick way does not know."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from specvit.errors import SpectrumError, on_one_line
from specvit.spectrum.fits_layout import Value


@contextmanager
def as_spectrum_error() -> Iterator[None]:
    """Turn whatever astropy raises inside the block into a SpectrumError."""
    # A broken file makes astropy raise nearly anything: each is one spectrum's bad luck.
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except Exception as error:
        text = on_one_line(error) or type(error).__name__
        raise SpectrumError(f"unreadable FITS: {text}") from error


class AstropyFits:
    """A FITS file in memory, read by astropy; SpectrumError where it cannot."""

    def __init__(self, data: bytes) -> None:
        with as_spectrum_error():
            self._hdus = fits.open(io.BytesIO(data), memmap=False, lazy_load_hdus=False)

    @property
    def count(self) -> int:
        """Number of HDUs."""
        return len(self._hdus)

    def get(self, hdu: int, key: str) -> Value:
        """See FitsSource."""
        with as_spectrum_error():
            value = self._hdus[hdu].header.get(key) if hdu < self.count else None
            if isinstance(value, str):
                return value.strip() or None
            return value if isinstance(value, bool | int | float) else None

    def values(self, hdu: int, keys: tuple[str, ...]) -> dict[str, Value]:
        """See FitsSource."""
        return {key: self.get(hdu, key) for key in keys}

    def names(self, hdu: int) -> frozenset[str]:
        """See FitsSource."""
        if hdu >= self.count or not isinstance(self._hdus[hdu], fits.BinTableHDU):
            return frozenset()
        with as_spectrum_error():
            # From the cards: building astropy's column objects takes tens of milliseconds.
            return frozenset(
                str(name).upper() for name in self._hdus[hdu].header["TTYPE*"].values()
            )

    def column(self, hdu: int, name: str) -> NDArray[Any]:
        """See FitsSource."""
        with as_spectrum_error():
            table = self._hdus[hdu]
            index = [str(column).upper() for column in table.columns.names].index(name)
            return np.asarray(table.data.field(index))

    def first_row(self, hdu: int, names: tuple[str, ...]) -> dict[str, Any]:
        """See FitsSource."""
        columns = {name: self.column(hdu, name) for name in names if name in self.names(hdu)}
        return {name: column[0] for name, column in columns.items() if len(column)}

    def image(self, hdu: int) -> NDArray[Any]:
        """See FitsSource."""
        with as_spectrum_error():
            image = np.asarray(self._hdus[hdu].data)
        if image.ndim not in (1, 2) or image.dtype.kind not in "iuf":
            raise SpectrumError(f"HDU {hdu} holds no image of one or two axes: {image.shape}")
        return np.atleast_2d(image)
