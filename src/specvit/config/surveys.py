"""Settings of a run's surveys, each with the keys that it registered, and of the simulated sky."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field, create_model, model_validator

from specvit.config.base import Section
from specvit.config.select import STELLAR_LABELS, SurveySettings
from specvit.registry import collections


class _Surveys(Section):
    """The surveys of a run; null switches one off."""

    @property
    def active(self) -> dict[str, SurveySettings]:
        """The surveys that are switched on, by key."""
        found = {key: getattr(self, key) for key in type(self).model_fields}
        return {key: survey for key, survey in found.items() if survey is not None}

    def check_labels(self, tasks: tuple[str, ...]) -> None:
        """Raise ValueError where a task asks for labels that no survey of the run has."""
        asked = sorted(set(tasks) & set(STELLAR_LABELS))
        if asked and not any(survey.has_stellar_labels for survey in self.active.values()):
            hints = [c.settings.labels_hint for c in collections().values()]
            raise ValueError(
                f"tasks names {', '.join(asked)}, which no survey here has: "
                f"{' or '.join(hint for hint in hints if hint)}, or drop them from tasks"
            )

    @model_validator(mode="after")
    def _any(self) -> _Surveys:
        if not self.active:
            names = ", ".join(type(self).model_fields)
            raise ValueError(f"at least one of {names} must be set")
        return self


def _with_registered() -> type[_Surveys]:
    """The section with a key for each registered survey."""
    keys: dict[str, Any] = {
        name: (one.settings | None, Field(None, description=f"{one.title}, or null."))
        for name, one in collections().items()
    }
    return create_model("Surveys", __base__=_Surveys, __doc__=_Surveys.__doc__, **keys)


if TYPE_CHECKING:
    Surveys = _Surveys
else:
    Surveys = _with_registered()


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
