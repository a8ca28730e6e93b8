"""A small simulated sky, and single objects of known properties."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sky_helpers import SETTINGS

from specvit.surveys.simulated import SimulatedSky
from specvit.surveys.simulated.exposure import Pixels
from specvit.surveys.simulated.instrument import BOSS, SDSS
from specvit.surveys.simulated.objects import OBJECT
from specvit.surveys.simulated.spectra import model_flux


@pytest.fixture(scope="session")
def sky() -> SimulatedSky:
    """500 spectra, a few of them missing or broken."""
    return SimulatedSky(SETTINGS)


@pytest.fixture
def noise_free() -> Callable[..., tuple[NDArray[Any], NDArray[Any]]]:
    """Return wavelength (A) and noise-free flux of one object given by its parameters."""

    def make(boss: bool = False, **values: float) -> tuple[NDArray[Any], NDArray[Any]]:
        row = np.zeros(1, OBJECT)[0]
        defaults = {"rmag": 18.0, "oh": 8.6, "sigma": 80.0, "tau": 1.0, "trough": -1}
        for name, value in (defaults | values).items():
            row[name] = value
        pixels = Pixels(BOSS, 35520, 4600) if boss else Pixels(SDSS, 35785, 3840)
        flux = model_flux(row, pixels, np.random.default_rng(0))
        return pixels.wavelength, flux

    return make
