"""A network with weights at random, saved as a model's folder: what predict needs, in a second."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from specvit.config.data import Grid, Render
from specvit.config.learning import Model, RedshiftBins
from specvit.io import read_json, write_json
from specvit.models import LabelStats, build_model, save_model
from specvit.tasks import tasks_of

TASKS = tasks_of(["class", "stellar_type", "redshift", "teff"])
RENDER = Render(size=32, rows=4)
STATS = LabelStats(
    counts={"class": [5, 3, 2], "stellar_type": [1] * 7},
    mean={"redshift": 0.5, "teff": 5000.0},
    std={"redshift": 0.5, "teff": 800.0},
)
CALIBRATION = {
    "format": 2,
    "model": "vit",
    "tasks": {
        "class": {"temperature": 0.5, "val": 100},
        "redshift": {
            "interval_factor": 2.0,
            "by_class": {"STAR": 3.0, "GALAXY": 0.25, "QSO": 0.5},
            "val": 100,
        },
        "teff": {"interval_factor": None, "by_class": {}, "val": 0},
    },
}


def calibrate(folder: Path, calibration: dict[str, Any]) -> None:
    """Put a calibration beside a model that it was fitted for."""
    weights = read_json(folder / "model.json")["weights_sha256"]
    write_json(folder / "calibration.json", {**calibration, "weights_sha256": weights})


def save_small(folder: Path, seed: int = 0) -> Path:
    """Save a small network; the folder."""
    torch.manual_seed(seed)
    settings = Model(
        backbone="test_vit",
        backbone_args={"depth": 1},
        pretrained=False,
        redshift=RedshiftBins(bins=64),
    )
    save_model(folder, build_model(settings, TASKS, RENDER, STATS, Grid()))
    return folder
