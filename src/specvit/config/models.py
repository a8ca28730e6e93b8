"""The whole configuration, and the checks that span sections."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from specvit.config.base import Section
from specvit.config.data import Download, Grid, Render, Split
from specvit.config.learning import Baselines, Model, Train
from specvit.config.reporting import Evaluate, Report
from specvit.config.surveys import Simulated, Surveys
from specvit.paths import SPLITS, RunPaths, shard_name

TaskName = Literal["class", "stellar_type", "redshift", "teff", "logg", "feh"]


class Config(Section):
    """Everything a run depends on."""

    run: str = Field("demo", pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", max_length=64)
    """Name of the run; its outputs are in results/<run>/. Letters, digits, _ and - only."""
    results_dir: str = "results"
    """Folder of all runs."""
    seed: int = Field(1, ge=0, le=2**31 - 1)
    """Seed of the split, the shuffling, the initial weights and the bootstrap."""
    tasks: tuple[TaskName, ...] = Field(("class", "redshift"), min_length=1)
    """What is learned: class, stellar_type, redshift, or the numbers teff, logg, feh."""
    surveys: Surveys
    """Where spectra come from."""
    simulated: Simulated = Simulated()
    """The simulated sky, for surveys whose base_url is `simulated:`."""
    split: Split = Split()
    """Grouping and split."""
    download: Download = Download()
    """Fetching of spectra."""
    grid: Grid = Grid()
    """Wavelengths of plots and flux arrays."""
    render: tuple[Render, ...] = (Render(),)
    """One set of plots, or a list of several; models use the first unless they name another."""
    model: Model = Model()
    """The network."""
    train: Train = Train()
    """Fine-tuning."""
    baselines: Baselines = Baselines()
    """Classical models."""
    evaluate: Evaluate = Evaluate()
    """Metrics."""
    report: Report = Report()
    """The report."""

    @field_validator("render")
    @classmethod
    def _distinct(cls, value: tuple[Render, ...]) -> tuple[Render, ...]:
        labels = [render.label for render in value]
        if not labels or len(set(labels)) != len(labels):
            raise ValueError(f"needs at least one set of plots, each of another name, got {labels}")
        return value

    @field_validator("tasks")
    @classmethod
    def _tasks_once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) != len(value):
            raise ValueError("names each task at most once")
        return value

    @model_validator(mode="after")
    def _possible(self) -> Config:
        if "redshift" in self.tasks and any(render.frame == "rest" for render in self.render):
            raise ValueError(
                "render.frame = 'rest' moves a plot by the true redshift, which the task redshift "
                "would then read off it: use frame: observed or drop redshift from tasks"
            )
        readers = max(self.train.workers, 1) * max(self.train.gpus, 1)
        if self.split.shards.train < readers:
            raise ValueError(
                f"split.shards.train = {self.split.shards.train} is fewer than train.workers x "
                f"train.gpus = {readers}: each worker needs a shard of its own"
            )
        unknown = set(self.train.loss_weights) - set(self.tasks)
        if unknown:
            raise ValueError(
                f"train.loss_weights names {sorted(unknown)}, allowed are tasks {list(self.tasks)}"
            )
        return self

    @property
    def paths(self) -> RunPaths:
        """The files of this run."""
        return RunPaths(Path(os.path.expandvars(self.results_dir)) / self.run)

    def shard_names(self, split: str | None = None) -> list[str]:
        """Names of all shards of a split, or of the run."""
        splits = SPLITS if split is None else (split,)
        return [shard_name(s, i) for s in splits for i in range(self.split.shards.of(s))]

    def render_named(self, label: str) -> Render:
        """The set of plots of this name."""
        return next(render for render in self.render if render.label == label)

    @property
    def model_names(self) -> list[str]:
        """Every model that is trained and evaluated, the ViT first."""
        return ["vit", *self.baselines.models]

    @property
    def is_simulated(self) -> bool:
        """Whether any spectrum is simulated; shown wherever numbers are."""
        return any(survey.base_url == "simulated:" for survey in self.surveys.active.values())
