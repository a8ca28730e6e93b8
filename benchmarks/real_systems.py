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
import yaml

from benchmarks.real_data import Prepared, fold_config
from specvit.baselines.run import run_baseline
from specvit.config import Config, validate
from specvit.config.baselines import registered
from specvit.config.data import Render
from specvit.config.learning import Train
from specvit.errors import ConfigError, DataError, TrainingError
from specvit.io import read_json, read_parquet, write_json, write_parquet
from specvit.metrics.answers import scores_of
from specvit.metrics.calibration import IntervalFactors, fit_temperature
from specvit.metrics.classification import ClassScores
from specvit.models import load_model
from specvit.paths import RunPaths, shard_name
from specvit.predict.calibrated import Calibration
from specvit.predict.split import check_plots, predict_split
from specvit.predictions import task_columns
from specvit.tasks import Task
from specvit.train.engine import train

SCRATCH, IMAGENET, PUBLISHED = "scratch", "imagenet", "published"
SKY, SKY_REAL = "sky", "sky-real"
NETWORKS = {
    SCRATCH: "network from scratch",
    IMAGENET: "DINOv2 ViT-S/14, fine-tuned",
    PUBLISHED: "DINOv2 ViT-S/14, the paper's recipe",
    SKY: "simulated sky only",
    SKY_REAL: "simulated sky, then real",
}
IMAGENET_BACKBONE = "vit_small_patch14_dinov2"
"""On the same pictures, cut into as many patches, as the network of the simulated sky."""
PRESET = Path(__file__).parents[1] / "workflow/configs/published.yaml"
"""Whose first experiment is the paper's recipe."""
# The same recipe for the networks that start from weights; one that starts from none needs longer.
SCRATCH_EPOCHS = 2
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
    """Published weights for the systems `imagenet` and `published`."""
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


def answers_path(out: Path, system: str, fold: str) -> Path:
    """Answers of a system to the spectra of a fold's val and test."""
    return out / "answers" / f"{system}-{fold}.parquet"


def line_plots(config: Config) -> Render:
    """The paper's picture, one line, at the size of the others."""
    return Render(name=PUBLISHED, mode="line", size=config.render[0].size)


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
    path = answers_path(bench.out, system, fold)
    write_json(path.with_suffix(".json"), about)
    frames = {"val": val, "test": test}
    both = pd.concat([frame.assign(split=split) for split, frame in frames.items()])
    write_parquet(path, both.reset_index(drop=True))


def settings_of(bench: Bench, system: str, fold: str) -> Config:
    """The configuration of one system's run of one fold."""
    config = fold_config(bench.config, bench.runs, fold)
    values = json.loads(config.model_dump_json())
    if system in (SCRATCH, IMAGENET):
        # By the project's recipe, whatever suits the network that goes on from the simulated sky.
        values["train"] |= dict.fromkeys(("lr", "layer_decay", "batch_size"))
    if system == SCRATCH:
        values["model"] |= {"init": None, "pretrained": False}
        values["train"]["epochs"] *= SCRATCH_EPOCHS
    if system in (IMAGENET, PUBLISHED):
        if bench.weights is None:
            raise ConfigError(f"{system} needs --weights FILE (README: DINOv2 ViT-S/14)")
        patch = config.model.backbone_args["patch_size"]
        values["model"] |= {
            **{"backbone": IMAGENET_BACKBONE, "backbone_args": {"patch_size": patch}},
            **{"init": None, "pretrained": True, "weights": str(bench.weights)},
        }
    if system == PUBLISHED:
        recipe = yaml.safe_load(PRESET.read_text())["experiments"][0]
        values["render"] = [line_plots(config).model_dump(mode="json")]
        values["model"] |= {"drop_path": 0.0, **recipe["model"]}
        # Nothing of the other networks' recipe: no moving average, no balance of the classes.
        values["train"] = Train(seed=config.train.seed).model_dump(mode="json") | recipe["train"]
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


def fit_calibration(val: pd.DataFrame, tasks: list[Task]) -> Calibration:
    """What `specvit evaluate` fits on val: temperatures, and factors on intervals."""
    temperatures, factors = {}, {}
    for task in tasks:
        scores = scores_of(val, task)
        if isinstance(scores, ClassScores):
            temperatures[task.name] = fit_temperature(scores)
        else:
            factors[task.name] = IntervalFactors.fit(scores)
    return Calibration(temperatures, factors)


def answers_of(out: Path, system: str, fold: str, split: str) -> pd.DataFrame:
    """What a system answered to a fold's val or test, as it came out of it."""
    answers = read_parquet(answers_path(out, system, fold))
    return answers[answers["split"] == split].drop(columns="split").reset_index(drop=True)


def gather(
    out: Path, prepared: Prepared, system: str, folds: Sequence[str], tasks: list[Task]
) -> pd.DataFrame | None:
    """A system's calibrated answers to the test of these folds; None where a fold is missing.

    Each fold is calibrated on its own val. A task that is not answered has nan or None.
    """
    if not all(answers_path(out, system, fold).exists() for fold in folds):
        return None
    frames = [_calibrated(out, system, fold, tasks) for fold in folds]
    frame = pd.concat(frames).sort_values("spectrum_id", ignore_index=True)
    rows = prepared.rows
    tested = np.any([rows[f"fold_{fold}"] == "test" for fold in folds], axis=0)
    rows = rows[tested].reset_index(drop=True)
    if not frame["spectrum_id"].equals(rows["spectrum_id"]):
        raise DataError(f"the answers in {out} are of other spectra than {prepared.folder}")
    for task in tasks:
        # What a baseline does not answer, it does not know the truth of either.
        frame[f"{task.name}_true"] = rows[task.column]
    return frame.assign(path=rows["path"])


def _calibrated(out: Path, system: str, fold: str, tasks: list[Task]) -> pd.DataFrame:
    """The answers to test, calibrated on those to val; all columns of all tasks are there."""
    val, test = (answers_of(out, system, fold, split) for split in ("val", "test"))
    known = [task for task in tasks if f"{task.name}_pred" in test]
    found = fit_calibration(val, known).applied(test, known)
    for task in tasks:
        if task not in known:
            columns = dict.fromkeys(task_columns(task), np.nan)
            found = found.assign(**columns | {f"{task.name}_pred": None})
    return found
