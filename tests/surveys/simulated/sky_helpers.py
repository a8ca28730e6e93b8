"""What the tests of the simulated sky share: its settings, paths of its files, measurements."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from specvit.config.surveys import Simulated
from specvit.surveys.simulated.observations import PROGRAMS

SETTINGS = Simulated(
    seed=3, sdss_spectra=300, lamost_spectra=200, missing_fraction=0.02, corrupt_fraction=0.03
)
SPECOBJ = "dr17/sdss/spectro/redux/specObj-dr17.fits"
GENERAL = "dr10/v2.0/catdl?name=dr10_v2.0_LRS_catalogue.csv.gz"
STELLAR = "dr10/v2.0/catdl?name=dr10_v2.0_LRS_stellar.csv.gz"


def sdss_path(row: np.void) -> str:
    """Path of an SDSS row's file below the survey's base URL."""
    program = PROGRAMS[row["program"]]
    tree = "eboss" if program.boss else "sdss"
    plate, mjd, fiber = row["plate"], row["mjd"], row["fiber"]
    return (
        f"dr17/{tree}/spectro/redux/{program.run2d}/spectra/lite/{plate:04d}/"
        f"spec-{plate:04d}-{mjd}-{fiber:04d}.fits"
    )


def lamost_path(row: np.void) -> str:
    """Path of a LAMOST row's file below the survey's base URL."""
    return f"dr10/v2.0/spectrum/fits/{row['obsid']}"


def equivalent_width(
    wavelength: NDArray[Any], flux: NDArray[Any], centre: float, half: float, side: float = 40.0
) -> float:
    """Equivalent width (A) within `half` of a line against a straight continuum beside it."""
    blue = np.abs(wavelength - (centre - half - side / 2)) < side / 2
    red = np.abs(wavelength - (centre + half + side / 2)) < side / 2
    inside = np.abs(wavelength - centre) < half
    line = np.polyfit(
        [wavelength[blue].mean(), wavelength[red].mean()],
        [np.median(flux[blue]), np.median(flux[red])],
        1,
    )
    level = np.polyval(line, wavelength[inside])
    return float(np.sum((1 - flux[inside] / level) * np.gradient(wavelength[inside])))
