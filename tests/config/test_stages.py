"""What makes each stage run again: for each key, the rules whose settings change."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from specvit.config import STAGE_KEYS, Config, load_stage, merge, stage_settings, validate
from specvit.config.base import Section, is_how_only
from specvit.config.baselines import registered
from specvit.config.experiments import Experiment
from specvit.errors import ConfigError

ROOT = Path(__file__).resolve().parents[2]
DEMO = yaml.safe_load((ROOT / "config.yaml").read_text())
BASELINES = list(registered())
# Every optional section is there, so that every key is.
SELECT = {"box": {"ra": [0, 10], "dec": [0, 10]}, "cone": {"ra": 5.0, "dec": 5.0, "radius": 1.0}}
SURVEYS: dict[str, Any] = {
    "sdss": {"select": SELECT},
    "lamost": {"select": SELECT},
    "desi": {"base_url": "simulated:", "select": SELECT},
    "files": {"base_url": "file:///spectra", "select": SELECT},
}
CONFIG = validate(
    merge(
        DEMO, {"surveys": SURVEYS, "baselines": {"models": BASELINES}, "train": {"batch_size": 64}}
    )
)

# Each rule (or job) by the settings that it records.
JOBS: dict[str, tuple[str, dict[str, str]]] = {
    **{f"survey {name}": ("survey", {"survey": name}) for name in SURVEYS},
    "catalog": ("catalog", {}),
    "download": ("download", {}),
    "shard": ("shards", {"render": CONFIG.render[0].label}),
    "gallery": ("gallery", {}),
    "train": ("train", {"model": "vit"}),
    "predict": ("predict", {"model": "vit"}),
    **{f"baseline {name}": ("baselines", {"baseline": name}) for name in BASELINES},
    "evaluate": ("evaluate", {}),
    "figures": ("figures", {}),
}
ALL_SURVEYS = {job for job in JOBS if job.startswith("survey ")}
ALL_BASELINES = {job for job in JOBS if job.startswith("baseline ")}
PLOTS = {"shard", "gallery", "train", "predict", *ALL_BASELINES}

# For each key, or all keys below it: the jobs that run again for it, beside those that read what
# they make. The report runs again for every key that is not HowOnly.
RERUN: dict[str, set[str]] = {
    "run": set(JOBS),
    "results_dir": set(JOBS),
    "tasks": {"train", *ALL_BASELINES, "evaluate", "figures"},
    **{
        f"surveys.{name}": {f"survey {name}", "catalog", "download", "evaluate", "figures"}
        for name in SURVEYS
    },
    "simulated": {"survey sdss", "survey lamost", "survey desi", "download"},
    # All that looks whether what it reads was dealt by these.
    "split": {"catalog", "download", *PLOTS},
    "split.seed": {*ALL_SURVEYS, "catalog", "download", *PLOTS, "evaluate"},
    "download": set(),
    "grid": PLOTS,
    "render": PLOTS,
    "data": {"train", "predict", *ALL_BASELINES},
    "data.train_fraction": {"train", "predict", *ALL_BASELINES, "evaluate", "figures"},
    "model": {"train"},
    "model.redshift": {"train", "baseline cnn1d", "baseline specformer_tuned"},
    "train": {"train"},
    "train.seeds": {"evaluate", "figures"},  # those that are there already stay
    "baselines.models": {"evaluate", "figures"},
    "baselines.components": {"baseline svm", "baseline random_forest", "baseline knn"},
    **{f"baselines.{name}": {f"baseline {name}"} for name in BASELINES},
    "evaluate": {"evaluate"},
    "report.title": set(),
    "report.examples": {"gallery"},
    **{f"report.{key}": {"figures"} for key in ("figures", "formats", "width_mm", "style")},
}
HOW_ONLY = {
    *("download", "train.workers", "train.gpus", "train.ranks", "train.checkpoint_minutes"),
}


def leaves(section: Section, prefix: str = "") -> Iterator[tuple[str, bool]]:
    """Every key of a configuration, dotted, and whether it is HowOnly."""
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        inner = value[0] if name == "render" and prefix == "" else value
        if isinstance(inner, Section):
            below = list(leaves(inner, f"{prefix}{name}."))
            yield from ((key, how or is_how_only(field)) for key, how in below)
        else:
            yield f"{prefix}{name}", is_how_only(field)


KEYS = dict(leaves(CONFIG))
del KEYS["experiments"]  # below, with values that have a meaning


def changed(section: Any, key: str) -> Any:
    """The same section with another value of one key, which need not make sense."""
    name, _, deeper = key.partition(".")
    old = getattr(section, name)
    if not deeper:
        new: Any = (*old, "another") if isinstance(old, tuple) else "another"
        if type(old) is int:
            new = old + 1  # the seeds of further networks count on from the first's
    else:
        new = (changed(old[0], deeper),) if name == "render" else changed(old, deeper)
    return section.model_copy(update={name: new})


def read(section: Any, key: str) -> Any:
    """The value of a dotted key; of `render`, that of the first set of plots."""
    name, _, deeper = key.partition(".")
    value = getattr(section, name)
    if not deeper:
        return value
    return read(value[0] if name == "render" else value, deeper)


def in_table(table: Any, key: str) -> str | None:
    """The longest entry of a table that this key is, or is below."""
    parts = key.split(".")
    names = (".".join(parts[:n]) for n in range(len(parts), 0, -1))
    return next((name for name in names if name in table), None)


def recorded(config: Config, job: str) -> dict[str, Any]:
    stage, only = JOBS[job]
    if "render" in only:
        only = {"render": config.render[0].label}
    return stage_settings(config, stage, **only)


BEFORE = {job: recorded(CONFIG, job) for job in JOBS}
REPORT = stage_settings(CONFIG, "report")


def rerun(config: Config) -> set[str]:
    """The jobs that run again where CONFIG becomes this."""
    return {job for job in JOBS if recorded(config, job) != BEFORE[job]}


@pytest.mark.parametrize("key", KEYS)
def test_a_key_reruns_what_it_changes_and_nothing_else(key: str) -> None:
    entry = in_table(RERUN, key)
    assert entry is not None, f"say in RERUN which jobs run again for {key}"
    assert rerun(changed(CONFIG, key)) == (set() if KEYS[key] else RERUN[entry])


@pytest.mark.parametrize("over", [{"render": {"mode": "map"}}, {"train": {"epochs": 2}}])
def test_an_added_experiment_reruns_only_comparisons(over: dict[str, Any]) -> None:
    experiments = (Experiment(name="x", **over),)
    config = CONFIG.model_copy(update={"experiments": experiments})
    assert rerun(config) == {"evaluate", "figures"}


@pytest.mark.parametrize("key", KEYS)
def test_the_report_follows_every_key_but_those_that_change_no_result(key: str) -> None:
    same = stage_settings(changed(CONFIG, key), "report") == REPORT
    assert same == KEYS[key] == (in_table(HOW_ONLY, key) is not None)


@pytest.mark.parametrize("stage", STAGE_KEYS)
def test_a_stage_reads_only_its_keys(stage: str) -> None:
    view = load_stage([str(ROOT / "config.yaml")], stage)
    listed = {"run", "results_dir", *STAGE_KEYS[stage]}
    demo = validate(DEMO)
    for key, how_only in leaves(demo):
        if how_only or in_table(listed, key) is not None:
            assert read(view, key) == read(demo, key)
        else:
            with pytest.raises(ConfigError, match="STAGE_KEYS"):
                read(view, key)


def test_a_baseline_reads_only_its_keys() -> None:
    view = load_stage([str(ROOT / "config.yaml")], "baselines", baseline="svm")
    assert view.baselines.of("svm") == validate(DEMO).baselines.of("svm")
    for name in ("random_forest", "models"):
        with pytest.raises(ConfigError, match=name):
            getattr(view.baselines, name)
    with pytest.raises(ConfigError, match=r"'knn' is not one of baselines\.models: svm"):
        load_stage([str(ROOT / "config.yaml")], "baselines", baseline="knn")


def test_a_network_that_the_run_has_not_is_refused() -> None:
    for stage in ("train", "predict"):
        with pytest.raises(ConfigError, match="model 'vitt' is not a network of this run: vit"):
            load_stage([str(ROOT / "config.yaml")], stage, model="vitt")
    with pytest.raises(ConfigError, match="'vit-seed2' is not a network"):
        load_stage([str(ROOT / "config.yaml")], "train", model="vit-seed2")


def test_an_experiment_is_alone_with_what_it_changes() -> None:
    def jobs(**train: object) -> dict[str, Any]:
        config = validate(merge(DEMO, {"experiments": [{"name": "x", "train": train}]}))
        models = {
            f"train {name}": stage_settings(config, "train", model=name) for name in ("vit", "x")
        }
        return models | {"evaluate": stage_settings(config, "evaluate")}

    before = jobs(epochs=2)
    assert jobs(epochs=2, workers=2, gpus=1) == before
    after = jobs(epochs=3)
    assert {name for name in before if before[name] != after[name]} == {"train x", "evaluate"}
