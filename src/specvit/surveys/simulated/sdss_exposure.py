"""A row of SDSS as its spectrographs observe it: colour, masks, dead fibers and lost arms."""

from __future__ import annotations

import numpy as np

from specvit.surveys.simulated.exposure import Exposure, arm_join, choose_pixels, observe, runs
from specvit.surveys.simulated.instrument import BOSS, SDSS
from specvit.surveys.simulated.observations import DEAD_FIBER, LITTLE_COVERAGE, PROGRAMS, Universe
from specvit.surveys.simulated.seeds import Bools, Generator, generator
from specvit.surveys.simulated.spectra import flux_of

# Mask bits of SDSS spectra (SPPIXMASK, Data Release 17).
NEARBADPIXEL, FULLREJECT, BRIGHTSKY, NODATA = 16, 18, 23, 24


def sdss_exposure(universe: Universe, number: int, boss: bool = False) -> Exposure:
    """Observe one SDSS row; `boss`: with those spectrographs, whatever took it before SDSS-V."""
    row = universe.sdss[number]
    rng = generator(universe.settings.seed, "sdss", "exposure", number)
    pixels = choose_pixels(BOSS if boss or PROGRAMS[row["program"]].boss else SDSS, rng)
    model = flux_of(universe, row, pixels)
    exposure = observe(rng, pixels, model, row["snr"], float(row["snr_all"]))
    wavelength = pixels.wavelength
    # Calibrated to 4 % in colour (Adelman-McCarthy et al. 2008, ApJS 175, 297).
    tilt = np.exp(rng.normal(0, 0.04) * (wavelength - 6200) / 2500)
    exposure.calibrate(tilt * arm_join(rng, wavelength, pixels.spectrograph.arms, 0.015))
    _mask(rng, exposure)
    if row["zwarning"] == DEAD_FIBER:
        _switch_off(exposure, slice(None))
    elif row["zwarning"] & LITTLE_COVERAGE:
        blue = wavelength < pixels.spectrograph.arms
        _switch_off(exposure, blue if rng.random() < 0.4 else ~blue)
    return exposure


def _mask(rng: Generator, exposure: Exposure) -> None:
    """Set SDSS's masks and, in bad columns of the detectors, ivar = 0; changes the exposure."""
    pixels = exposure.pixels
    # BRIGHTSKY as the pipeline defines it: sky above flux plus ten times its error.
    bright = exposure.sky > exposure.model + 10 * exposure.ivar**-0.5
    exposure.and_mask[bright & pixels.sky.bright] |= 1 << BRIGHTSKY
    if rng.random() < 0.35:
        lost = runs(rng, pixels.count, 0.004, 6)
        if rng.random() < 0.1:
            lost |= runs(rng, pixels.count, 0.02, 120)  # a bad stretch of the detector
        exposure.and_mask[lost] |= (1 << NEARBADPIXEL) | (1 << FULLREJECT)
        exposure.ivar[lost] = 0
        exposure.flux[lost] = exposure.model[lost]  # the pipeline interpolates over them
    exposure.or_mask[:] = exposure.and_mask
    for bit, share, length in pixels.spectrograph.or_mask:
        exposure.or_mask[runs(rng, pixels.count, share, length)] |= 1 << bit


def _switch_off(exposure: Exposure, where: slice | Bools) -> None:
    """Leave nothing of the spectrum: a dead fiber, or the part that a lost arm had."""
    exposure.flux[where] = exposure.ivar[where] = 0
    exposure.and_mask[where] |= 1 << NODATA
    exposure.or_mask[where] |= 1 << NODATA
