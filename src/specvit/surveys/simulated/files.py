"""What the simulated surveys' files share: the mark that they are simulated, and mishaps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from specvit.spectrum.fits_write import card, primary, remark
from specvit.surveys.simulated.observations import CORRUPT, MISSING

NOTICE = "SIMULATED: not an observation, made by specvit's simulated sky"
"""In the header of every file of this sky."""
_WEB_PAGE = (
    b"<!DOCTYPE html>\n<html><head><title>503 Service Unavailable (simulated)</title></head>"
    b"<body><h1>Service Unavailable</h1></body></html>\n"
)


def first_hdu(*cards: bytes, values: NDArray[np.number] | None = None) -> bytes:
    """Return the primary HDU of a simulated file: `values` as an image, or no data."""
    origin = card("ORIGIN", "SIMULATED", "not an observation: made by specvit")
    return primary([origin, *cards, remark(NOTICE, "HISTORY")], values)


def delivered(rows: NDArray[Any], number: int, make: Callable[[int], bytes]) -> bytes | None:
    """The file as it arrives: whole, missing (None), or damaged in one of the ways servers have.

    Corrupt files take turns: cut off, a page under a FITS name, mixed up with the next one.
    """
    fate, turn = rows["fate"][number], int(rows["damage"][number])
    if fate != CORRUPT:
        return None if fate == MISSING else make(number)
    if turn % 3 == 1:
        return _WEB_PAGE
    if turn % 3 == 2:
        return make((number + 1) % len(rows))
    data = make(number)
    # As a broken connection leaves it: between a tenth and nine tenths.
    return data[: len(data) * (1 + turn * 7 % 9) // 10]
