"""The noise of a spectrum that comes without errors, from the scatter of its own pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

REACH = 2
FACTOR = 1.482602 / np.sqrt(6.0)
"""From the median of |2 f_i - f_(i-2) - f_(i+2)| to the standard deviation of Gaussian noise."""


def der_snr(flux: NDArray[np.float64]) -> float:
    """Standard deviation of a pixel's noise, from flux (N,) that is finite: DER_SNR.

    Stoehr et al. (2008, ADASS XVII, 505): the third-order difference of pixels two apart, so that
    smooth flux and noise correlated between neighbours leave it alone. 0 where nothing scatters.
    """
    if len(flux) <= 2 * REACH:
        return 0.0
    difference = 2 * flux[REACH:-REACH] - flux[: -2 * REACH] - flux[2 * REACH :]
    return float(FACTOR * np.median(np.abs(difference)))
