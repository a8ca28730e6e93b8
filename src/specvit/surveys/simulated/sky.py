"""The server of the simulated sky: a path below a survey's base URL in, its bytes out."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from specvit.config.surveys import Simulated
from specvit.surveys.sdss.paths import Release
from specvit.surveys.simulated import damage, lamost_files
from specvit.surveys.simulated.desi_files import DesiFiles
from specvit.surveys.simulated.exposure import (
    Exposure,
    Pixels,
    arm_join,
    calibrate,
    choose_pixels,
    mask_sdss,
    observe,
    rounded,
    switch_off,
    veiled,
    with_data,
)
from specvit.surveys.simulated.instrument import BOSS, LAMOST, SDSS
from specvit.surveys.simulated.lamost_artefacts import calibration, damage_pixels, through_air
from specvit.surveys.simulated.objects import STAR
from specvit.surveys.simulated.observations import (
    CORRUPT,
    DEAD_FIBER,
    HALF_SPECTRUM,
    MISSING,
    PROGRAMS,
    draw_universe,
    reduced_early,
)
from specvit.surveys.simulated.plate_files import plate_file
from specvit.surveys.simulated.sdss5_files import Sdss5Files
from specvit.surveys.simulated.sdss_files import SdssFiles
from specvit.surveys.simulated.seeds import Floats, generator
from specvit.surveys.simulated.spectra import model_flux

Array = NDArray[Any]
_SDSS_CATALOGUE = "dr17/sdss/spectro/redux/specObj-dr17.fits"
_SDSS_SPECTRUM = re.compile(
    r"dr17/(?P<tree>sdss|eboss)/spectro/redux/(?P<run2d>[^/]+)/spectra/lite/(?P<folder>\d{4,5})/"
    r"spec-(?P<plate>\d{4,5})-(?P<mjd>\d{5})-(?P<fiber>\d{4})\.fits"
)
_LAMOST_CATALOGUE = re.compile(r"dr\d+/v[\d.]+/catdl\?name=(?P<name>\w[\w.]*)\.csv\.gz")
_LAMOST_SPECTRUM = re.compile(r"(?P<release>dr\d+)/v[\d.]+/spectrum/fits/(?P<obsid>\d{1,12})")


class SimulatedSky:
    """Serves the simulated surveys; the same settings give the same bytes everywhere.

    The objects and rows of the catalogues are drawn when it is made; spectra when they are read.
    """

    def __init__(self, settings: Simulated) -> None:
        self.settings = settings
        self.universe = draw_universe(settings)
        self._sdss = SdssFiles(self.universe)
        self._sdss5 = Sdss5Files(self.universe)
        rows = self.universe.sdss
        # Rising: rows are in the order of their names.
        self._sdss_keys = (rows["plate"] * 100_000 + rows["mjd"]) * 10_000 + rows["fiber"]

    def read(self, path: str) -> bytes:
        """Return the bytes below a survey's base URL.

        A LAMOST spectrum that is missing gives the JSON page that its server sends with status
        200; anything else that does not exist raises FileNotFoundError, as a 404 does.
        """
        if path == _SDSS_CATALOGUE:
            return self._sdss.catalogue()
        if match := _LAMOST_CATALOGUE.fullmatch(path):
            if "stellar" in match["name"]:
                return lamost_files.stellar_catalogue(self.universe)
            return lamost_files.catalogue(self.universe)
        if match := _SDSS_SPECTRUM.fullmatch(path):
            return self._serve_sdss(match, path)
        if match := _LAMOST_SPECTRUM.fullmatch(path):
            return self._serve_lamost(int(match["obsid"]), match["release"])
        if (plate := plate_file(path, self.universe, self._sdss_arrays)) is not None:
            return plate
        if (summary := self._sdss5.summary(path)) is not None:
            return summary
        if (found := self._sdss5.find(path)) is not None:
            return self._serve_sdss5(*found, path)
        if (data := self.desi.read(path)) is not None:
            return data
        raise FileNotFoundError(f"the simulated sky has nothing at {path}")

    @cached_property
    def desi(self) -> DesiFiles:
        """DESI's files; its rows are drawn when it is asked for, since most runs do not."""
        return DesiFiles(self.settings, self.universe, self._model)

    def _serve_sdss(self, match: re.Match[str], path: str) -> bytes:
        plate, mjd, fiber = (int(match[name]) for name in ("plate", "mjd", "fiber"))
        wanted = (plate * 100_000 + mjd) * 10_000 + fiber
        rows = self.universe.sdss
        number = min(int(np.searchsorted(self._sdss_keys, wanted)), len(rows) - 1)
        program = PROGRAMS[rows["program"][number]]
        here = (
            self._sdss_keys[number] == wanted
            and match["run2d"] == program.run2d
            and match["tree"] == ("eboss" if program.boss else "sdss")
            and match["folder"] == match["plate"] == f"{plate:04d}"
        )
        if not here or rows["fate"][number] == MISSING:
            raise FileNotFoundError(f"the simulated SDSS has no {path}")
        return _delivered(rows, number, self.sdss_file)

    def _serve_sdss5(self, number: int, release: Release, path: str) -> bytes:
        def make(number: int) -> bytes:
            return self._sdss5.lite(number, release, *self._sdss_arrays(number, boss=True))

        rows = self.universe.sdss
        if rows["fate"][number] == MISSING:
            raise FileNotFoundError(f"the simulated SDSS has no {path}")
        return _delivered(rows, number, make)

    def _serve_lamost(self, obsid: int, release: str) -> bytes:
        rows = self.universe.lamost
        number = min(int(np.searchsorted(rows["obsid"], obsid)), len(rows) - 1)
        if rows["obsid"][number] != obsid or rows["fate"][number] == MISSING:
            return lamost_files.MISSING_BODY
        return _delivered(rows, number, lambda n: self.lamost_file(n, release))

    def sdss_exposure(self, number: int, boss: bool = False) -> tuple[Exposure, Floats]:
        """Observe one SDSS row; also the noise-free spectrum, in the unit of the flux.

        `boss`: with the BOSS spectrographs, whatever took it before SDSS-V.
        """
        row = self.universe.sdss[number]
        rng = generator(self.settings.seed, "sdss", "exposure", number)
        pixels = choose_pixels(BOSS if boss or PROGRAMS[row["program"]].boss else SDSS, rng)
        model = self._model(row, pixels)
        exposure = observe(rng, pixels, model, row["snr"], float(row["snr_all"]))
        wavelength = pixels.wavelength
        # Calibrated to 4 % in colour (Adelman-McCarthy et al. 2008, ApJS 175, 297).
        tilt = np.exp(rng.normal(0, 0.04) * (wavelength - 6200) / 2500)
        factor = tilt * arm_join(rng, wavelength, pixels.spectrograph.arms, 0.015)
        calibrate(exposure, factor)
        mask_sdss(rng, exposure, model * factor)
        if row["zwarning"] == DEAD_FIBER:
            switch_off(exposure)
        elif row["zwarning"] & HALF_SPECTRUM:
            blue = wavelength < pixels.spectrograph.arms
            switch_off(exposure, blue if rng.random() < 0.4 else ~blue)
        return exposure, model * factor

    def sdss_file(self, number: int) -> bytes:
        """Return the lite file of one SDSS row, whatever its fate on the server."""
        return self._sdss.lite(number, *self._sdss_arrays(number))

    def _sdss_arrays(self, number: int, boss: bool = False) -> tuple[Exposure, dict[str, Array]]:
        exposure, model = self.sdss_exposure(number, boss)
        # As in real files: a plate has a grid, and each spectrum ends where it has data.
        exposure, kept = with_data(exposure)
        model = model[kept]
        arrays = {"flux": exposure.flux, "ivar": exposure.ivar, "model": model, "sky": exposure.sky}
        return exposure, {name: rounded(values) for name, values in arrays.items()}

    def lamost_exposure(self, number: int) -> tuple[Exposure, Floats]:
        """Observe one LAMOST row; also the noise-free spectrum, in the unit of the flux."""
        row = self.universe.lamost[number]
        rng = generator(self.settings.seed, "lamost", "exposure", number)
        pixels = choose_pixels(LAMOST, rng)
        ebv = float(self.universe.objects["ebv"][row["object"]])
        model = through_air(rng, pixels.where, self._model(row, pixels))
        exposure = observe(rng, pixels, model, row["snr"], None)
        star = self.universe.objects["kind"][row["object"]] == STAR
        factor = calibration(rng, pixels.wavelength, ebv if star else 0.0, float(row["snr_all"]))
        calibrate(exposure, factor)
        # Most galaxies and quasars are from later releases.
        old = bool(reduced_early(row["plan"]) and (star or rng.random() < 0.2))
        damage_pixels(rng, exposure, old)
        return exposure, model * factor

    def lamost_file(self, number: int, release: str) -> bytes:
        """Return the file of one LAMOST row, whatever its fate on the server."""
        exposure, _ = self.lamost_exposure(number)
        flux, ivar = rounded(exposure.flux), rounded(exposure.ivar)
        row = self.universe.lamost[number]
        return lamost_files.spectrum(row, exposure, flux, ivar, self.universe, release)

    def _model(self, row: np.void, pixels: Pixels) -> Floats:
        thing = int(row["object"])
        rng = generator(self.settings.seed, "object", thing)
        seen = self.universe.objects[thing]
        model = model_flux(seen, pixels, rng)
        return veiled(rng, pixels, model) if seen["kind"] == STAR else model


def _delivered(rows: np.ndarray, number: int, make: Callable[[int], bytes]) -> bytes:
    """The file as it arrives: whole, or damaged in one of the ways that a server has."""
    if rows["fate"][number] != CORRUPT:
        return make(number)
    turn = int(rows["damage"][number])
    kind = damage.kind_of(turn)
    if kind == "page":
        return damage.WEB_PAGE
    if kind == "cut":
        return damage.cut_off(make(number), turn)
    return make((number + 1) % len(rows))
