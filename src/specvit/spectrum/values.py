"""From what files hold to what a Spectrum promises: sentinels to None, checks that span arrays."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from specvit.errors import SpectrumError
from specvit.spectrum.fits import FitsSource
from specvit.spectrum.types import Header, Spectrum

SENTINEL = -9999
NO_TEXT = frozenset({"", "Unknown", "Non", "NULL", str(SENTINEL)})


def text(value: Any) -> str | None:
    """Text without padding; None for what surveys write where they have nothing."""
    if isinstance(value, bytes):
        value = value.decode("ascii", "replace")
    stripped = "" if value is None else str(value).strip()
    return None if stripped in NO_TEXT else stripped


def number(value: Any) -> float | None:
    """A float; None for a sentinel, nan, infinity or what is no number."""
    try:
        result = float(value)
    except (TypeError, ValueError):
        return None
    return None if not math.isfinite(result) or result == SENTINEL else result


def whole(value: Any) -> int | None:
    """An integer (some files write it as text); None where it is none or a sentinel."""
    try:
        result = int(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return None if result == SENTINEL else result


def measured(source: FitsSource, hdu: int, name: str) -> NDArray[Any]:
    """A column of numbers. Raises SpectrumError where it holds something else."""
    column = source.column(hdu, name)
    if column.dtype.kind not in "fiuO":
        raise SpectrumError(f"column {name} holds no numbers")
    return column


def first(*values: float | None) -> float | None:
    """Return the first value that is known."""
    return next((value for value in values if value is not None), None)


def log_linear(source: FitsSource, pixels: int) -> NDArray[np.float64]:
    """log10 wavelength (A) of an image's pixels: COEFF0 + COEFF1 i, shape (pixels,)."""
    start, step = number(source.get(0, "COEFF0")), number(source.get(0, "COEFF1"))
    if start is None or step is None or step <= 0:
        raise SpectrumError(f"no wavelength scale: COEFF0 = {start}, COEFF1 = {step}")
    return _even(start, step, pixels)


@lru_cache(maxsize=64)
def _even(start: float, step: float, pixels: int) -> NDArray[np.float64]:
    # Read-only: the spectra of a survey share a few of these.
    loglam = start + step * np.arange(pixels, dtype=np.float64)
    loglam.flags.writeable = False
    return loglam


def vacuum(air: NDArray[np.float64]) -> NDArray[np.float64]:
    """Vacuum wavelength (A) of a wavelength in standard air, any shape.

    Ciddor (1996, Appl. Opt. 35, 1566), evaluated at the air wavelength: off by less than 1e-4 A.
    """
    sigma2 = (1e4 / air) ** 2
    index = 1 + 5.792105e-2 / (238.0185 - sigma2) + 1.67917e-3 / (57.362 - sigma2)
    converted: NDArray[np.float64] = air * index
    return converted


def build(
    header: Header,
    loglam: NDArray[np.float64],
    flux: NDArray[np.number],
    ivar: NDArray[np.number],
    masked: NDArray[np.bool_] | None,
) -> Spectrum:
    """Check and assemble a spectrum from arrays of shape (N,), any byte order.

    Raises SpectrumError where shapes differ, the wavelength does not rise or no pixel has data.
    """
    if loglam.ndim != 1 or not loglam.shape == flux.shape == ivar.shape:
        shapes = f"{loglam.shape}, {flux.shape}, {ivar.shape}"
        raise SpectrumError(f"wavelength, flux and ivar have different shapes: {shapes}")
    if masked is not None and masked.shape != flux.shape:
        raise SpectrumError(f"flux and mask have different shapes: {flux.shape}, {masked.shape}")
    ends_are_finite = len(loglam) > 1 and math.isfinite(loglam[0]) and math.isfinite(loglam[-1])
    if not ends_are_finite or not (loglam[1:] > loglam[:-1]).all():
        raise SpectrumError("wavelength is not finite and rising")
    with np.errstate(over="ignore", invalid="ignore"):
        flux32, ivar32 = flux.astype(np.float32), ivar.astype(np.float32)
        finite = np.isfinite(flux32) & np.isfinite(ivar32)
        good = finite & (ivar32 > 0)
        if masked is not None:
            good &= ~masked
    if not good.any():
        state = "is all zero" if not flux32.any() else "has no pixel with ivar > 0 and no mask"
        raise SpectrumError(f"no data: flux {state} ({len(flux32)} pixels)")
    # Unknown is 0 in ivar by contract; a negative one (seen in the wild) means unknown too.
    ivar32[~(finite & (ivar32 > 0))] = 0
    return Spectrum(header, loglam, flux32, ivar32, good)
