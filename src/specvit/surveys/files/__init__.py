"""A folder of spectra as a survey: its catalogue is what headers, or a table of labels, say."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field, field_validator, model_validator

from specvit.config.select import STELLAR_LABELS, ClassName, Select, SurveySettings
from specvit.paths import folder_of
from specvit.surveys.survey import Collection, Fetch

if TYPE_CHECKING:
    from specvit.surveys.files.catalogue import FilesCatalogue


class FilesSelect(Select):
    """Which files of a folder are taken; all that can be read, unless something is named."""

    not_here = {
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


class FilesSettings(SurveySettings):
    """A folder of spectra whose catalogue is built from the files' own headers."""

    labels_hint = "name a table that has them as surveys.files.labels"

    base_url: str
    """The folder, as file:///path ; searched with its sub-folders for .fits and .fits.gz."""
    labels: str | None = None
    """A table (.parquet, else CSV) of labels that win over the headers'; null: none. Columns: path
    (below the folder), identity or spectrum_id; and any of class, subclass, z, z_err, snr, ra, dec,
    teff, logg, feh."""
    select: FilesSelect = FilesSelect()
    """Which files are taken."""

    @field_validator("base_url")
    @classmethod
    def _is_folder(cls, value: str) -> str:
        if not value.startswith("file:/"):
            raise ValueError("must start with file:/ (a folder on this machine)")
        return value

    @model_validator(mode="after")
    def _labels_have_what_is_required(self) -> FilesSettings:
        asked = sorted(set(self.select.require) & set(STELLAR_LABELS))
        if asked and self.labels is None:
            raise ValueError(
                f"select.require names {', '.join(asked)}, which no header has: {self.labels_hint}"
            )
        return self

    @property
    def tables(self) -> dict[str, Path]:
        """See SurveySettings."""
        own = {} if self.labels is None else {"labels": Path(os.path.expandvars(self.labels))}
        return super().tables | own

    @property
    def has_stellar_labels(self) -> bool:
        """Whether there is a table that may have them: headers do not."""
        return self.labels is not None


class Files(Collection[FilesSettings]):
    """See Collection."""

    name = "files"
    title = "A folder of one's own"
    settings = FilesSettings

    def catalogue(self, settings: FilesSettings, fetch: Fetch) -> FilesCatalogue:
        """List the folder; its files are read when rows are asked for."""
        from specvit.surveys.files.catalogue import FilesCatalogue

        return FilesCatalogue(folder_of(settings.base_url), settings)


SURVEY = Files()
