"""What things are called for people, and which figures a run has.

Figures are known from the configuration alone, so that the job graph is too.
"""

from __future__ import annotations

from specvit.config.baselines import registered
from specvit.config.models import MAIN_NETWORK, Config

TASK_NAMES = {
    "class": "class",
    "stellar_type": "stellar type",
    "redshift": "redshift",
    "teff": "effective temperature",
    "logg": "surface gravity",
    "feh": "metallicity",
}

UNITS = {"teff": " [K]", "logg": " [dex(cm s⁻²)]", "feh": " [dex]"}

# Also needs the plots themselves, so it is made with the report.
OVERVIEW = "overview"


def model_name(model: str) -> str:
    """The name of a model for people; an experiment keeps its own."""
    if model == MAIN_NETWORK:
        return "ViT"
    baseline = registered().get(model)
    return model if baseline is None else baseline.title


def train_fractions(config: Config) -> dict[str, float]:
    """Share of the train split's objects, for networks that differ from the ViT in nothing else."""
    found = {MAIN_NETWORK: config.data.train_fraction}
    for experiment in config.experiments:
        if experiment.is_of_scaling:
            found[experiment.name] = float(experiment.data["train_fraction"])
    return found


def benchmark_names(config: Config) -> list[str]:
    """Every job that the workflow times, but the report: `download/train-000000` and so on."""
    names = ["catalog", "evaluate", "figures", "gallery"]
    names += [f"survey/{survey}" for survey in config.surveys.active]
    names += [f"download/{shard}" for shard in config.shard_names()]
    for render in config.renders:
        names += [f"shard/{render}/{shard}" for shard in config.shard_names()]
        names += [f"shards_summary/{render}"]
    for network in config.network_names:
        names += [f"train/{network}", f"predict/{network}"]
    return names + [f"baseline/{model}" for model in config.baselines.models]


def figure_names(config: Config) -> list[str]:
    """Names (without ending) of the figures that `specvit figures` writes."""
    found, only = config.possible_figures, config.report.figures
    return [name for name in found if only is None or name in only]
