"""What each stage reads of the configuration, and so what makes its jobs run again.

A job is given the whole configuration. What Snakemake remembers of it is `stage_settings` alone:
the keys that STAGE_KEYS lists for the stage, without those marked HowOnly where they are defined.
`load_stage` lets the stage read no other key, so the list cannot be too short.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

from specvit.config.base import Section, is_how_only
from specvit.config.baselines import registered
from specvit.config.experiments import Experiment
from specvit.config.learning import Model, Train
from specvit.config.load import load_config
from specvit.config.models import Config
from specvit.errors import ConfigError

ALWAYS = ("run", "results_dir")  # where the files are
# What is compared, by name; the networks' own settings reach evaluation in their predictions.
COMPARED = (
    *("tasks", "surveys", "experiments", "train.seeds", "data.train_fraction"),
    "baselines.models",
)
STAGE_KEYS: dict[str, tuple[str, ...]] = {
    "survey": ("surveys", "simulated", "split.seed"),
    "catalog": ("surveys", "split"),
    "download": ("surveys", "simulated", "split"),
    "shards": ("split", "grid", "render"),
    "gallery": ("split", "grid", "render", "report.examples"),
    "train": ("tasks", "split", "grid", "render", "data", "model", "train"),
    "predict": ("split", "grid", "render", "data"),
    "baselines": ("tasks", "split", "grid", "render", "data", "baselines"),
    "evaluate": (*COMPARED, "split.seed", "evaluate"),
    "figures": (
        *COMPARED,
        *(f"report.{key}" for key in ("figures", "formats", "width_mm", "style")),
    ),
    "report": tuple(name for name in Config.model_fields if name not in ALWAYS),
}

S = TypeVar("S", bound=Section)


def stage_settings(
    config: Config,
    stage: str,
    survey: str | None = None,
    render: str | None = None,
    model: str | None = None,
    baseline: str | None = None,
) -> dict[str, Any]:
    """The settings that a stage's result depends on: what makes its rule run again.

    Where a survey, a set of plots, a network or a baseline is named, only its own settings are
    kept, so that a change to another one leaves its jobs alone.
    """
    settings: dict[str, Any] = _plain(_view(config, stage, render, model, baseline))
    if survey is not None:
        settings["surveys"] = {survey: settings["surveys"][survey]}
    chosen = filter(None, settings.get("surveys", {}).values())
    if not any(survey["base_url"] == "simulated:" for survey in chosen):
        settings.pop("simulated", None)
    return settings


def network_settings(config: Config) -> dict[str, Any]:
    """The settings that a network's training depends on; `config` is that network's own."""
    return dict(_plain(_only(config, set(STAGE_KEYS["train"]))))


def load_stage(
    sources: Iterable[str], stage: str, model: str | None = None, baseline: str | None = None
) -> Config:
    """Load a configuration in which only the keys of this stage can be read.

    Any other key raises ConfigError on access: a stage that reads a key which STAGE_KEYS does not
    list would not run again when that key changes. With `model`, the settings are those of that
    network (the run's own, or an experiment); with `baseline`, those of that baseline of the run.
    """
    return _view(load_config(sources), stage, None, model, baseline)


def _view(
    config: Config, stage: str, render: str | None, model: str | None, baseline: str | None
) -> Config:
    if model is not None:
        config = config.variant(model)
    if render is not None:
        config = config.model_copy(update={"render": (config.renders[render],)})
    keys = {*ALWAYS, *STAGE_KEYS[stage]}
    if baseline is not None:
        if baseline not in config.baselines.models:
            allowed = ", ".join(config.baselines.models)
            raise ConfigError(f"baseline {baseline!r} is not one of baselines.models: {allowed}")
        keys = keys - {"baselines"} | {f"baselines.{baseline}", *registered()[baseline].reads}
        config = config.model_copy(update={"render": config.render[:1]})
    return _only(config, keys)


def _only(section: S, keys: set[str]) -> S:
    """A section of which these keys (dotted where they are deeper) and HowOnly ones are left."""
    view = section.model_copy()
    for name, field in type(section).model_fields.items():
        if name in keys or name not in view.__dict__ or is_how_only(field):
            continue
        value = view.__dict__.pop(name)
        if isinstance(value, Section):
            deeper = {key.removeprefix(f"{name}.") for key in keys if key.startswith(f"{name}.")}
            inner = _only(value, deeper)
            if inner.__dict__:
                view.__dict__[name] = inner
    return view


def _plain(value: Any) -> Any:
    """The plain values of all that can be read of a section and is not HowOnly."""
    if isinstance(value, Section):
        fields = type(value).model_fields
        parts = {key: _plain(part) for key, part in value if not is_how_only(fields[key])}
        return _result_only(parts) if isinstance(value, Experiment) else parts
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return value


def _result_only(experiment: dict[str, Any]) -> dict[str, Any]:
    """An experiment without what it changes of keys that are HowOnly in their section."""
    kept = dict(experiment)
    for name, section in (("model", Model), ("train", Train)):
        how = {key for key, field in section.model_fields.items() if is_how_only(field)}
        kept[name] = {key: value for key, value in kept[name].items() if key not in how}
    return kept
