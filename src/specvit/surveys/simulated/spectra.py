"""The noise-free spectrum of any object, as a spectrograph of finite resolution sees it."""

from __future__ import annotations

import numpy as np

from specvit.surveys.simulated.exposure import Pixels
from specvit.surveys.simulated.objects import GALAXY, STAR, Floats, Generator


def model_flux(row: np.void, pixels: Pixels, rng: Generator) -> Floats:
    """Flux (1e-17 erg/s/cm2/A) of one object on these pixels; shape (pixels.count,)."""
    rest = pixels.wavelength / (1 + row["z"])

    def line(centre: float, ew: float, width: float) -> Floats:
        sigma = np.hypot(width, 65) / 299792 * centre
        return ew / (sigma * 2.507) * np.exp(-0.5 * ((rest - centre) / sigma) ** 2)

    if row["kind"] == STAR:
        flux = rest**-5 / np.expm1(1.4388e8 / rest / row["teff"])
        strength = np.exp(-(np.log(row["teff"] / 9500) ** 2) / 0.2)
        for wave in (6564.61, 4862.68, 4341.68, 4102.89):
            flux *= np.exp(-line(wave, 14 * strength, 500))
        for wave in (3934.78, 3969.59):
            flux *= np.exp(-line(wave, 10 * np.exp(-((row["teff"] / 7000) ** 4)), 250))
    elif row["kind"] == GALAXY:
        flux = rest**-5 / np.expm1(1.4388e8 / rest / 5000) * np.where(rest < 4000, 0.6, 1)
        for wave in (3934.78, 3969.59):
            flux *= np.exp(-line(wave, 8, 250))
        if row["tau"] > 1.5:
            for wave, ew in (
                (6564.61, 30),
                (5008.24, 8),
                (4960.3, 2.7),
                (4862.68, 8),
                (3728.5, 15),
            ):
                flux *= 1 + line(wave, ew, 100)
    else:
        flux = (rest / 3000) ** row["slope"]
        for wave, ew in ((1215.67, 90), (1549, 40), (1908.7, 25), (2800, 40), (4862.68, 60)):
            flux *= 1 + line(wave, ew, row["fwhm"] / 2.35)
        flux = np.where(rest < 1215.67, 0.7 * flux, flux)
    scale: float = 2.86 * 10 ** (-0.4 * (row["rmag"] - 20)) / np.median(flux)
    return np.asarray(flux * scale)
