"""One baseline from shards to predictions: the work of `specvit baselines`."""

from __future__ import annotations

import platform
import time
from collections.abc import Iterable
from importlib.metadata import version
from operator import attrgetter
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, cast

import pandas as pd

from specvit import __version__
from specvit.baselines.baseline import Baseline, Setup
from specvit.baselines.features import batches
from specvit.baselines.rows import (
    Rows,
    known,
    labels_of,
    read_rows,
    read_shard,
)
from specvit.config import Config
from specvit.config.baselines import registered
from specvit.errors import DataError, TrainingError
from specvit.io import read_json, sha256_file, stable_hash, write_json
from specvit.logs import get_logger, progress
from specvit.machine import available_threads, peak_rss_mb
from specvit.paths import SPLITS
from specvit.plan import KEY, Plan
from specvit.plot import render_hash
from specvit.predictions import IDENTITY, WEIGHTS_HASH, write_predictions
from specvit.shards.index import read_index
from specvit.shards.subset import Subset
from specvit.tasks import Task, tasks_of

SUMMARY = "training.json"
GRID = "wavelengths"
"""Key of the summary: the wavelength grid of the flux that the model sees."""
CHUNK = 1024  # spectra predicted at a time


def run_baseline(config: Config, name: str) -> dict[str, Any]:
    """Train one baseline, save it, predict val and test; return what training.json says.

    Reads every row of the first set of plots' shards, as the network does (the same `data`
    section narrows what both learn from). The test shards are not opened before the model is
    saved. Raises TrainingError where a task cannot be learned, DataError for damaged shards.
    """
    start = time.monotonic()
    every = [path for split in SPLITS for path in _shards(config, split)]
    plots = render_hash(config.render[0], config.grid)
    plan = read_index(every, ()).check(config.split, plots)
    train, val = (
        read_rows(_shards(config, split), f"{name}, {split}", Subset.of(config, split))
        for split in ("train", "val")
    )
    _check(train, val, config)
    setup = _setup(config, name)
    read_s = time.monotonic() - start

    start = time.monotonic()
    model, told = baseline_class(name).fit(train, val, setup)
    fit_s = time.monotonic() - start
    folder = config.paths.model_dir(name)
    model.save(folder)
    known_by = [plots, config.data.model_dump(mode="json")]
    if setup.before is not None:
        known_by.append(read_json(setup.before / SUMMARY)[WEIGHTS_HASH])
    trained = _trained(name, setup, plan, known_by)
    counts = {"train": len(train), "val": len(val)}
    del train, val

    start = time.monotonic()
    labels = {task.name: list(task.labels) for task in config.asked}
    answered = tasks_of(told["tasks"], labels)
    predicted = _predict(model, config, name, answered, plan, trained)
    summary = {
        "model": name,
        KEY: dict(plan.values),
        "seed": config.split.seed,
        "spectra": counts,
        "predicted": predicted,
        **told,
        "labels": labels,
        GRID: config.grid.model_dump(mode="json"),
        "seconds": {"read": read_s, "fit": fit_s, "predict": time.monotonic() - start},
        "peak_rss_mb": peak_rss_mb(),
        "threads": setup.threads,
        "files": {file: sha256_file(folder / file) for file in registered()[name].files},
        WEIGHTS_HASH: trained,
        "versions": {package: version(package) for package in ("numpy", "scikit-learn")}
        # Not asked of the package's metadata: in a conda environment it is not installed.
        | {"specvit": __version__, "python": platform.python_version()},
    }
    write_json(folder / SUMMARY, summary)
    get_logger(__name__).info("%s: %s", name, folder / SUMMARY)
    return summary


def _setup(config: Config, name: str) -> Setup[Any]:
    return Setup(
        config.asked,
        config.baselines.of(name),
        config.grid,
        config.split.seed,
        available_threads(),
        gpu=config.train.gpus > 0,
        before=_before(config, name),
        read={key: attrgetter(key)(config) for key in registered()[name].reads},
    )


def _predict(
    model: Baseline, config: Config, name: str, tasks: list[Task], plan: Plan, trained: str
) -> dict[str, int]:
    """Write what it answers to val and test; how many spectra each has."""
    predicted = {}
    for split in ("val", "test"):
        frame = predict_shards(model, _shards(config, split), tasks, f"{name}, {split}")
        write_predictions(config.paths.predictions(name, split), frame, tasks, plan, trained)
        predicted[split] = len(frame)
    return predicted


def _trained(name: str, setup: Setup[Any], plan: Plan, read: list[Any]) -> str:
    """Stands for a trained baseline: all that decides what it learns.

    Not a hash of its files, which hold times and addresses: the same inputs give the same baseline.
    """
    other = {key: getattr(value, "__dict__", value) for key, value in setup.read.items()}
    settings = [setup.settings.model_dump(mode="json"), setup.grid.model_dump(mode="json"), other]
    tasks = [task.name for task in setup.tasks]
    return stable_hash([name, dict(plan.values), setup.seed, tasks, settings, read])


def _before(config: Config, name: str) -> Path | None:
    """Folder of the baseline that comes before this one. Raises DataError where it is not whole."""
    after = registered()[name].after
    if after is None:
        return None
    folder = config.paths.model_dir(after)
    check_files(folder, after)
    return folder


def baseline_class(name: str) -> type[Baseline]:
    """The class of a baseline of this name."""
    # Imported when asked for: only cnn1d needs torch, which takes seconds to load.
    return cast(type[Baseline], resolve_name(registered()[name].model))


def load_baseline(folder: Path, name: str) -> Baseline:
    """Load a trained baseline; DataError where it is not whole."""
    check_files(folder, name)
    return baseline_class(name).load(folder)


def check_files(folder: Path, name: str) -> None:
    """Raise DataError where a file of a trained baseline is missing or not the one recorded."""
    summary = folder / SUMMARY
    told = read_json(summary)
    recorded = told.get("files") if isinstance(told, dict) else None
    for file in registered()[name].files:
        path = folder / file
        if not path.is_file():
            raise DataError(f"{path} does not exist: train the baseline first")
        if not isinstance(recorded, dict) or recorded.get(file) != sha256_file(path):
            raise DataError(f"{path} is not the file that {summary} records: train it again")


def predict_shards(
    model: Baseline, shards: Iterable[Path], tasks: list[Task], label: str
) -> pd.DataFrame:
    """Predictions for every spectrum of some shards, one shard in memory at a time."""
    frames = []
    with progress(label) as tick:
        for path in shards:
            rows = read_shard(path)
            for part in batches(len(rows), CHUNK):
                frames.append(_frame(model, rows.take(part), tasks))
                tick.advance(part.stop - part.start)
    if not frames:
        raise TrainingError(f"{label}: the shards hold no spectra to predict")
    return pd.concat(frames, ignore_index=True)


def _frame(model: Baseline, rows: Rows, tasks: list[Task]) -> pd.DataFrame:
    predicted = model.predict(rows.flux)
    columns = {name: rows.table[name] for name in IDENTITY}
    for task in tasks:
        columns |= predicted[task.name].columns(task, labels_of(rows.table, task))
    return pd.DataFrame(columns)


def _shards(config: Config, split: str) -> list[Path]:
    render = config.render[0].label
    return [config.paths.shard(render, name) for name in config.shard_names(split)]


def _check(train: Rows, val: Rows, config: Config) -> None:
    """Raise where a task has no labels to learn or to choose by."""
    for task in config.asked:
        for split, rows in (("train", train), ("val", val)):
            labels = labels_of(rows.table, task)
            labels = labels[known(labels)]
            if not len(labels):
                raise TrainingError(
                    f"no spectrum of the {split} split has a label for the task {task.name} "
                    f"(column {task.column}): drop it from tasks or add data"
                )
            if split == "train" and task.kind == "classification" and len(set(labels)) < 2:
                raise TrainingError(
                    f"every train spectrum has the label {labels[0]} of the task {task.name}: "
                    "there is nothing to tell apart"
                )
