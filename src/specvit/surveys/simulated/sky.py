"""The server of the simulated sky: a path below a survey's base URL in, its bytes out."""

from __future__ import annotations

import numpy as np

from specvit.config.surveys import Simulated
from specvit.surveys.simulated.desi_files import DesiFiles
from specvit.surveys.simulated.exposure import (
    Exposure,
    Pixels,
    arm_join,
    calibrate,
    choose_pixels,
    mask_sdss,
    observe,
    switch_off,
    veiled,
)
from specvit.surveys.simulated.instrument import BOSS, LAMOST, SDSS
from specvit.surveys.simulated.lamost_artefacts import calibration, damage_pixels, through_air
from specvit.surveys.simulated.lamost_files import LamostFiles
from specvit.surveys.simulated.objects import STAR
from specvit.surveys.simulated.observations import (
    DEAD_FIBER,
    HALF_SPECTRUM,
    PROGRAMS,
    draw_universe,
    reduced_early,
)
from specvit.surveys.simulated.sdss_files import SdssFiles
from specvit.surveys.simulated.seeds import Floats, generator
from specvit.surveys.simulated.spectra import model_flux


class SimulatedSky:
    """Serves the simulated surveys; the same settings give the same bytes everywhere.

    Where a file is gzipped, the same bytes within. The objects and rows of the catalogues are drawn
    when it is made; spectra when they are read.
    """

    def __init__(self, settings: Simulated) -> None:
        self.settings = settings
        self.universe = draw_universe(settings)
        self.sdss = SdssFiles(self.universe, self.sdss_exposure)
        self.lamost = LamostFiles(self.universe, self.lamost_exposure)
        self.desi = DesiFiles(settings, self.universe, self._model)

    def read(self, path: str) -> bytes:
        """Return the bytes below a survey's base URL.

        A LAMOST spectrum that is missing gives the JSON page that its server sends with status
        200; anything else that does not exist raises FileNotFoundError, as a 404 does.
        """
        for survey in (self.sdss, self.lamost, self.desi):
            if (data := survey.read(path)) is not None:
                return data
        raise FileNotFoundError(f"the simulated sky has nothing at {path}")

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

    def _model(self, row: np.void, pixels: Pixels) -> Floats:
        thing = int(row["object"])
        rng = generator(self.settings.seed, "object", thing)
        seen = self.universe.objects[thing]
        model = model_flux(seen, pixels, rng)
        return veiled(rng, pixels, model) if seen["kind"] == STAR else model
