"""SDSS: legacy, SEGUE, BOSS and eBOSS (DR17), and the BOSS spectrographs of SDSS-V (DR18 on)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from specvit.config.select import Select, StellarSettings
from specvit.surveys.sdss.paths import RELEASES, alternatives, plate_of
from specvit.surveys.survey import Fetch, Listing, Located, Many, Reader, Shared, Survey

if TYPE_CHECKING:
    from specvit.surveys.sdss.catalogue import SdssCatalogue

PAGE = "https://dr17.sdss.org/optical/spectrum/view?plateid={plate}&mjd={mjd}&fiberid={fiber}"
RSYNC = "rsync://dtn.sdss.org"  # its modules are the releases
# Of a plate's fibers: flux, ivar and mask of all are as many bytes as the lite files of a quarter,
# 27 % of the SDSS spectrographs' fibers (172 kB each) and 25 % of BOSS's (219 kB).
WORTH_A_PLATE = 0.3


class SdssSelect(Select):
    """Which rows of the SDSS catalogue are taken."""

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


class SdssSettings(StellarSettings):
    """SDSS optical spectra: legacy, SEGUE, BOSS, eBOSS (DR17) or BOSS of SDSS-V (DR18 on)."""

    labels_hint = "set surveys.sdss.stellar_parameters: true with release dr19 or dr20"

    base_url: str = "https://data.sdss.org/sas/"
    """Root of the Science Archive Server or a mirror: https://..., file:///path or simulated: ."""
    release: Literal["dr17", "dr18", "dr19", "dr20", "dr20-epoch"] = "dr17"
    """Data release: dr17, or of SDSS-V dr18, dr19, dr20 (a night's exposures together) and
    dr20-epoch (all exposures of an epoch)."""
    fetch: Literal["auto", "spectrum", "plate"] = "auto"
    """What is asked for: each spectrum's lite file, the file of its whole plate (DR17), or auto,
    whichever is fewer bytes for the spectra of a plate that a split has. The plots are the same."""
    select: SdssSelect = SdssSelect()
    """Which rows are taken."""

    @model_validator(mode="after")
    def _columns_exist(self) -> SdssSettings:
        release = RELEASES[self.release]
        if release.has_fields and self.fetch == "plate":
            raise ValueError(
                f"fetch: plate: release {self.release} has no plates (auto or spectrum; dr17 has)"
            )
        if release.has_fields and self.select.science_only:
            raise ValueError("select.science_only: SDSS-V's catalogues have no column TARGETTYPE")
        if release.has_fields and self.select.surveys is not None:
            raise ValueError("select.surveys: legacy, segue, boss and eboss are in release dr17")
        if release.stars is None and self.has_stellar_labels:
            known = [name for name, one in RELEASES.items() if one.stars is not None]
            raise ValueError(
                f"release {self.release} has no Teff, logg, [Fe/H]: {', '.join(known)} have "
                "(drop stellar_parameters, and teff, logg, feh from select.require)"
            )
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
    terms = "https://www.sdss.org/collaboration/image-use-policy/"
    transfer_forms = ("rsync", "globus", "urls")

    def catalogue(self, settings: SdssSettings, fetch: Fetch) -> SdssCatalogue:
        """Open the release's catalogue, with the table of stars where its numbers are asked for."""
        from specvit.surveys.sdss.catalogue import SdssCatalogue

        release = RELEASES[settings.release]
        wanted = release.stars if settings.has_stellar_labels else None
        stars = None if wanted is None else fetch(wanted)
        return SdssCatalogue(fetch(release.catalogue), settings, stars)

    @property
    def reader(self) -> Reader:
        """See Survey."""
        from specvit.surveys.sdss import reader

        return reader

    def locations(self, row: Located) -> list[str]:
        """See Survey."""
        return [row.path, *alternatives(row.path)]

    def shared(self, settings: SdssSettings) -> Callable[[str], Shared | None] | None:
        """A plate's file, where `fetch` has it or so many of its spectra are wanted."""
        if settings.fetch == "spectrum" or RELEASES[settings.release].has_fields:
            return None

        def plate(path: str) -> Shared | None:
            if (found := plate_of(path)) is None:
                return None
            file, fibers = found
            return Shared(file, 1 if settings.fetch == "plate" else int(WORTH_A_PLATE * fibers))

        return plate

    def is_enough(self, part: Path) -> bool:
        """Half of a plate's file is enough: flux, inverse variance and mask come first."""
        from specvit.surveys.sdss.plate import is_enough

        return is_enough(part)

    def open_shared(self, path: Path) -> AbstractContextManager[Many] | None:
        """See Survey."""
        from specvit.surveys.sdss.plate import is_plate, open_plate

        return open_plate(path) if is_plate(path) else None

    def page(self, release: str, identity: str) -> str | None:
        """DR17's page of plate, MJD and fiber; spectra of SDSS-V have none."""
        parts = identity.split("-")
        known = RELEASES.get(release)
        if len(parts) != 3 or release.startswith("v6_") or (known and known.has_fields):
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
