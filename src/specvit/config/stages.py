"""Which keys each stage reads: what its rule passes on, so what makes Snakemake run it again."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from specvit.config.load import load_config
from specvit.config.models import Config
from specvit.errors import ConfigError

ALWAYS = ("run", "results_dir")
# Experiments are laid over these: without them a valid one might not be.
NETWORKS = ("tasks", "split", "grid", "render", "data", "model", "train", "experiments")
STAGE_KEYS: dict[str, tuple[str, ...]] = {
    "survey": ("seed", "surveys", "simulated", "download"),
    "catalog": ("seed", "surveys", "split"),
    "download": ("seed", "surveys", "simulated", "split", "download"),
    "shards": ("seed", "surveys", "split", "grid", "render"),
    "gallery": ("seed", "surveys", "render", "report"),
    "train": ("seed", "tasks", "split", "grid", "render", "data", "model", "train"),
    "predict": ("seed", "tasks", "split", "grid", "render", "model", "train"),
    "baselines": ("seed", "tasks", "split", "grid", "render", "data", "baselines"),
    "evaluate": ("seed", "surveys", "baselines", "evaluate", *NETWORKS),
    "figures": ("surveys", "baselines", "report", *NETWORKS),
    "report": tuple(name for name in Config.model_fields if name not in ALWAYS),
}


def stage_settings(
    config: Config,
    stage: str,
    survey: str | None = None,
    render: str | None = None,
    model: str | None = None,
) -> dict[str, Any]:
    """The plain settings of one stage, for its rule's command line.

    Where a survey, a set of plots or a network is named, only its own settings are kept, so that
    a change to another one leaves its jobs alone.
    """
    if model is not None:
        config = config.variant(model)
    if render is not None:
        config = config.model_copy(update={"render": (config.renders[render],)})
    keep = {*ALWAYS, *STAGE_KEYS[stage]}
    # A Config must have surveys; a stage that does not read them gets a neutral one.
    settings = config.model_dump(mode="json", include=keep)
    if "surveys" not in keep:
        settings["surveys"] = {"files": {"base_url": "file:///"}}
    elif survey is not None:
        settings["surveys"] = {survey: settings["surveys"][survey]}
    return settings


def load_stage(sources: Iterable[str], stage: str, model: str | None = None) -> Config:
    """Load a configuration in which only the keys of this stage can be read.

    Any other key raises ConfigError on access: a stage that reads a key its rule does not pass
    would silently use the default, and would not run again when that key changes. With `model`,
    the settings are those of that network (the run's own, or an experiment).
    """
    config = load_config(sources)
    if model is not None:
        config = config.variant(model)
    return _StageView.narrow(config, stage)


class _StageView(Config):
    @classmethod
    def narrow(cls, config: Config, stage: str) -> Config:
        keep = {*ALWAYS, *STAGE_KEYS[stage]}
        values = {name: getattr(config, name) for name in Config.model_fields}
        if "experiments" not in keep:
            values["render"] = tuple(config.renders.values())
        view = cls.model_construct(**values)
        for name in set(values) - keep:
            del view.__dict__[name]
        return view

    def __getattr__(self, name: str) -> Any:
        if name in Config.model_fields:
            raise ConfigError(
                f"this stage reads the key {name!r}, which is not listed in STAGE_KEYS"
            )
        raise AttributeError(name)
