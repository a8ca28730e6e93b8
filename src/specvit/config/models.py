"""The whole configuration, and the checks that span sections."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

from pydantic import Field, PrivateAttr, ValidationError, field_validator, model_validator

from specvit.config.base import HowOnly, Section
from specvit.config.baselines import Baselines, registered
from specvit.config.data import Download, Grid, Render, Split
from specvit.config.experiments import Data, Experiment
from specvit.config.layers import below
from specvit.config.learning import Model, Train, monitors
from specvit.config.reporting import FIGURES, Evaluate, Report
from specvit.config.surveys import Simulated, Surveys
from specvit.errors import ConfigError
from specvit.paths import RUN_DIR, SPLITS, RunPaths, shard_name
from specvit.tasks import TASKS, Task, tasks_of

TaskName = Literal["class", "stellar_type", "redshift", "teff", "logg", "feh"]


MAIN_NETWORK = "vit"

S = TypeVar("S", bound=Section)


def _override(section: S, values: dict[str, Any], experiment: Experiment, key: str) -> S:
    """Put an experiment's values over a section; an error names the experiment and the key."""
    merged = {**below(section.model_dump(mode="json"), values), **values}
    try:
        return type(section).model_validate_json(json.dumps(merged))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(["experiments", experiment.name, key, *map(str, first["loc"])])
        reason = first["msg"].removeprefix("Value error, ")
        raise ValueError(f"{where} = {first['input']!r}: {reason}") from error


class Config(Section):
    """Everything a run depends on."""

    # Keys of old, each with the reason (read where unknown keys are refused).
    not_here: ClassVar[dict[str, str]] = {
        "seed": "is split.seed (rows, split, baselines, bootstrap) and train.seed (networks) now"
    }

    run: str = Field("demo", pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", max_length=64)
    """Name of the run; its outputs are in results/<run>/. Letters, digits, _ and - only."""
    results_dir: str = "results"
    """Folder of all runs."""
    tasks: tuple[TaskName, ...] = Field(("class", "redshift"), min_length=1)
    """What is learned: class, stellar_type, redshift, or the numbers teff, logg, feh."""
    surveys: Surveys
    """Where spectra come from."""
    simulated: Simulated = Simulated()
    """The simulated sky, for surveys whose base_url is `simulated:`."""
    split: Split = Split()
    """Grouping and split."""
    download: HowOnly[Download] = Download()
    """Fetching of spectra."""
    grid: Grid = Grid()
    """Wavelengths of plots and flux arrays."""
    render: tuple[Render, ...] = (Render(),)
    """One set of plots, or a list of several; models use the first unless they name another."""
    data: Data = Data()
    """What the network learns from."""
    model: Model = Model()
    """The network."""
    train: Train = Train()
    """How the network is fine-tuned."""
    experiments: tuple[Experiment, ...] = ()
    """Further networks to compare, each a variation of this run."""
    baselines: Baselines = Baselines()
    """Classical models."""
    evaluate: Evaluate = Evaluate()
    """How models are measured."""
    report: Report = Report()
    """The report."""
    # Not read off `surveys` when asked for: stages that may not read those need it, and run again
    # with the catalogue when it changes.
    _labels: dict[str, set[str]] = PrivateAttr(default_factory=dict)

    @field_validator("render")
    @classmethod
    def _distinct(cls, value: tuple[Render, ...]) -> tuple[Render, ...]:
        labels = [render.label for render in value]
        if not labels or len(set(labels)) != len(labels):
            raise ValueError(f"needs at least one set of plots, each of another name, got {labels}")
        return value

    @field_validator("experiments")
    @classmethod
    def _names_free(cls, value: tuple[Experiment, ...]) -> tuple[Experiment, ...]:
        names = [experiment.name for experiment in value]
        taken = {MAIN_NETWORK, *registered()}
        if len(set(names)) != len(names) or taken & set(names):
            raise ValueError(f"need names of their own, none of {sorted(taken)}; got {names}")
        return value

    @field_validator("results_dir")
    @classmethod
    def _workflow_can_name_it(cls, value: str) -> str:
        folder = os.path.expandvars(value)
        if not folder or not folder.isprintable() or set(folder) & set("{}<>"):
            raise ValueError(
                "must be a folder's name without braces or angle brackets (Snakemake takes what "
                "they hold for a name of its own; a variable as in $HOME or ${HOME} must be set) "
                "and control characters"
            )
        return value

    @field_validator("tasks")
    @classmethod
    def _tasks_once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) != len(value):
            raise ValueError("names each task at most once")
        return value

    @property
    def possible_figures(self) -> list[str]:
        """The figures that this run has something to show in, in the order of the report."""
        kinds = {TASKS[name].kind for name in self.tasks}
        needs = {
            "confusion_class": "class" in self.tasks,
            "confusion_stellar_type": "stellar_type" in self.tasks,
            "redshift_scatter": "redshift" in self.tasks,
            "redshift_residuals": "redshift" in self.tasks,
            "parameter_scatter": "regression" in kinds,
            "reliability": "classification" in kinds,
            "pit": bool(kinds & {"redshift", "regression"}),
            "experiments": bool(self.experiments),
            "scaling": any(experiment.is_of_scaling for experiment in self.experiments),
        }
        return [name for name in FIGURES if needs.get(name, True)]

    @model_validator(mode="after")
    def _possible(self) -> Config:
        self.surveys.check_labels(self.tasks)
        selects = [survey.select for survey in self.surveys.active.values()]
        self._labels["class"] = {name for select in selects for name in select.classes or ()}
        variants = [self.variant(name) for name in self.experiment_names]
        names = self.model_names
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(
                f"train.seeds makes networks that are called as an experiment or a baseline is: "
                f"rename {', '.join(twice)}"
            )
        renders = [*self.render, *(variant.render[0] for variant in variants)]
        told = [task for task in ("class", "redshift") if task in self.tasks]
        if told and any(render.frame == "rest" for render in renders):
            raise ValueError(
                "render.frame = 'rest' moves a plot by the true redshift, which can be read off it "
                f"(where the data end), and with it the class: use frame: observed or drop "
                f"{' and '.join(told)} from tasks"
            )
        lacking = [n for n in self.report.figures or () if n not in self.possible_figures]
        if lacking:
            raise ValueError(
                f"report.figures: this run has nothing to show in {', '.join(lacking)}; it has "
                f"{', '.join(self.possible_figures)}"
            )
        by_label: dict[str, Render] = {}
        for render in renders:
            if by_label.setdefault(render.label, render) != render:
                raise ValueError(
                    f"two different sets of plots are both called {render.label}: set render.name"
                )
        for variant in variants:
            allowed = monitors(self.tasks)
            if variant.train.monitor not in allowed:
                raise ValueError(
                    f"train.monitor = {variant.train.monitor!r} is none of the figures of these "
                    f"tasks: {', '.join(allowed)}"
                )
        unknown = set(self.train.loss_weights) - set(self.tasks)
        if unknown:
            raise ValueError(
                f"train.loss_weights names {sorted(unknown)}, allowed are tasks {list(self.tasks)}"
            )
        return self

    @property
    def asked(self) -> list[Task]:
        """The tasks; the class has the label NONE where a survey's select.classes names it."""
        return tasks_of(self.tasks, self._labels)

    @property
    def paths(self) -> RunPaths:
        """The files of this run; in a job whose files are in storage, Snakemake's copies."""
        copies = os.environ.get(RUN_DIR)
        if copies is not None:
            return RunPaths(Path(copies))
        return RunPaths(Path(os.path.expandvars(self.results_dir)) / self.run)

    def shard_names(self, split: str | None = None) -> list[str]:
        """Names of all shards of a split, or of the run."""
        splits = SPLITS if split is None else (split,)
        return [shard_name(s, i) for s in splits for i in range(self.split.shards.of(s))]

    @property
    def renders(self) -> dict[str, Render]:
        """Every set of plots by name, the run's own first, then those of experiments."""
        own = [*self.render, *(self.variant(name).render[0] for name in self.experiment_names)]
        return {render.label: render for render in own}

    @property
    def experiment_names(self) -> list[str]:
        """What differs in more than a seed: the run's own network, `vit`, then the experiments."""
        return [MAIN_NETWORK, *(experiment.name for experiment in self.experiments)]

    def seed_names(self, experiment: str) -> list[str]:
        """The networks of an experiment, alike but for their seeds; the first has its name."""
        over = self._experiment(experiment)
        seeds = self.train.seeds if over is None else over.train.get("seeds", self.train.seeds)
        return [experiment, *(f"{experiment}-seed{n}" for n in range(2, seeds + 1))]

    @property
    def network_names(self) -> list[str]:
        """The networks that are trained: those of `vit`, then those of each experiment."""
        return [name for first in self.experiment_names for name in self.seed_names(first)]

    def _experiment(self, name: str) -> Experiment | None:
        return next((e for e in self.experiments if e.name == name), None)

    def _of_seed(self, network: str) -> tuple[str, int]:
        """The experiment that a network is of, and how far its seed is from the first's."""
        first, _, number = network.rpartition("-seed")
        if network not in self.experiment_names and first and number.isdecimal():
            return first, int(number) - 1
        return network, 0

    @property
    def model_names(self) -> list[str]:
        """Every model that is trained and evaluated: networks, then baselines."""
        return [*self.network_names, *self.baselines.models]

    def variant(self, network: str) -> Config:
        """The configuration of one network: one set of plots and seed, no further experiments.

        That more seeds are trained beside it changes nothing in it, so that it need not run again.
        Raises ConfigError for a name that is none of `network_names`.
        """
        if network not in self.network_names:
            raise ConfigError(
                f"model {network!r} is not a network of this run: {', '.join(self.network_names)}"
            )
        name, further = self._of_seed(network)
        over = self._experiment(name)
        own: dict[str, Any] = {"render": self.render[:1], "train": self.train, "experiments": ()}
        if over is not None:
            if over.render:
                plots = _override(self.render[0], {"name": None, **over.render}, over, "render")
                own["render"] = (plots,)
            for key in ("model", "train", "data"):
                own[key] = _override(getattr(self, key), getattr(over, key), over, key)
        seed = {"seed": own["train"].seed + further, "seeds": 1}
        own["train"] = own["train"].model_copy(update=seed)
        return self.model_copy(update=own).settled()

    def settled(self) -> Config:
        """The same with what the recipe fills in of `train` (where it is null)."""
        return self.model_copy(update={"train": self.train.settled(self.model.is_fine_tuned)})

    def render_of(self, network: str) -> str:
        """Name of the set of plots that a network reads."""
        return self.variant(network).render[0].label

    @property
    def is_simulated(self) -> bool:
        """Whether any spectrum is simulated; shown wherever numbers are."""
        return any(survey.base_url == "simulated:" for survey in self.surveys.active.values())
