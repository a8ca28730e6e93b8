"""The noise-free spectrum of any object, as a spectrograph of finite resolution sees it."""

from __future__ import annotations

import numpy as np

from specvit.surveys.simulated.exposure import Pixels
from specvit.surveys.simulated.galaxies import galaxy_flux
from specvit.surveys.simulated.objects import GALAXY, STAR, Floats, Generator
from specvit.surveys.simulated.quasars import quasar_flux
from specvit.surveys.simulated.stars import star_flux

# Flux (1e-17 erg/s/cm2/A) of an object of AB magnitude 20 at 6166 A, the middle of r.
FLUX_AT_20 = 2.86


def model_flux(row: np.void, pixels: Pixels, rng: Generator) -> Floats:
    """Flux (1e-17 erg/s/cm2/A) of one object on these pixels; shape (pixels.count,).

    `rng` is the object's own generator: what it draws, all spectra of the object share.
    """
    wavelength, dispersion = pixels.wavelength, pixels.dispersion
    if row["kind"] == STAR:
        flux = star_flux(wavelength, dispersion, pixels.first, row, rng)
    elif row["kind"] == GALAXY:
        flux = galaxy_flux(dispersion, pixels.first, row)
    else:
        flux = quasar_flux(wavelength, dispersion, pixels.first, row, rng)
    red = slice(*np.searchsorted(wavelength, (5600, 6800)))
    scale = FLUX_AT_20 * 10 ** (-0.4 * (float(row["rmag"]) - 20)) / float(flux[red].mean())
    return flux * scale
