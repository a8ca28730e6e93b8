"""Settings of the surveys: where their files are and which rows are taken."""

from __future__ import annotations

import re
from typing import ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from specvit.config.base import Section

ClassName = Literal["STAR", "GALAXY", "QSO"]
LabelName = Literal["class", "stellar_type", "redshift", "teff", "logg", "feh"]
STELLAR_LABELS = ("teff", "logg", "feh")


class Box(Section):
    """A part of the sky between two meridians and two parallels."""

    ra: tuple[float, float]
    """Right ascension from, to (deg); from above to: across 0, as in [350, 10]."""
    dec: tuple[float, float]
    """Declination from, to (deg)."""

    @model_validator(mode="after")
    def _on_the_sky(self) -> Box:
        if not all(0 <= ra <= 360 for ra in self.ra):
            raise ValueError("ra must be between 0 and 360 deg")
        if not -90 <= self.dec[0] < self.dec[1] <= 90:
            raise ValueError("dec must go from low to high, between -90 and 90 deg")
        return self


class Cone(Section):
    """A circle on the sky."""

    ra: float = Field(ge=0, le=360)
    """Right ascension of the centre (deg)."""
    dec: float = Field(ge=-90, le=90)
    """Declination of the centre (deg)."""
    radius: float = Field(gt=0, le=180)
    """Radius (deg)."""


class Select(Section):
    """Which rows of a survey's catalogue are taken; each cut and what it removed is written out."""

    # Keys that another survey has and this one cannot honour, each with the reason (read where
    # unknown keys are refused).
    not_here: ClassVar[dict[str, str]] = {}

    classes: tuple[ClassName, ...] | None = Field(("STAR", "GALAXY", "QSO"), min_length=1)
    """Object classes to keep; null: all, rows without a class too."""
    subclasses: dict[ClassName, tuple[str, ...]] = {}
    """For each class named: regular expressions, one of which the whole subclass must match."""
    min_snr: float | None = 0.0
    """Lowest median signal-to-noise ratio; null: any, rows without one too."""
    z_range: tuple[float, float] | None = (-0.02, 8.0)
    """Lowest and highest redshift; null: any, rows without one too."""
    box: Box | None = None
    """Keep only this part of the sky."""
    cone: Cone | None = None
    """Keep only this circle on the sky."""
    ids: str | None = None
    """File with one identifier a line: keep only these (spectrum_id, or the survey's own)."""
    require: tuple[LabelName, ...] = ()
    """Keep only rows with a label for each of these tasks."""
    max_per_class: int | dict[ClassName, int] | None = None
    """At most this many spectra of each class, or of the classes named; null: all. Drawn by hash
    of the spectrum id, so that more rows do not reshuffle those already drawn."""
    balance: bool = False
    """Take as many of each class as there are of the rarest (after all other cuts)."""

    @field_validator("require")
    @classmethod
    def _label_exists(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            if name in cls.not_here:
                raise ValueError(f"{name}: {cls.not_here[name]}")
        return value

    @field_validator("subclasses")
    @classmethod
    def _expressions(cls, value: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        for patterns in value.values():
            for pattern in patterns:
                try:
                    re.compile(pattern)
                except re.error as error:
                    raise ValueError(f"{pattern!r} is no regular expression: {error}") from error
        return value

    @field_validator("max_per_class")
    @classmethod
    def _at_least_one(cls, value: int | dict[str, int] | None) -> int | dict[str, int] | None:
        numbers = value.values() if isinstance(value, dict) else [1 if value is None else value]
        if any(number < 1 for number in numbers):
            raise ValueError("must be at least 1 (leave a class out of `classes` to have none)")
        return value

    @model_validator(mode="after")
    def _fits(self) -> Select:
        if self.z_range is not None and self.z_range[0] >= self.z_range[1]:
            raise ValueError("z_range must go from low to high")
        classes = self.classes or ("STAR", "GALAXY", "QSO")
        limits = self.max_per_class if isinstance(self.max_per_class, dict) else {}
        for key, named in (("max_per_class", limits), ("subclasses", self.subclasses)):
            unused = sorted(set(named) - set(classes))
            if unused:
                raise ValueError(f"{key} names {unused}, which classes leaves out")
        return self

    def limit(self, class_: str) -> int | None:
        """Largest number of spectra of a class, or None."""
        if isinstance(self.max_per_class, dict):
            return dict(self.max_per_class).get(class_)  # type: ignore[call-overload,no-any-return]
        return self.max_per_class


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


class LamostSelect(Select):
    """Which rows of the LAMOST catalogue are taken."""

    not_here = {
        "zwarning_zero": "LAMOST has no redshift warning flag",
        "primary_only": "LAMOST marks no spectrum of an object as the best",
        "science_only": "LAMOST's catalogue has science targets only",
        "surveys": "LAMOST has one low-resolution survey",
        "programs": "LAMOST's catalogue names no programme",
    }


class FilesSelect(Select):
    """Which files of a folder are taken; all that can be read, unless something is named."""

    not_here = {
        **dict.fromkeys(STELLAR_LABELS, "files: headers have no Teff, logg, [Fe/H]"),
        "primary_only": "headers do not say which spectrum of an object is the best",
        "science_only": "headers do not name the kind of target",
        "surveys": "sort the files into folders and name one as base_url",
        "programs": "headers name no programme",
    }

    classes: tuple[ClassName, ...] | None = Field(None, min_length=1)
    """Object classes to keep; null: all, files without a class too."""
    min_snr: float | None = None
    """Lowest median signal-to-noise ratio; null: any, files without one too."""
    z_range: tuple[float, float] | None = None
    """Lowest and highest redshift; null: any, files without one too."""
    zwarning_zero: bool = False
    """Leave out files whose ZWARNING is not 0 (those without the flag are kept)."""


def _base_url(value: str) -> str:
    if value == "simulated:" or value.startswith(("https://", "http://", "file:/")):
        return value if value.endswith(("/", ":")) else value + "/"
    raise ValueError("must be 'simulated:', or start with https://, http:// or file:/")


class SdssSurvey(Section):
    """SDSS optical spectra: legacy, SEGUE, BOSS, eBOSS (DR17) or BOSS of SDSS-V (DR19)."""

    base_url: str = "https://data.sdss.org/sas/"
    """Root of the Science Archive Server or a mirror: https://..., file:///path or simulated: ."""
    release: Literal["dr17", "dr19"] = "dr17"
    """Data release: dr17 (specObj), or dr19 (spAll-lite, the BOSS spectrographs of SDSS-V)."""
    select: SdssSelect = SdssSelect()
    """Which rows are taken."""

    _check = field_validator("base_url")(_base_url)

    @model_validator(mode="after")
    def _columns_exist(self) -> SdssSurvey:
        if self.release == "dr19" and self.select.science_only:
            raise ValueError("select.science_only: the DR19 catalogue has no column TARGETTYPE")
        if self.release == "dr19" and self.select.surveys is not None:
            raise ValueError("select.surveys: legacy, segue, boss and eboss are in release dr17")
        if self.release == "dr19" and self.base_url == "simulated:":
            raise ValueError("release dr19: the simulated sky has the files of dr17")
        return self


class LamostSurvey(Section):
    """LAMOST low-resolution spectra."""

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

    _check = field_validator("base_url")(_base_url)

    @model_validator(mode="after")
    def _tree_has_layout(self) -> LamostSurvey:
        if self.layout == "nightly" and not self.base_url.startswith("file:/"):
            raise ValueError("layout: nightly needs the unpacked tars, as base_url: file:///path")
        return self

    @property
    def needs_stellar_catalogue(self) -> bool:
        """Whether Teff, logg and [Fe/H] are asked for, directly or by `select.require`."""
        return self.stellar_parameters or bool(set(self.select.require) & set(STELLAR_LABELS))


class FilesSurvey(Section):
    """A folder of spectra whose catalogue is built from the files' own headers."""

    base_url: str
    """The folder, as file:///path ; searched with its sub-folders for .fits and .fits.gz."""
    select: FilesSelect = FilesSelect()
    """Which files are taken."""

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

    def check_labels(self, tasks: tuple[str, ...]) -> None:
        """Raise ValueError where a task asks for labels that no survey of the run has."""
        asked = sorted(set(tasks) & set(STELLAR_LABELS))
        lamost = self.lamost is not None and self.lamost.needs_stellar_catalogue
        # `files` stands in for the surveys in stages that do not read them.
        if asked and not lamost and self.files is None:
            raise ValueError(
                f"tasks names {', '.join(asked)}, which no survey here has: switch lamost on with "
                "surveys.lamost.stellar_parameters: true, or drop them from tasks"
            )

    @model_validator(mode="after")
    def _any(self) -> Surveys:
        if not self.active:
            raise ValueError("at least one of sdss, lamost, files must be set")
        return self


class Simulated(Section):
    """The embedded simulated sky, served where a survey's base_url is `simulated:`."""

    seed: int = Field(1, ge=0)
    """Seed of the sky; the same seed and sizes give the same bytes."""
    sdss_spectra: int = Field(1800, ge=1, le=1_000_000)
    """Spectra in the simulated SDSS."""
    lamost_spectra: int = Field(1200, ge=1, le=1_000_000)
    """Spectra in the simulated LAMOST."""
    repeat_fraction: float = Field(0.08, ge=0, le=0.5)
    """Share of spectra that observe an object again (in the same survey or the other)."""
    missing_fraction: float = Field(0.003, ge=0, le=0.5)
    """Share of catalogue rows without a file."""
    corrupt_fraction: float = Field(0.003, ge=0, le=0.5)
    """Share of files that arrive broken: cut off, a web page under a FITS name, or another's."""
