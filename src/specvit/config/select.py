"""What the settings of every survey have: where its files are and which rows are taken.

Each survey adds its own in its package (specvit.surveys.NAME).
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from specvit.config.base import Section
from specvit.paths import folder_of
from specvit.tasks import NONE

ObjectName = Literal["STAR", "GALAXY", "QSO"]
ClassName = Literal["STAR", "GALAXY", "QSO", "NONE"]
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
    """Object classes to keep; null: all, rows without a class too. NONE: spectra of nothing, too,
    where the survey says so (sky fibres, unplugged, broken); they need no redshift and no S/N."""
    subclasses: dict[ObjectName, tuple[str, ...]] = {}
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

    @property
    def takes_nothing(self) -> bool:
        """Whether spectra of nothing are taken, as the class NONE."""
        return NONE in (self.classes or ())

    def limit(self, class_: str) -> int | None:
        """Largest number of spectra of a class, or None."""
        if isinstance(self.max_per_class, dict):
            return dict(self.max_per_class).get(class_)  # type: ignore[call-overload,no-any-return]
        return self.max_per_class


class SurveySettings(Section):
    """One survey of a run."""

    labels_hint: ClassVar[str | None] = None
    """What to set so that the survey has Teff, logg, [Fe/H]; None where it never has."""

    base_url: str
    """Root of the server or a mirror: https://..., file:///path or simulated: ."""
    select: Select = Select()
    """Which rows are taken."""

    @field_validator("base_url")
    @classmethod
    def _is_url(cls, value: str) -> str:
        if "@" in urlsplit(value).netloc:
            raise ValueError(
                "must have no user or password, which would stand in every ledger and log: put "
                "them into ~/.netrc (machine HOST login USER password PASSWORD)"
            )
        if value == "simulated:" or value.startswith(("https://", "http://", "file:/")):
            return value if value.endswith(("/", ":")) else value + "/"
        raise ValueError("must be 'simulated:', or start with https://, http:// or file:/")

    @property
    def folder(self) -> Path | None:
        """The folder that base_url names, None where it is a server."""
        return folder_of(self.base_url) if self.base_url.startswith("file:") else None

    @property
    def tables(self) -> dict[str, Path]:
        """Files on this machine that rows are chosen or labelled by, each with its key."""
        ids = self.select.ids
        return {} if ids is None else {"select.ids": Path(os.path.expandvars(ids))}

    @property
    def edition(self) -> str:
        """Which of the survey's catalogues, where it has several; files of each are kept apart."""
        return ""

    @property
    def has_stellar_labels(self) -> bool:
        """Whether the catalogue gives Teff, logg and [Fe/H]."""
        return False


class StellarSettings(SurveySettings):
    """A survey whose table of stars can be joined to its catalogue."""

    stellar_parameters: bool = False
    """Also fetch the survey's table of stars, for the tasks teff, logg and feh."""

    @property
    def has_stellar_labels(self) -> bool:
        """Whether Teff, logg and [Fe/H] are asked for, directly or by `select.require`."""
        return self.stellar_parameters or bool(set(self.select.require) & set(STELLAR_LABELS))
