"""Settings of the surveys: where their files are and which rows are taken."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from specvit.config.base import Section

ClassName = Literal["STAR", "GALAXY", "QSO"]


class Select(Section):
    """Which rows of a survey's catalogue are taken."""

    classes: tuple[ClassName, ...] = Field(("STAR", "GALAXY", "QSO"), min_length=1)
    """Object classes to keep."""
    max_per_class: int | None = Field(None, ge=1)
    """At most this many spectra of each class, drawn by hash of the spectrum id; null: all."""
    min_snr: float = 0.0
    """Lowest median signal-to-noise ratio."""
    z_range: tuple[float, float] = (-0.02, 8.0)
    """Lowest and highest redshift."""
    zwarning_zero: bool = True
    """Keep only rows with ZWARNING = 0 (SDSS; LAMOST has no such flag)."""
    primary_only: bool = False
    """Keep only the best spectrum of each object (SPECPRIMARY = 1; SDSS)."""

    @model_validator(mode="after")
    def _ordered(self) -> Select:
        if self.z_range[0] >= self.z_range[1]:
            raise ValueError("z_range must go from low to high")
        return self


def _base_url(value: str) -> str:
    if value == "simulated:" or value.startswith(("https://", "http://", "file:/")):
        return value if value.endswith(("/", ":")) else value + "/"
    raise ValueError("must be 'simulated:', or start with https://, http:// or file:/")


class SdssSurvey(Section):
    """SDSS optical spectra (legacy, SEGUE, BOSS, eBOSS)."""

    base_url: str = "https://data.sdss.org/sas/"
    """Root of the Science Archive Server or a mirror: https://..., file:///path or simulated: ."""
    release: Literal["dr17"] = "dr17"
    """Data release."""
    select: Select = Select()
    """Which rows are taken."""

    _check = field_validator("base_url")(_base_url)


class LamostSurvey(Section):
    """LAMOST low-resolution spectra."""

    base_url: str = "https://www.lamost.org/"
    """Root of the server or a mirror: https://..., file:///path or simulated: ."""
    release: str = Field("dr10", pattern=r"^dr[0-9]+$")
    """Data release."""
    version: str = Field("v2.0", pattern=r"^v[0-9]+(\.[0-9]+)*$")
    """Version of the release."""
    select: Select = Select()
    """Which rows are taken."""

    _check = field_validator("base_url")(_base_url)


class FilesSurvey(Section):
    """A folder of spectra whose catalogue is built from the files' own headers."""

    base_url: str
    """The folder, as file:///path ; searched with its sub-folders for .fits and .fits.gz."""
    select: Select = Select(zwarning_zero=False)
    """Which rows are taken."""

    @field_validator("base_url")
    @classmethod
    def _is_file(cls, value: str) -> str:
        if not value.startswith("file:/"):
            raise ValueError("must start with file:/ (a folder on this machine)")
        return _base_url(value)


class Surveys(Section):
    """The surveys of a run; null switches one off."""

    sdss: SdssSurvey | None = None
    """SDSS, or null."""
    lamost: LamostSurvey | None = None
    """LAMOST, or null."""
    files: FilesSurvey | None = None
    """A folder of one's own, or null."""

    @property
    def active(self) -> dict[str, SdssSurvey | LamostSurvey | FilesSurvey]:
        """The surveys that are switched on, by key."""
        found = {"sdss": self.sdss, "lamost": self.lamost, "files": self.files}
        return {key: survey for key, survey in found.items() if survey is not None}

    @model_validator(mode="after")
    def _any(self) -> Surveys:
        if not self.active:
            raise ValueError("at least one of sdss, lamost, files must be set")
        return self


class Simulated(Section):
    """The embedded simulated sky, served where a survey's base_url is `simulated:`."""

    seed: int = Field(1, ge=0)
    """Seed of the sky; the same seed and sizes give the same bytes."""
    sdss_spectra: int = Field(1800, ge=1)
    """Spectra in the simulated SDSS."""
    lamost_spectra: int = Field(1200, ge=1)
    """Spectra in the simulated LAMOST."""
    repeat_fraction: float = Field(0.08, ge=0, le=0.5)
    """Share of spectra that observe an object again (in the same survey or the other)."""
    missing_fraction: float = Field(0.003, ge=0, le=0.5)
    """Share of catalogue rows without a file."""
    corrupt_fraction: float = Field(0.003, ge=0, le=0.5)
    """Share of files that arrive broken (cut off, or a web page under a FITS name)."""
