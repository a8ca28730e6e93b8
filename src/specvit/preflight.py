"""What can be known before anything runs: what would stop a run hours later, or spoil it."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq

from specvit.config import Config
from specvit.config.start import Network, check_start
from specvit.errors import ConfigError, DataError
from specvit.find_model import model_folder, network_in
from specvit.tasks import CLASSES, TASKS

SPECTRUM_BYTES = 80_000
"""A spectrum as surveys keep it: LAMOST's have 100 kB, SDSS's 200 kB, few are smaller than this."""
SAMPLE_BYTES = 2_600
"""A sample of a shard beside its picture and flux: three headers of tar, and its row as JSON."""
STELLAR = {name for name, task in TASKS.items() if task.kind == "regression"} | {"stellar_type"}


@dataclass
class Findings:
    """Sentences about what is wrong: what stops a run, and what it had better be told."""

    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def look(
    config: Config, *, train: bool = True, fetch: bool = True, here: bool | None = None
) -> Findings:
    """Look for what is missing for a run, or for the part of it that is planned.

    `train`: networks are trained; `fetch`: catalogues or spectra are read; `here`: whether jobs run
    on this machine, whose GPUs are then needed; None: nobody has said, so that it is a warning.
    """
    found = Findings()
    found.problems += _not_writable(config.paths.root)
    if fetch:
        found.problems += _missing_folders(config)
        _look_at_disk(config, found)
    if train:
        found.problems += _missing_weights(config)
        found.warnings += _weights_to_fetch(config)
        if here is not False:
            (found.problems if here else found.warnings).extend(_missing_gpus(config))
        found.problems += _tasks_without_rows(config)
        found.warnings += _unseen_classes(config)
    return found


def _not_writable(folder: Path) -> Iterator[str]:
    nearest = _nearest(folder)
    if not nearest.is_dir():
        yield f"results_dir: {nearest} is in the way: it is no folder"
    elif not os.access(nearest, os.W_OK | os.X_OK):
        yield f"results_dir: {nearest} cannot be written to"


def _nearest(path: Path) -> Path:
    """The path itself, or the first above it that exists."""
    path = path.absolute()
    return next(folder for folder in (path, *path.parents) if folder.exists())


def _missing_folders(config: Config) -> Iterator[str]:
    for key, survey in config.surveys.active.items():
        if survey.folder is not None and not survey.folder.is_dir():
            yield f"surveys.{key}.base_url: there is no folder {survey.folder}"
        for name, path in survey.tables.items():
            if not path.is_file():
                yield f"surveys.{key}.{name}: there is no file {path}"


def _missing_weights(config: Config) -> Iterator[str]:
    configs = [config.variant(name) for name in config.network_names]
    models = [one.model for one in configs]
    for path in sorted({model.weights for model in models if model.weights is not None}):
        if not Path(path).is_file():
            yield f"model.weights: there is no file {path}"
    yield from dict.fromkeys(filter(None, map(_unfit_start, configs)))


def _unfit_start(config: Config) -> str | None:
    """Why a network cannot start from the one that it is to; None where it can."""
    name = config.model.init
    if name is None:
        return None
    try:
        theirs = network_in(model_folder(name))
        check_start(name, theirs, Network(config.model, config.render[0], config.grid))
    except DataError as error:
        return f"model.init: {error}"
    except ConfigError as error:
        return str(error)
    return None


def _weights_to_fetch(config: Config) -> Iterator[str]:
    models = [config.variant(name).model for name in config.network_names]
    wanted = {m.backbone for m in models if m.pretrained and m.weights is None and m.init is None}
    if wanted and importlib.util.find_spec("timm") is None:
        return  # an environment without the networks' own packages
    for backbone in sorted(wanted):
        from specvit.models.hub import cached_weights

        if cached_weights(backbone) is None:
            yield (
                f"model.backbone = {backbone!r}: its published weights are not on this machine; "
                f"training fetches them from the model hub, as specvit weights {backbone} does now"
            )


def _missing_gpus(config: Config) -> Iterator[str]:
    asked = max(config.variant(name).train.gpus for name in config.network_names)
    if asked == 0:
        return
    import torch

    if torch.cuda.device_count() < asked:
        yield (
            f"train.gpus = {asked}, but torch finds {torch.cuda.device_count()} GPUs on this "
            "machine: train on a cluster (--profile), or on the CPU with train.gpus: 0"
        )


# Rows that no survey gives ---------------------------------------------------------------------


def _selected(config: Config, surveys: Collection[str] | None) -> set[str]:
    """The classes that rows of these surveys (None: all) may have by their selection."""
    found: set[str] = set()
    for key, survey in config.surveys.active.items():
        if surveys is None or key in surveys:
            found |= set(survey.select.classes or CLASSES)
    return found


def _tasks_without_rows(config: Config) -> Iterator[str]:
    asked = sorted(STELLAR & set(config.tasks))
    if asked and "STAR" not in _selected(config, None):
        yield (
            f"tasks names {', '.join(asked)}, but no survey's select.classes has STAR: no row can "
            "have a label"
        )


def _unseen_classes(config: Config) -> Iterator[str]:
    if "class" not in config.tasks:
        return
    counted = _classes_of_train_rows(config)
    for name in config.network_names:
        surveys = config.variant(name).data.train_surveys
        seen = _selected(config, surveys)
        if counted is not None:
            seen = {label for survey, label in counted if surveys is None or survey in surveys}
        known = next(task.labels for task in config.asked if task.name == "class")
        missing = [label for label in known if label not in seen]
        if missing:
            why = "is selected" if counted is None else "is in the catalogue"
            yield (
                f"{name}: no row of class {' or '.join(missing)} {why} for training: the network "
                "will not know it"
            )


def _classes_of_train_rows(config: Config) -> set[tuple[str, str]] | None:
    """Pairs of survey and class that the catalogue has in its train split, if there is one."""
    if not config.paths.catalog.exists():
        return None
    columns = ["survey", "class", "split"]
    table = pq.read_table(config.paths.catalog, columns=columns)
    rows = table.filter(pc.equal(table["split"], "train")).group_by(["survey", "class"])
    found = rows.aggregate([]).to_pylist()
    return {(row["survey"], row["class"]) for row in found if row["class"] is not None}


# Disk ------------------------------------------------------------------------------------------


def _look_at_disk(config: Config, found: Findings) -> None:
    is_known = config.paths.catalog.exists()
    rows = pq.read_metadata(config.paths.catalog).num_rows if is_known else _most_rows(config)
    if rows is None:
        return
    each = SPECTRUM_BYTES + sum(sample_bytes(config, render) for render in config.renders)
    needed = rows * each - _there(config)
    free = shutil.disk_usage(_nearest(config.paths.root)).free
    if needed > free:
        (found.problems if is_known else found.warnings).append(
            f"{'' if is_known else 'up to '}{rows:,} spectra and their plots need about "
            f"{needed / 1e9:,.1f} GB more, but the disk of {config.paths.root} has "
            f"{free / 1e9:,.1f} GB free: set results_dir to another one, or select fewer"
        )


def sample_bytes(config: Config, render: str) -> int:
    """About what a spectrum takes in a shard, at least: a plot hardly gets smaller as PNG."""
    plots = config.renders[render]
    return SAMPLE_BYTES + 2 * config.grid.pixels + plots.size**2 * plots.channels // 8


def _most_rows(config: Config) -> int | None:
    """How many spectra are selected at most; None where nothing limits them."""
    most = 0
    for key, survey in config.surveys.active.items():
        limits = [survey.select.limit(label) for label in survey.select.classes or CLASSES]
        if survey.base_url == "simulated:":
            limits = [getattr(config.simulated, f"{key}_spectra", None)]
        if None in limits:
            return None
        most += sum(limit or 0 for limit in limits)
    return most


def _there(config: Config) -> int:
    """Bytes of spectra and plots that the run has already."""
    paths = config.paths
    files = [paths.spectra(shard) for shard in config.shard_names()]
    files += [paths.shard(render, s) for render in config.renders for s in config.shard_names()]
    return sum(path.stat().st_size for path in files if path.exists())
