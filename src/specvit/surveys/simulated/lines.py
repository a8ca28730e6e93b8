"""Wavelengths of spectral lines, in vacuum (A)."""

from __future__ import annotations

import numpy as np

from specvit.surveys.simulated.seeds import Floats

SPZLINE: tuple[tuple[str, float], ...] = (
    ("Ly_alpha", 1215.67),
    ("N_V 1240", 1240.81),
    ("C_IV 1549", 1549.48),
    ("He_II 1640", 1640.42),
    ("C_III] 1908", 1908.734),
    ("Mg_II 2799", 2800.315),
    ("[O_II] 3725", 3727.092),
    ("[O_II] 3727", 3729.875),
    ("[Ne_III] 3868", 3869.857),
    ("H_epsilon", 3890.151),
    ("[Ne_III] 3970", 3971.123),
    ("H_delta", 4102.892),
    ("H_gamma", 4341.684),
    ("[O_III] 4363", 4364.435),
    ("He_II 4685", 4686.991),
    ("H_beta", 4862.683),
    ("[O_III] 4959", 4960.295),
    ("[O_III] 5007", 5008.240),
    ("He_II 5411", 5413.024),
    ("[O_I] 5577", 5578.888),
    ("[O_I] 6300", 6302.046),
    ("[S_III] 6312", 6313.806),
    ("[O_I] 6363", 6365.535),
    ("[N_II] 6548", 6549.859),
    ("H_alpha", 6564.614),
    ("[N_II] 6583", 6585.268),
    ("[S_II] 6716", 6718.294),
    ("[S_II] 6730", 6732.678),
    ("[Ar_III] 7135", 7137.757),
)
"""Lines that SDSS's pipeline fits, with its vacuum wavelengths: idlspec2d's emlines.par, as in the
SPZLINE table of every SDSS spectrum. They agree with the NIST Atomic Spectra Database (Kramida et
al., physics.nist.gov/asd) to 0.1 A. "H_epsilon" for the line at 3890 A is the pipeline's name."""

LINE = dict(SPZLINE)
HE_I_5876 = 5877.309  # as in the later version of the same table

RYDBERG_WAVE = 911.76334
"""Limit of the Lyman series (A): 1 / R_H (NIST, CODATA 2018)."""
LN10_STEP = np.log(10) * 1e-4
"""Relative width of a pixel of the common grid."""


def hydrogen(lower: int, upper: int) -> float:
    """Vacuum wavelength (A) of a hydrogen line by Rydberg's formula, good to 0.1 A."""
    return RYDBERG_WAVE / (1 / lower**2 - 1 / upper**2)


def add_gaussians(
    first: int, count: int, waves: Floats, widths: Floats, sigmas: Floats, reach: int = 24
) -> Floats:
    """Sum of Gaussian lines on `count` pixels from k = first.

    `waves` and `widths` (areas over level 1) in observed A, `sigmas` in pixels; each is summed
    within `reach` pixels of its centre.
    """
    centres = np.log10(waves) * 1e4 - first
    near = np.rint(centres).astype(np.int64)[:, None] + np.arange(-reach, reach + 1)
    offset = (near - centres[:, None]) / sigmas[:, None]
    heights = widths / (waves * LN10_STEP * sigmas * np.sqrt(2 * np.pi))
    values = heights[:, None] * np.exp(-0.5 * offset**2)
    inside = (near >= 0) & (near < count)
    return np.asarray(np.bincount(near[inside], values[inside], count), np.float64)
