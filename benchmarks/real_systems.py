"""What `real` compares: each system learns from a fold's train and val, and answers its test."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from benchmarks.real_data import Prepared, fold_config
from specvit.baselines.run import run_baseline
from specvit.config import Config, validate
from specvit.config.baselines import registered
from specvit.errors import ConfigError, DataError, TrainingError
from specvit.evaluate import labelled
from specvit.io import read_json, read_parquet, write_json, write_parquet
from specvit.metrics.calibration import IntervalFactors, calibrated, fit_temperature, widened
from specvit.metrics.classification import ClassScores
from specvit.metrics.values import ValueScores
from specvit.models import load_model
from specvit.paths import RunPaths, shard_name
from specvit.predict.split import check_plots, predict_split
from specvit.predictions import prob_columns, task_columns
from specvit.tasks import Task, tasks_of
from specvit.train.engine import train

SCRATCH, IMAGENET, SKY, SKY_REAL = "scratch", "imagenet", "sky", "sky-real"
NETWORKS = {
    SCRATCH: "network from scratch",
    IMAGENET: "DINOv2 ViT-S/14, fine-tuned",
    SKY: "simulated sky only",
    SKY_REAL: "simulated sky, then real",
}
IMAGENET_BACKBONE = "vit_small_patch14_dinov2"
"""On the same pictures, cut into as many patches, as the network of the simulated sky."""
# The same recipe for the networks that start from weights; one that starts from none needs longer.
SCRATCH_EPOCHS = 4
"""Times the epochs of fine-tuning."""


@dataclass(frozen=True)
class Bench:
    """What every job is given."""

    prepared: Prepared
    out: Path
    config: Config
    """Settings of the fine-tuned network, whose `model.init` is the network of the simulated sky,
    if there is one."""
    weights: Path | None = None
    """Published weights for the system `imagenet`."""
    gpu: bool = False

    @property
    def sky(self) -> Path:
        """Folder of the network of the simulated sky. Raises ConfigError where none is given."""
        if self.config.model.init is None:
            raise ConfigError("sky and sky-real need --sky MODEL, trained by sky.yaml")
        return Path(self.config.model.init)

    @property
    def runs(self) -> Path:
        """The folds' runs."""
        return self.out / "runs"

    def answers_path(self, system: str, fold: str) -> Path:
        """Answers to the spectra of a fold's val and test."""
        return self.out / "answers" / f"{system}-{fold}.parquet"

    def about_path(self, system: str, fold: str) -> Path:
        """How they were made, written before them."""
        return self.answers_path(system, fold).with_suffix(".json")


def start_from_sky(config: Config, sky: Path) -> Config:
    """Settings of a network that goes on from this one, with its plots and its backbone."""
    told = read_json(sky / "model.json")
    model = {key: told["model"][key] for key in ("backbone", "backbone_args", "redshift")}
    values = json.loads(config.model_dump_json())
    values |= {"render": [told["render"]], "grid": told["grid"]}
    values["model"] |= {**model, "init": str(sky.resolve()), "weights": None, "pretrained": False}
    return validate(values)


def title_of(system: str) -> str:
    """Its name for people."""
    return NETWORKS.get(system) or registered()[system].title


def run_job(bench: Bench, system: str, fold: str, end: float = math.inf) -> None:
    """Train a system on a fold, unless it is none to be trained, and write what it answers.

    The fold's shards are there (`write_fold`). Nothing is begun after `end` (of time.monotonic).
    """
    start = time.monotonic()
    if start > end:
        raise TrainingError("not begun: time is up")
    config = settings_of(bench, system, fold)
    about: dict[str, Any] = {}
    if system in registered():
        run_baseline(config, system)
        val, test = (read_parquet(config.paths.predictions(system, s)) for s in ("val", "test"))
    else:
        if system != SKY:
            about = _figures(train(config.variant("vit"), system))
        folder = bench.sky if system == SKY else config.paths.model_dir(system)
        val, test = _predict(folder, config, gpu=bench.gpu)
    if system == SKY:
        # Not one real spectrum, for calibration neither.
        val = _simulated_val(bench.sky)
    about["seconds"] = round(time.monotonic() - start, 1)
    write_json(bench.about_path(system, fold), about)
    frames = {"val": val, "test": test}
    both = pd.concat([frame.assign(split=split) for split, frame in frames.items()])
    write_parquet(bench.answers_path(system, fold), both.reset_index(drop=True))


def settings_of(bench: Bench, system: str, fold: str) -> Config:
    """The configuration of one system's run of one fold."""
    config = fold_config(bench.config, bench.runs, fold)
    values = json.loads(config.model_dump_json())
    if system == SCRATCH:
        values["model"] |= {"init": None, "pretrained": False}
        epochs = SCRATCH_EPOCHS * config.train.epochs
        recipe = dict.fromkeys(("lr", "layer_decay", "batch_size"))
        values["train"] |= {"epochs": epochs, **recipe}
    if system == IMAGENET:
        if bench.weights is None:
            raise ConfigError("imagenet needs --weights FILE (README: DINOv2 ViT-S/14)")
        patch = config.model.backbone_args["patch_size"]
        values["model"] |= {
            **{"backbone": IMAGENET_BACKBONE, "backbone_args": {"patch_size": patch}},
            **{"init": None, "pretrained": True, "weights": str(bench.weights)},
        }
    values["train"] |= {"gpus": int(bench.gpu), "workers": 0}
    return validate(values)


def _figures(folder: Path) -> dict[str, Any]:
    told = read_json(folder / "training.json")
    return {key: told[key] for key in ("best", "epochs", "training_seconds", "device", "doubts")}


def _predict(folder: Path, config: Config, *, gpu: bool) -> list[pd.DataFrame]:
    """Answers to val and test."""
    model = load_model(folder)
    render = config.render[0]
    check_plots(model, render, config.grid)
    device = torch.device("cuda" if gpu else "cpu")
    return [
        predict_split(
            model, [config.paths.shard(render.label, shard_name(split, 0))], split, device=device
        )
        for split in ("val", "test")
    ]


def _simulated_val(sky: Path) -> pd.DataFrame:
    """What the network of the simulated sky answered to its own val."""
    return read_parquet(RunPaths(sky.parents[1]).predictions(sky.name, "val"))


def calibrate(test: pd.DataFrame, val: pd.DataFrame, tasks: list[Task]) -> pd.DataFrame:
    """The test answers with what is fitted on val applied: temperatures, factors on intervals."""
    found = test.copy()
    for task in tasks:
        known = labelled(val, task)
        if task.kind == "classification":
            temperature = fit_temperature(ClassScores.of(known, task))
            softened = calibrated(ClassScores.of(test, task), temperature).prob
            found[prob_columns(task)] = softened.astype(np.float32)
        else:
            scores = ValueScores.of(test, task)
            wide = widened(scores, IntervalFactors.fit(ValueScores.of(known, task)).of(scores))
            found[f"{task.name}_lo"], found[f"{task.name}_hi"] = wide.low, wide.high
    return found


def gather(bench: Bench, system: str, folds: Sequence[str]) -> pd.DataFrame | None:
    """A system's calibrated answers to the test of these folds; None where a fold is missing.

    Each fold is calibrated on its own val. A task that is not answered has nan or None.
    """
    paths = [bench.answers_path(system, fold) for fold in folds]
    if not all(path.exists() for path in paths):
        return None
    tasks = tasks_of(bench.config.tasks)
    frames = [_calibrated(read_parquet(path), tasks) for path in paths]
    frame = pd.concat(frames).sort_values("spectrum_id", ignore_index=True)
    rows = bench.prepared.rows
    tested = np.any([rows[f"fold_{fold}"] == "test" for fold in folds], axis=0)
    rows = rows[tested].reset_index(drop=True)
    if not frame["spectrum_id"].equals(rows["spectrum_id"]):
        raise DataError(f"{paths[0].parent} is of other spectra than {bench.prepared.folder}")
    for task in tasks:
        # What a baseline does not answer, it does not know the truth of either.
        frame[f"{task.name}_true"] = rows[task.column]
    return frame


def _calibrated(answers: pd.DataFrame, tasks: list[Task]) -> pd.DataFrame:
    """The answers to test, calibrated on those to val; all columns of all tasks are there."""
    val, test = (
        answers[answers["split"] == split].drop(columns="split").reset_index(drop=True)
        for split in ("val", "test")
    )
    known = [task for task in tasks if f"{task.name}_pred" in test]
    found = calibrate(test, val, known)
    for task in tasks:
        if task not in known:
            columns = dict.fromkeys(task_columns(task), np.nan)
            found = found.assign(**columns | {f"{task.name}_pred": None})
    return found
