"""One spectrum in Python: read it, draw it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from specvit.config.data import Grid, Render
from specvit.errors import ConfigError, SpectrumError, blamed_on_the_file
from specvit.plot import draw as draw_picture
from specvit.predict.prepare import read_item
from specvit.predict.sources import items
from specvit.spectrum import Spectrum
from specvit.tables.arrays import Reading


def read(source: Any, *, wave_unit: str | None = None, air: bool = False) -> Spectrum:
    """Read one spectrum.

    Parameters
    ----------
    source
        A path or http address (a survey's FITS file; any FITS, CSV or text table with a wavelength
        and a flux column), or what Python holds: specutils' Spectrum, a table, a tuple of arrays
        (wavelength, flux[, ivar]).
    wave_unit, air
        As in `Model.predict`.

    Raises SpectrumError, with the reason, where it cannot be read, or where a folder, tar or list
    holds more than one.
    """
    found = items([source])
    first, second = next(found), next(found, None)
    if second is not None:
        raise SpectrumError(f"{source} holds more than one spectrum: give them to Model.predict")
    try:
        with blamed_on_the_file():
            return read_item(first, Reading(wave_unit, air))
    except SpectrumError as error:
        raise SpectrumError(f"{first.name}: {error}") from error


def draw(
    spectrum: Spectrum, *, wave_min: float = 3800.0, wave_max: float = 9200.0, **render: Any
) -> NDArray[np.uint8]:
    """Draw a spectrum as networks see it: uint8 (size, size), or (size, size, 3).

    Keywords are those of `render` in the configuration (mode, size, rows, scale, ...), and the
    range of wavelengths in Angstrom. What a trained network sees: `Model.picture`. Raises
    ConfigError for a setting that there is not, SpectrumError where nothing would be seen.
    """
    try:
        settings = Render(**render)
        grid = Grid(wave_min=wave_min, wave_max=wave_max)
    except ValidationError as error:
        found = error.errors()[0]
        key = ".".join(str(part) for part in found["loc"])
        raise ConfigError(f"{key}: {found['msg'].removeprefix('Value error, ')}") from error
    return draw_picture(spectrum, settings, grid, spectrum.header.z)
