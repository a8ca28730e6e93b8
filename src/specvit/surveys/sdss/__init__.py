"""SDSS: legacy, SEGUE, BOSS and eBOSS (DR17), and the BOSS spectrographs of SDSS-V (DR19)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from specvit.config.select import STELLAR_LABELS, Select, SurveySettings
from specvit.surveys.sdss.paths import CATALOGUE_PATHS, alternatives
from specvit.surveys.survey import Fetch, Listing, Located, Reader, Survey

if TYPE_CHECKING:
    from specvit.surveys.sdss.catalogue import SdssCatalogue

PAGE = "https://dr17.sdss.org/optical/spectrum/view?plateid={plate}&mjd={mjd}&fiberid={fiber}"
RSYNC = "rsync://dtn.sdss.org"  # its modules are the releases

_NO_PARAMETERS = "its catalogue has no Teff, logg, [Fe/H]; LAMOST's stellar catalogue has"


class SdssSelect(Select):
    """Which rows of the SDSS catalogue are taken."""

    not_here = dict.fromkeys(STELLAR_LABELS, "SDSS: " + _NO_PARAMETERS)

    zwarning_zero: bool = True
    """Keep only rows with ZWARNING = 0: redshift and class without a known problem."""
    primary_only: bool = False
    """Keep only the best spectrum of each object (SPECPRIMARY = 1)."""
    science_only: bool = False
    """Keep only science targets (TARGETTYPE = SCIENCE), neither standard stars nor sky (DR17)."""
    surveys: tuple[Literal["legacy", "segue", "boss", "eboss"], ...] | None = Field(
        None, min_length=1
    )
    """Parts of SDSS to keep, by the column SURVEY (DR17); legacy is what it calls sdss."""
    programs: tuple[str, ...] | None = Field(None, min_length=1)
    """Programmes to keep, as in the column PROGRAMNAME."""


class SdssSettings(SurveySettings):
    """SDSS optical spectra: legacy, SEGUE, BOSS, eBOSS (DR17) or BOSS of SDSS-V (DR19)."""

    base_url: str = "https://data.sdss.org/sas/"
    """Root of the Science Archive Server or a mirror: https://..., file:///path or simulated: ."""
    release: Literal["dr17", "dr19"] = "dr17"
    """Data release: dr17 (specObj), or dr19 (spAll-lite, the BOSS spectrographs of SDSS-V)."""
    select: SdssSelect = SdssSelect()
    """Which rows are taken."""

    @model_validator(mode="after")
    def _columns_exist(self) -> SdssSettings:
        if self.release == "dr19" and self.select.science_only:
            raise ValueError("select.science_only: the DR19 catalogue has no column TARGETTYPE")
        if self.release == "dr19" and self.select.surveys is not None:
            raise ValueError("select.surveys: legacy, segue, boss and eboss are in release dr17")
        if self.release == "dr19" and self.base_url == "simulated:":
            raise ValueError("release dr19: the simulated sky has the files of dr17")
        return self

    @property
    def edition(self) -> str:
        """See SurveySettings."""
        return self.release


class Sdss(Survey[SdssSettings]):
    """See Survey."""

    name = "sdss"
    title = "SDSS"
    settings = SdssSettings
    transfer_forms = ("rsync", "globus", "urls")

    def catalogue(self, settings: SdssSettings, fetch: Fetch) -> SdssCatalogue:
        """Open specObj (DR17) or spAll-lite (DR19)."""
        from specvit.surveys.sdss.catalogue import SpAllLite, SpecObj

        path = fetch(CATALOGUE_PATHS[settings.release])
        return SpecObj(path, settings) if settings.release == "dr17" else SpAllLite(path, settings)

    @property
    def reader(self) -> Reader:
        """See Survey."""
        from specvit.surveys.sdss import reader

        return reader

    def locations(self, row: Located) -> list[str]:
        """See Survey."""
        return [row.path, *alternatives(row.path)]

    def page(self, release: str, identity: str) -> str | None:
        """DR17's page of plate, MJD and fiber; spectra of SDSS-V have none."""
        parts = identity.split("-")
        if len(parts) != 3 or release == "dr19" or release.startswith("v6_"):
            return None
        return PAGE.format(plate=parts[0], mjd=parts[1], fiber=parts[2])

    def transfer(self, form: str, listing: Listing) -> tuple[list[str], str]:
        """For rsync: paths below the release; for Globus: pairs of paths; or addresses."""
        listed, target = listing.listed, listing.target
        if form == "rsync":
            release = listing.paths[0].split("/", 1)[0]
            command = f"rsync -aL --files-from={listed} {RSYNC}/{release} {target}/{release}"
            return [path.removeprefix(f"{release}/") for path in listing.paths], (
                f"Fetch with: {command}; then set base_url: file://{target}/"
            )
        if form == "globus":
            return [f"{path} {path}" for path in listing.paths], (
                "Fetch with: globus transfer SDSS_COLLECTION:/ MY_COLLECTION:/MIRROR/ --batch "
                f"{listed}, where the first path is the one that shows dr17; then set base_url: "
                "file:///MIRROR/"
            )
        return self.urls(listing.paths, listing)


SURVEY = Sdss()
