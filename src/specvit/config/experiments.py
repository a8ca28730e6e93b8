"""Settings of experiments: named variations of one run, compared in one table."""

from __future__ import annotations

from typing import Any

from pydantic import Field, field_validator

from specvit.config.base import Section
from specvit.registry import surveys


class Data(Section):
    """Which part of the train and validation splits the network learns from; the test is whole."""

    train_fraction: float = Field(1.0, gt=0, le=1)
    """Share of the train split's objects; a smaller share is a subset of every larger one."""
    train_surveys: tuple[str, ...] | None = Field(None, min_length=1)
    """Surveys whose spectra are learned from, as [sdss]; null: all. Tests are by survey."""

    @field_validator("train_surveys")
    @classmethod
    def _known(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        wrong = set(value or ()) - set(surveys())
        if wrong:
            raise ValueError(f"names {sorted(wrong)}, allowed are {', '.join(surveys())}")
        return value


class Experiment(Section):
    """One more network, which differs from the run's own only in what is named here."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    """Name of the network in paths, tables and figures."""
    render: dict[str, Any] = {}
    """Keys of `render` that differ (the run's first set of plots is the base)."""
    model: dict[str, Any] = {}
    """Keys of `model` that differ."""
    train: dict[str, Any] = {}
    """Keys of `train` that differ."""
    data: dict[str, Any] = {}
    """Keys of `data` that differ."""

    @property
    def is_of_scaling(self) -> bool:
        """Whether its network differs from the run's own in the share of train alone."""
        return set(self.data) == {"train_fraction"} and not (
            self.render or self.model or self.train
        )
