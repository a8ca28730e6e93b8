"""Further draws of a spectrum: what the telescope might have seen on another night.

Each draw changes the spectrum before it is drawn, in ways that an observation varies, and the
label with it where that changes too. They are for the train split only.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import numpy as np

from specvit.spectrum import Spectrum

# Standard deviation of the shift in ln(1+z): 150 km/s, two pixels of the surveys' spectrographs.
# Enough that a line is not learned at its pixel, far below what tells a star from a galaxy.
SHIFT = 5e-4
# Standard deviation of the exponent of a power law in wavelength that tilts the flux: 0.1 is 9 %
# between 3800 and 9200 A, the size of the surveys' calibration errors over their range.
TILT = 0.1
PIVOT = 6000.0  # Angstrom, where the tilt leaves flux as it is


def redraw(
    spectrum: Spectrum, row: dict[str, Any], seed: int, number: int
) -> tuple[Spectrum, dict[str, Any]]:
    """Draw `number` (1, 2, ...) of a spectrum, and its row with the redshift moved along.

    Gaussian noise of the pixels' own ivar is added, wavelengths are multiplied by a factor near 1
    and flux by a power law. Depends on (seed, spectrum_id, number) alone.
    """
    text = f"{seed}:{row['spectrum_id']}:{number}".encode()
    rng = np.random.default_rng(int.from_bytes(hashlib.sha256(text).digest()[:16], "big"))
    shift, tilt = rng.normal(0, SHIFT), rng.normal(0, TILT)
    good = spectrum.good
    flux = spectrum.flux.copy()
    flux[good] += rng.normal(size=good.sum()) / np.sqrt(spectrum.ivar[good])
    factor = 10 ** (tilt * (spectrum.loglam - np.log10(PIVOT)))
    changed = replace(
        spectrum,
        loglam=spectrum.loglam + shift / np.log(10),
        flux=(flux * factor).astype(np.float32),
        ivar=(spectrum.ivar / factor**2).astype(np.float32),
    )
    z = row["z"]
    return changed, {**row, "z": None if z is None else float((1 + z) * np.exp(shift) - 1)}
