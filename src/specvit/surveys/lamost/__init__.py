"""LAMOST low-resolution spectra, all releases."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from specvit.config.select import Select, StellarSettings
from specvit.surveys.survey import Fetch, Listing, Located, Reader, Survey

if TYPE_CHECKING:
    from specvit.surveys.lamost.catalogue import LamostCatalogue

PAGE = "https://www.lamost.org/{place}/spectrum/view?obsid={obsid}"
# An obsid stays the same in later releases: used where a file does not name its release.
LATEST = "dr10/v2.0"
# Names of the general and the stellar catalogue of releases before dr10, after LAMOST's own client
# (pylamost). Of those that are not here, names differ between sources, or there is no version.
_OLD, _TURNED = ("{0}", "{0}_stellar"), ("{0}_catalogue_LRS", "{0}_stellar_LRS")
_NEW = ("{0}_LRS_catalogue", "{0}_LRS_stellar")
NAMES = {
    **dict.fromkeys((("dr4", "v2"), ("dr5", "v1"), ("dr5", "v2"), ("dr5", "v3")), _OLD),
    **dict.fromkeys((("dr7", "v1"), ("dr7", "v1.1"), ("dr7", "v1.2")), _OLD),
    **dict.fromkeys((("dr7", "v1.3"), ("dr8", "v1.0")), _TURNED),
    **dict.fromkeys((("dr7", "v2.0"), ("dr8", "v1.1"), ("dr8", "v2.0")), _NEW),
    **dict.fromkeys((("dr9", "v1.0"), ("dr9", "v1.1"), ("dr9", "v2.0")), _NEW),
}
FIRST_REGULAR = 10  # the first release of which every version has the names of _NEW
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


class LamostSettings(StellarSettings):
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
    catalogue: str | None = None
    """A file of one's own for the general catalogue (CSV, plain or gzipped); null: the server's."""
    stellar_catalogue: str | None = None
    """A file of one's own for the stellar catalogue; null: the server's."""
    select: LamostSelect = LamostSelect()
    """Which rows are taken."""

    @model_validator(mode="after")
    def _tree_has_layout(self) -> LamostSettings:
        if self.layout == "nightly" and not self.base_url.startswith("file:/"):
            raise ValueError("layout: nightly needs the unpacked tars, as base_url: file:///path")
        return self

    @model_validator(mode="after")
    def _catalogues_are_known(self) -> LamostSettings:
        if _names(self.release, self.version) is not None:
            return self
        asked = {"catalogue": True, "stellar_catalogue": self.has_stellar_labels}
        for key, needed in asked.items():
            if needed and getattr(self, key) is None:
                known = ", ".join(" ".join(one) for one in NAMES)
                raise ValueError(
                    f"release {self.release}, version {self.version}: what its catalogue is called "
                    f"is not known, as it is for {known} and all from dr{FIRST_REGULAR} on; fetch "
                    f"it by hand and name the file as {key}"
                )
        return self

    @property
    def tables(self) -> dict[str, Path]:
        """See SurveySettings."""
        own = {"catalogue": self.catalogue}
        if self.has_stellar_labels:
            own["stellar_catalogue"] = self.stellar_catalogue
        named = {key: Path(os.path.expandvars(path)) for key, path in own.items() if path}
        return super().tables | named

    @property
    def edition(self) -> str:
        """See SurveySettings."""
        return f"{self.release}-{self.version}"


def _names(release: str, version: str) -> tuple[str, str] | None:
    """Names of the general and the stellar catalogue; None where they are not known."""
    patterns = NAMES.get((release, version))
    if patterns is None and int(release.removeprefix("dr")) >= FIRST_REGULAR:
        patterns = _NEW
    if patterns is None:
        return None
    general, stellar = (name.format(f"{release}_{version}") for name in patterns)
    return general, stellar


def catalogue_paths(release: str, version: str) -> tuple[str, str]:
    """Paths of the general and the stellar catalogue below the base URL, where they are known."""
    names = _names(release, version)
    assert names is not None  # or the settings name files
    general, stellar = (f"{release}/{version}/catdl?name={name}.csv.gz" for name in names)
    return general, stellar


class Lamost(Survey[LamostSettings]):
    """See Survey."""

    name = "lamost"
    title = "LAMOST"
    settings = LamostSettings
    terms = "http://www.lamost.org/policies/data_policy.html"
    # Of releases that are not public yet.
    token_variable = "SPECVIT_LAMOST_TOKEN"

    def catalogue(self, settings: LamostSettings, fetch: Fetch) -> LamostCatalogue:
        """Open the general catalogue, with the stellar one where its numbers are asked for."""
        from specvit.surveys.lamost.catalogue import LamostCatalogue

        def file(own: str | None, kind: int) -> Path:
            if own is not None:
                return Path(os.path.expandvars(own))
            return fetch(catalogue_paths(settings.release, settings.version)[kind])

        general = file(settings.catalogue, 0)
        stellar = file(settings.stellar_catalogue, 1) if settings.has_stellar_labels else None
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

    def transfer(self, form: str, listing: Listing) -> tuple[list[str], str]:
        """Addresses of single files, or of one tar.gz a night where paths are of nightly tars."""
        nights = {match[1] for path in listing.paths if (match := _NIGHT.match(path))}
        if not nights:
            return self.urls(listing.paths, listing)
        folder = f"{listing.release.replace(' ', '/')}/tar/lrs-fits"
        lines, _ = self.urls([f"{folder}/{night}.tar.gz" for night in sorted(nights)], listing)
        return lines, (
            f"Fetch with: wget -c -i {listing.listed}; unpack with: tar -xzf, in the folder of "
            "base_url"
        )


SURVEY = Lamost()
