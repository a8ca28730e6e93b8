"""LAMOST low-resolution spectra, all releases."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from specvit.config.select import STELLAR_LABELS, Select, SurveySettings
from specvit.surveys.survey import Fetch, Located, Reader, Survey, Wanted

if TYPE_CHECKING:
    from specvit.surveys.lamost.catalogue import LamostCatalogue

PAGE = "https://www.lamost.org/{place}/spectrum/view?obsid={obsid}"
# An obsid stays the same in later releases: used where a file does not name its release.
LATEST = "dr10/v2.0"
# Releases whose catalogues are not called {dr}_{version}_LRS_{kind}.csv.gz.
OLD_NAMES = {
    ("dr5", "v3"): {"catalogue": "dr5_v3", "stellar": "dr5_v3_stellar"},
    ("dr7", "v1.3"): {"catalogue": "dr7_v1.3_catalogue_LRS", "stellar": "dr7_v1.3_stellar_LRS"},
    ("dr8", "v1.0"): {"catalogue": "dr8_v1.0_catalogue_LRS", "stellar": "dr8_v1.0_stellar_LRS"},
}
_RELEASE = re.compile(r"(dr[0-9]+) (v[0-9.]+)")
_NIGHT = re.compile(r"(\d{8})/")
_DENIAL = re.compile(r"token|permission|denied|forbidden|unauthori|log ?in", re.IGNORECASE)


class LamostSelect(Select):
    """Which rows of the LAMOST catalogue are taken."""

    not_here = {
        "zwarning_zero": "LAMOST has no redshift warning flag",
        "primary_only": "LAMOST marks no spectrum of an object as the best",
        "science_only": "LAMOST's catalogue has science targets only",
        "surveys": "LAMOST has one low-resolution survey",
        "programs": "LAMOST's catalogue names no programme",
    }


class LamostSettings(SurveySettings):
    """LAMOST low-resolution spectra."""

    labels_hint = "switch lamost on with surveys.lamost.stellar_parameters: true"

    base_url: str = "https://www.lamost.org/"
    """Root of the server or a mirror: https://..., file:///path or simulated: ."""
    release: str = Field("dr10", pattern=r"^dr[0-9]+$")
    """Data release."""
    version: str = Field("v2.0", pattern=r"^v[0-9]+(\.[0-9]+)*$")
    """Version of the release."""
    layout: Literal["server", "nightly"] = "server"
    """Paths of spectra: as on the server (by obsid), or as in the unpacked nightly tars."""
    stellar_parameters: bool = False
    """Also fetch the stellar catalogue, for the tasks teff, logg and feh."""
    select: LamostSelect = LamostSelect()
    """Which rows are taken."""

    @model_validator(mode="after")
    def _tree_has_layout(self) -> LamostSettings:
        if self.layout == "nightly" and not self.base_url.startswith("file:/"):
            raise ValueError("layout: nightly needs the unpacked tars, as base_url: file:///path")
        return self

    @property
    def edition(self) -> str:
        """See SurveySettings."""
        return f"{self.release}-{self.version}"

    @property
    def has_stellar_labels(self) -> bool:
        """Whether Teff, logg and [Fe/H] are asked for, directly or by `select.require`."""
        return self.stellar_parameters or bool(set(self.select.require) & set(STELLAR_LABELS))


def catalogue_path(settings: LamostSettings, kind: str) -> str:
    """Path of a catalogue below the base URL; `kind` is catalogue (general) or stellar."""
    old = OLD_NAMES.get((settings.release, settings.version))
    name = old[kind] if old else f"{settings.release}_{settings.version}_LRS_{kind}"
    return f"{settings.release}/{settings.version}/catdl?name={name}.csv.gz"


class Lamost(Survey[LamostSettings]):
    """See Survey."""

    name = "lamost"
    title = "LAMOST"
    settings = LamostSettings
    # Of releases that are not public yet.
    token_variable = "SPECVIT_LAMOST_TOKEN"

    def catalogue(self, settings: LamostSettings, fetch: Fetch) -> LamostCatalogue:
        """Open the general catalogue, with the stellar one where its numbers are asked for."""
        from specvit.surveys.lamost.catalogue import LamostCatalogue

        general = fetch(catalogue_path(settings, "catalogue"))
        stellar = None
        if settings.has_stellar_labels:
            stellar = fetch(catalogue_path(settings, "stellar"))
        return LamostCatalogue(general, settings, stellar)

    @property
    def reader(self) -> Reader:
        """See Survey."""
        from specvit.surveys.lamost import coadd

        return coadd

    def is_same(self, wanted: str, found: str) -> bool:
        """The oldest files carry no obsid, but night, plan and fiber: nothing to compare with."""
        return wanted == found or not found.isdigit()

    def in_mirror(self, row: Located) -> list[str]:
        """A file fetched by hand is OBSID.fits, also beside or above those of a nightly tar."""
        if not row.path.endswith((".fits", ".fits.gz")):
            return [f"{row.path}.fits"]  # the server makes up the name of a single file
        folders = (row.path.rpartition("/")[0], row.path.partition("/")[0])
        return [f"{folder}/{row.identity}.fits" for folder in folders]

    def means(self, message: str) -> Literal["missing", "refused", "corrupt"]:
        """See Survey: a missing spectrum and a refusal are both told in JSON."""
        return "refused" if _DENIAL.search(message) else "missing"

    def page(self, release: str, identity: str) -> str | None:
        """See Survey."""
        named = _RELEASE.fullmatch(release)
        place = f"{named[1]}/{named[2]}" if named else LATEST
        return PAGE.format(place=place, obsid=identity)

    def transfer(self, form: str, wanted: Wanted) -> tuple[list[str], str]:
        """Addresses of single files, or of one tar.gz a night where paths are of nightly tars."""
        nights = {match[1] for path in wanted.paths if (match := _NIGHT.match(path))}
        if not nights:
            return self.urls(wanted.paths, wanted)
        folder = f"{wanted.release.replace(' ', '/')}/tar/lrs-fits"
        lines, _ = self.urls([f"{folder}/{night}.tar.gz" for night in sorted(nights)], wanted)
        return lines, (
            f"Fetch with: wget -c -i {wanted.listed}; unpack with: tar -xzf, in the folder of "
            "base_url"
        )


SURVEY = Lamost()
