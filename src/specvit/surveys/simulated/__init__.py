"""A simulated sky that answers like the surveys' servers: their paths, layouts and mishaps."""

from __future__ import annotations

from specvit.config.surveys import Simulated
from specvit.surveys.simulated.desi_files import DesiFiles
from specvit.surveys.simulated.lamost_files import LamostFiles
from specvit.surveys.simulated.observations import draw_universe
from specvit.surveys.simulated.sdss_files import SdssFiles


class SimulatedSky:
    """Serves the simulated surveys; the same settings give the same bytes everywhere.

    Where a file is gzipped, the same bytes within. The objects and rows of the catalogues are drawn
    when it is made; spectra when they are read.
    """

    def __init__(self, settings: Simulated) -> None:
        self.universe = draw_universe(settings)
        self.sdss = SdssFiles(self.universe)
        self.lamost = LamostFiles(self.universe)
        self.desi = DesiFiles(self.universe)

    def read(self, path: str) -> bytes:
        """Return the bytes below a survey's base URL.

        A LAMOST spectrum that is missing gives the JSON page that its server sends with status
        200; anything else that does not exist raises FileNotFoundError, as a 404 does.
        """
        for survey in (self.sdss, self.lamost, self.desi):
            if (data := survey.read(path)) is not None:
                return data
        raise FileNotFoundError(f"the simulated sky has nothing at {path}")
