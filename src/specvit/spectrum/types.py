"""One type for a spectrum of any survey."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

OTHER = "other"
"""In place of a survey's name: a table of one's own."""


@dataclass(frozen=True)
class Header:
    """What a file says of itself; a value it does not give, or gives as a sentinel, is None."""

    survey: str
    """Name of the survey, as under `surveys:`; OTHER for a spectrum of none."""
    layout: str
    """The survey's name for this kind of file."""
    identity: str
    """Without padding: `plate-mjd-fiber` (266-51602-1) for SDSS, `field-mjd-catalogid` for SDSS-V,
    the obsid for LAMOST (`night-plan_spNN-fiber` in its first releases, which have none), the
    TARGETID for DESI."""
    object_name: str | None
    """The survey's name for the object: LAMOST designation, or None."""
    release: str | None
    """As the file says: run2d for SDSS, DATA_V for LAMOST."""
    class_: str | None
    subclass: str | None
    z: float | None
    z_err: float | None
    zwarning: int | None
    snr: float | None
    ra: float | None
    dec: float | None


@dataclass(frozen=True)
class Spectrum:
    """Flux over vacuum wavelength, observed (heliocentric) frame; all arrays of shape (N,)."""

    header: Header
    loglam: NDArray[np.float64]
    """log10 of vacuum wavelength in Angstrom, rising."""
    flux: NDArray[np.float32]
    """1e-17 erg/s/cm2/A (SDSS, DESI) or relative (LAMOST)."""
    ivar: NDArray[np.float32]
    """Inverse variance of flux; 0 where unknown."""
    good: NDArray[np.bool_]
    """Pixels with data: finite, ivar > 0, not masked (each reader states its rule)."""
    notes: tuple[str, ...] = ()
    """What reading had to assume or change, for people: an estimated noise, wavelengths in air."""

    @property
    def wavelength(self) -> NDArray[np.float64]:
        """Vacuum wavelength in Angstrom, (N,)."""
        return np.asarray(10**self.loglam)

    def plot(self, axes: Any = None, *, errors: bool = True) -> Any:
        """Draw flux over wavelength with matplotlib, without pixels that have no data.

        Into `axes` where given, else into a figure of its own; `errors` shades flux +- one
        standard deviation. Returns the axes.
        """
        from specvit.spectrum.show import plot_spectrum

        return plot_spectrum(self, axes, errors=errors)

    def to_specutils(self) -> Any:
        """The spectrum as specutils' `Spectrum`.

        Pixels without data are masked; the flux of surveys that give absolute fluxes has their
        unit, any other none. Raises DataError where specutils is not installed.
        """
        from specvit.spectrum.exchange import to_specutils

        return to_specutils(self)
