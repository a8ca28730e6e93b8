"""The noise-free spectrum of any object, as a spectrograph sees it."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter1d

from specvit.surveys.simulated import bases
from specvit.surveys.simulated.dust import extinction, interstellar_depth
from specvit.surveys.simulated.exposure import Pixels
from specvit.surveys.simulated.galaxies import galaxy_flux
from specvit.surveys.simulated.objects import GALAXY, NONE, QSO, STAR
from specvit.surveys.simulated.observations import Universe
from specvit.surveys.simulated.quasars import quasar_flux
from specvit.surveys.simulated.seeds import Floats, Generator, generator

# Flux (1e-17 erg/s/cm2/A) of an object of AB magnitude 20 at 6166 A, the middle of r.
FLUX_AT_20 = 2.86


def model_flux(row: np.void, pixels: Pixels, rng: Generator) -> Floats:
    """Flux (1e-17 erg/s/cm2/A) of one object on these pixels; shape (pixels.count,).

    `rng` is the object's own generator: what it draws, all spectra of the object share.
    """
    if row["kind"] == GALAXY:
        flux = galaxy_flux(pixels, row)
    elif row["kind"] == QSO:
        flux = quasar_flux(pixels, row, rng)
    else:
        flux = star_flux(pixels, row)
    # A smooth run of its own: what differs between objects of one template, as metals and ages do.
    x = (pixels.wavelength - 6200) / 2500
    flux = flux * np.exp(rng.normal(0, 0.03) * x + rng.normal(0, 0.015) * (x**2 - 0.5))
    if row["kind"] == NONE:
        return flux * _nonsense(pixels, rng)
    red = slice(*np.searchsorted(pixels.wavelength, (5600, 6800)))
    scale = FLUX_AT_20 * 10 ** (-0.4 * (float(row["rmag"]) - 20)) / float(flux[red].mean())
    return np.asarray(flux * scale)


def flux_of(universe: Universe, row: np.void, pixels: Pixels) -> Floats:
    """Flux (1e-17 erg/s/cm2/A) of the object of a survey's row; shape (pixels.count,).

    Over a few stars lies light of another source, or of the night, without lines of its own.
    """
    thing = int(row["object"])
    rng = generator(universe.settings.seed, "object", thing)
    flux = model_flux(universe.objects[thing], pixels, rng)
    if universe.objects["kind"][thing] == STAR and rng.random() < 0.06:
        slope = rng.normal(0, 0.5) * (pixels.wavelength - 6200) / 2500
        flux = flux + rng.uniform(0, 0.8) * np.median(flux) * np.exp(slope)
    return flux


def star_flux(pixels: Pixels, row: np.void) -> Floats:
    """Flux of a star (arbitrary unit), reddened, with the gas that goes with the dust."""
    light = bases.stars().flux(int(row["template"]), int(row["partner"]), float(row["mix"]))
    if pixels.spectrograph.extra > 0:
        light = gaussian_filter1d(light, pixels.spectrograph.extra, mode="nearest")
    flux = pixels.shifted(light, bases.STAR_START, float(row["z"]))
    ebv = float(row["ebv"])
    depth = 0.921 * ebv * extinction(pixels.wavelength)  # 0.4 ln 10
    return np.asarray(flux * np.exp(-depth - interstellar_depth(pixels.first, pixels.count, ebv)))


def _nonsense(pixels: Pixels, rng: Generator) -> Floats:
    """What makes a spectrum none of anything: no light, or the light of a broken extraction."""
    ripple = rng.standard_normal(pixels.count)
    slow = gaussian_filter1d(ripple, float(rng.uniform(40, 400)), mode="wrap")
    if rng.random() < 0.5:
        return np.asarray(0.05 * slow / slow.std())
    return np.asarray(0.4 * np.exp(0.7 * slow / slow.std()))
