"""What dust and gas between the stars take from a spectrum."""

from __future__ import annotations

import numpy as np

from specvit.surveys.simulated.lines import add_gaussians
from specvit.surveys.simulated.seeds import Floats

# Interstellar Na D2, D1 and Ca K, H: vacuum A (NIST) and share of the width of the doublet Na D.
_GAS = np.array([[5891.583, 0.58], [5897.558, 0.42], [3934.777, 0.30], [3969.591, 0.18]])


def extinction(wavelength: Floats) -> Floats:
    """A(lambda) / E(B-V) of Milky Way dust, R_V = 3.1 (Cardelli, Clayton & Mathis 1989, ApJ 345).

    Optical polynomials of O'Donnell (1994, ApJ 422, 158) above 3030 A, the infrared form beyond
    9091 A; below 3030 A, which only galaxies' lines reach, the last value.
    """
    x = np.minimum(1e4 / wavelength, 3.3)
    y = x - 1.82
    a = np.polyval([-0.505, 1.647, -0.827, -1.718, 1.137, 0.701, -0.609, 0.104, 1.0], y)
    b = np.polyval([3.347, -10.805, 5.491, 11.102, -7.985, -3.989, 2.908, 1.952, 0.0], y)
    infrared = 3.1 * (0.574 * x**1.61) - 0.527 * x**1.61
    return np.where(x < 1.1, infrared, 3.1 * a + b)


def calzetti(wavelength: Floats) -> Floats:
    """A(lambda) / E(B-V) of starlight in galaxies (Calzetti et al. 2000, ApJ 533, 682)."""
    x = 1e4 / wavelength
    blue = 2.659 * (-2.156 + 1.509 * x - 0.198 * x**2 + 0.011 * x**3) + 4.05
    return np.where(wavelength < 6300, blue, 2.659 * (-1.857 + 1.040 * x) + 4.05)


def small_cloud(wavelength: Floats) -> Floats:
    """A(lambda) / E(B-V) of the Small Magellanic Cloud, which quasars' dust is like.

    Power law of Hopkins et al. (2004, AJ 128, 1112) after Prevot et al. (1984).
    """
    return np.asarray(1.39 * (wavelength / 1e4) ** -1.2)


def interstellar_depth(first: int, count: int, ebv: float) -> Floats:
    """Optical depth of Na D and Ca II for this reddening, on pixels from k = first.

    Equivalent width of Na D after Poznanski, Prochaska & Bloom (2012, MNRAS 426, 1465), which is
    1.17 EW = log10 E(B-V) + 1.85.
    """
    width = max(np.log10(max(ebv, 1e-3)) + 1.85, 0.0) / 1.17
    if width <= 0:
        return np.zeros(count)
    return add_gaussians(first, count, _GAS[:, 0], width * _GAS[:, 1], np.full(4, 1.1))
