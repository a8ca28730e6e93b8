"""The server of the simulated sky: a path below a survey's base URL in, its bytes out."""

from __future__ import annotations

import re

import numpy as np

from specvit.config.surveys import Simulated
from specvit.surveys.simulated import damage, lamost_files, sdss_files
from specvit.surveys.simulated.exposure import Exposure, Pixels, choose_pixels, observe, rounded
from specvit.surveys.simulated.instrument import BOSS, LAMOST, SDSS
from specvit.surveys.simulated.objects import Floats
from specvit.surveys.simulated.observations import (
    CORRUPT,
    MISSING,
    PROGRAMS,
    Universe,
    draw_universe,
)
from specvit.surveys.simulated.seeds import generator
from specvit.surveys.simulated.spectra import model_flux

_SDSS_CATALOGUE = re.compile(r"dr17/sdss/spectro/redux/specObj-dr17\.fits")
_SDSS_SPECTRUM = re.compile(
    r"dr17/(?P<tree>sdss|eboss)/spectro/redux/(?P<run2d>[^/]+)/spectra/lite/(?P<folder>\d{4,})/"
    r"spec-(?P<plate>\d{4,})-(?P<mjd>\d{5})-(?P<fiber>\d{4})\.fits"
)
_LAMOST_CATALOGUE = re.compile(
    r"(?P<dr>dr\d+)/(?P<version>v[\d.]+)/catdl\?name=(?P=dr)_(?P=version)_LRS_"
    r"(?P<table>catalogue|stellar)\.csv\.gz"
)
_LAMOST_SPECTRUM = re.compile(r"(?P<dr>dr\d+)/v[\d.]+/spectrum/fits/(?P<obsid>\d+)")


class SimulatedSky:
    """Serves both simulated surveys; the same settings give the same bytes everywhere.

    The objects and rows of the catalogues are drawn when it is made; spectra when they are read.
    """

    def __init__(self, settings: Simulated) -> None:
        self.settings = settings
        self.universe: Universe = draw_universe(settings)
        sdss = self.universe.sdss
        self._sdss_keys = _key(sdss["plate"], sdss["mjd"], sdss["fiber"])
        self._sdss_order = np.argsort(self._sdss_keys)
        self._lamost_order = np.argsort(self.universe.lamost["obsid"])

    def read(self, path: str) -> bytes:
        """Return the bytes below a survey's base URL.

        A LAMOST spectrum that is missing gives the JSON page that its server sends with status
        200; anything else that does not exist raises FileNotFoundError, as a 404 does.
        """
        if _SDSS_CATALOGUE.fullmatch(path):
            return sdss_files.catalogue(self.universe)
        if match := _LAMOST_CATALOGUE.fullmatch(path):
            if match["table"] == "stellar":
                return lamost_files.stellar_catalogue(self.universe)
            return lamost_files.catalogue(self.universe)
        if match := _SDSS_SPECTRUM.fullmatch(path):
            return self._sdss_spectrum(match, path)
        if match := _LAMOST_SPECTRUM.fullmatch(path):
            return self._lamost_spectrum(int(match["obsid"]), match["dr"])
        raise FileNotFoundError(f"the simulated sky has nothing at {path}")

    def _sdss_spectrum(self, match: re.Match[str], path: str) -> bytes:
        wanted = _key(int(match["plate"]), int(match["mjd"]), int(match["fiber"]))
        place = np.searchsorted(self._sdss_keys, wanted, sorter=self._sdss_order)
        number = int(self._sdss_order[min(place, len(self._sdss_order) - 1)])
        row = self.universe.sdss[number]
        program = PROGRAMS[row["program"]]
        here = (
            self._sdss_keys[number] == wanted
            and match["run2d"] == program.run2d
            and match["tree"] == ("eboss" if program.boss else "sdss")
            and match["folder"] == match["plate"] == f"{row['plate']:04d}"
        )
        if not here or row["fate"] == MISSING:
            raise FileNotFoundError(f"the simulated SDSS has no {path}")
        if row["fate"] == CORRUPT:
            return self._damaged_sdss(number)
        return self.sdss_file(number)

    def _lamost_spectrum(self, obsid: int, release: str) -> bytes:
        lamost = self.universe.lamost
        place = np.searchsorted(lamost["obsid"], obsid, sorter=self._lamost_order)
        number = int(self._lamost_order[min(place, len(lamost) - 1)])
        row = lamost[number]
        if row["obsid"] != obsid or row["fate"] == MISSING:
            return lamost_files.MISSING_BODY
        if row["fate"] == CORRUPT:
            return self._damaged_lamost(number, release)
        return self.lamost_file(number, release)

    def _damaged_sdss(self, number: int) -> bytes:
        turn = int(self.universe.sdss["damage"][number])
        kind = damage.kind_of(turn)
        if kind == "page":
            return damage.WEB_PAGE
        if kind == "cut":
            return damage.cut_off(self.sdss_file(number), turn)
        return self.sdss_file((number + 1) % len(self.universe.sdss))

    def _damaged_lamost(self, number: int, release: str) -> bytes:
        turn = int(self.universe.lamost["damage"][number])
        kind = damage.kind_of(turn)
        if kind == "page":
            return damage.WEB_PAGE
        if kind == "cut":
            return damage.cut_off(self.lamost_file(number, release), turn)
        return self.lamost_file((number + 1) % len(self.universe.lamost), release)

    def sdss_exposure(self, number: int) -> tuple[Exposure, Floats]:
        """Observe one SDSS row; also the noise-free spectrum that it is drawn from."""
        row = self.universe.sdss[number]
        rng = self._generator("sdss", number)
        boss = PROGRAMS[row["program"]].boss
        pixels = choose_pixels(BOSS if boss else SDSS, rng)
        model = self._model(row, pixels)
        return observe(rng, pixels, model, row["snr"], float(row["snr_all"])), model

    def sdss_file(self, number: int) -> bytes:
        """Return the lite file of one SDSS row, whatever its fate on the server."""
        exposure, model = self.sdss_exposure(number)
        return sdss_files.lite(
            self.universe.sdss[number], exposure, rounded(model), rounded(exposure.flux),
            rounded(exposure.ivar), self.universe,
        )  # fmt: skip

    def lamost_exposure(self, number: int) -> tuple[Exposure, Floats]:
        """Observe one LAMOST row; also the noise-free spectrum that it is drawn from."""
        row = self.universe.lamost[number]
        rng = self._generator("lamost", number)
        pixels = choose_pixels(LAMOST, rng)
        model = self._model(row, pixels)
        return observe(rng, pixels, model, row["snr"], float(row["snr_all"])), model

    def lamost_file(self, number: int, release: str) -> bytes:
        """Return the file of one LAMOST row, whatever its fate on the server."""
        exposure, model = self.lamost_exposure(number)
        arrays = [rounded(exposure.flux), rounded(exposure.ivar), rounded(exposure.flux / model)]
        return lamost_files.spectrum(
            self.universe.lamost[number], exposure, arrays, self.universe, release
        )

    def _generator(self, survey: str, number: int) -> np.random.Generator:
        return generator(self.settings.seed, survey, "exposure", number)

    def _model(self, row: np.void, pixels: Pixels) -> Floats:
        thing = int(row["object"])
        rng = generator(self.settings.seed, "object", thing)
        return model_flux(self.universe.objects[thing], pixels, rng)


def _key(plate: int, mjd: int, fiber: int) -> int:
    return (plate * 100_000 + mjd) * 10_000 + fiber
