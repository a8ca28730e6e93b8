"""DESI: spectra of the Data Releases' healpix coadds, each of which holds hundreds."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from specvit.config.select import STELLAR_LABELS, Select, SurveySettings
from specvit.surveys.survey import Fetch, Many, Reader, Shared, Survey

if TYPE_CHECKING:
    from specvit.surveys.desi.catalogue import DesiCatalogue

# Paths of DR1 (data.desi.lbl.gov/doc/releases/dr1): iron is the name of its reduction.
REDUCTION = "public/dr1/spectro/redux/iron"
CATALOGUE = f"{REDUCTION}/zcatalog/v1/zall-pix-iron.fits"
PAGE = "https://www.legacysurvey.org/viewer/desi-spectrum/{release}/targetid{targetid}"


def coadd_path(survey: str, program: str, healpix: int) -> str:
    """Path of a coadd below the server's root."""
    folder = f"{REDUCTION}/healpix/{survey}/{program}/{healpix // 100}/{healpix}"
    return f"{folder}/coadd-{survey}-{program}-{healpix}.fits"


class DesiSelect(Select):
    """Which rows of the DESI catalogue are taken."""

    not_here = dict.fromkeys(
        STELLAR_LABELS, "DESI: its redshift catalogue has no Teff, logg, [Fe/H]"
    )

    min_snr: float | None = None
    """Lowest estimated S/N a pixel of the R camera, from the fiber's flux and the depth (the
    catalogue has no measured one); null: any, rows without an estimate too."""
    zwarning_zero: bool = True
    """Keep only rows with ZWARN = 0: redshift and class without a known problem."""
    primary_only: bool = False
    """Keep only the best spectrum of each object (ZCAT_PRIMARY)."""
    science_only: bool = True
    """Keep only science targets (OBJTYPE = TGT), no broken positioners, and sky (OBJTYPE = SKY)
    only where classes names NONE."""
    surveys: tuple[Literal["cmx", "main", "special", "sv1", "sv2", "sv3"], ...] | None = Field(
        None, min_length=1
    )
    """Parts of DESI to keep, by the column SURVEY."""
    programs: tuple[Literal["backup", "bright", "dark", "other"], ...] | None = Field(
        None, min_length=1
    )
    """Programmes to keep, by the column PROGRAM."""


class DesiSettings(SurveySettings):
    """DESI optical spectra (DR1), from its healpix coadds."""

    base_url: str = "https://data.desi.lbl.gov/"
    """Root of the public server or a mirror: https://..., file:///path or simulated: ."""
    release: Literal["dr1"] = "dr1"
    """Data release."""
    select: DesiSelect = DesiSelect()
    """Which rows are taken; a small part of the sky shares few coadds, which are big."""

    @property
    def edition(self) -> str:
        """See SurveySettings."""
        return self.release


class Desi(Survey[DesiSettings]):
    """See Survey."""

    name = "desi"
    title = "DESI"
    settings = DesiSettings
    terms = "https://data.desi.lbl.gov/doc/acknowledgments/"

    def catalogue(self, settings: DesiSettings, fetch: Fetch) -> DesiCatalogue:
        """Open the redshift catalogue of all healpix coadds."""
        from specvit.surveys.desi.catalogue import DesiCatalogue

        return DesiCatalogue(fetch(CATALOGUE), settings)

    @property
    def reader(self) -> Reader:
        """See Survey."""
        from specvit.surveys.desi import coadd

        return coadd

    def shared(self, settings: DesiSettings) -> Callable[[str], Shared | None]:
        """Every row's spectrum is in a coadd, and nowhere else."""
        return Shared

    def open_shared(self, path: Path) -> AbstractContextManager[Many] | None:
        """See Survey."""
        from specvit.surveys.desi.cut import is_coadd, open_coadd

        return open_coadd(path) if is_coadd(path) else None

    def page(self, release: str, identity: str) -> str | None:
        """The page of the target in the viewer of the Legacy Surveys."""
        return PAGE.format(release=release, targetid=identity) if release == "dr1" else None


SURVEY = Desi()
