"""A baseline that another package brings: from its entry point to predictions and figures."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from made_flux import configuration, write_run

from specvit.config.baselines import registered

TOY = """
from specvit.config.base import Section
from specvit.config.baselines import Registration


class Settings(Section):
    weight: float = 1.0


FILES = ("model.safetensors", "model.json")
BASELINE = Registration(
    "frequent", "Most frequent", "#123456", FILES, Settings, "toy_model:Frequent"
)
"""
MODEL = """
import numpy as np

from specvit.baselines.distributions import LEVELS, MIDDLE, Classes, Numbers, to_target
from specvit.baselines.rows import labels_of
from specvit.baselines.store import load_arrays, save_arrays
from specvit.tasks import TASKS


class Frequent:
    def __init__(self, shares, quantiles):
        self.shares, self.quantiles = shares, quantiles

    @classmethod
    def fit(cls, train, val, setup):
        task = TASKS["class"]
        shares = [np.mean(labels_of(train.table, task) == label) for label in task.labels]
        z = to_target(TASKS["redshift"], labels_of(train.table, TASKS["redshift"]))
        return cls(np.array(shares), np.quantile(z, LEVELS)), {
            "tasks": ["class", "redshift"],
            "weight": setup.settings.weight,
        }

    def predict(self, flux):
        quantiles = np.tile(self.quantiles, (len(flux), 1))
        return {
            "class": Classes(np.tile(self.shares, (len(flux), 1))),
            "redshift": Numbers(quantiles[:, MIDDLE], quantiles),
        }

    def save(self, folder):
        save_arrays(folder, {"shares": self.shares, "quantiles": self.quantiles}, {})

    @classmethod
    def load(cls, folder):
        return cls(**load_arrays(folder)[0])
"""
LOOK = """
from specvit.baselines import load_baseline
from specvit.config import validate
from specvit.config.baselines import registered
from specvit.report.names import model_name
from specvit.report.style import model_look
import json, pathlib, sys

config = validate(json.loads(sys.argv[1]))
model = load_baseline(config.paths.model_dir("frequent"), "frequent")
print(model_name("frequent"), model_look("frequent", ["frequent"])["color"], model.shares.sum())
"""


def package(folder: Path, name: str = "frequent") -> dict[str, str]:
    """Lay down an installed package with the baseline; the environment that finds it."""
    (folder / "toy.py").write_text(TOY)
    (folder / "toy_model.py").write_text(MODEL)
    about = folder / "toy-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: toy\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(f"[specvit.baselines]\n{name} = toy:BASELINE\n")
    return {**os.environ, "PYTHONPATH": str(folder)}


def run(environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return package(tmp_path_factory.mktemp("site"))


def test_it_is_configured_trained_saved_named_and_loaded(installed, tmp_path):
    write_run(tmp_path)
    baselines = {"models": ["frequent"], "frequent": {"weight": 2.0}}
    settings = json.dumps(configuration(tmp_path, baselines=baselines))
    done = run(installed, "-m", "specvit", "baselines", "--config", settings)
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "made" / "models" / "frequent"
    told = json.loads((folder / "training.json").read_text())
    assert told["weight"] == 2.0
    assert set(told["files"]) == {"model.safetensors", "model.json"}
    frame = pd.read_parquet(tmp_path / "made" / "predictions" / "frequent.parquet")
    assert len(frame) == 45
    assert frame["redshift_pred"].between(-0.01, 2).all()
    done = run(installed, "-c", LOOK, settings)
    assert done.stdout.split() == ["Most", "frequent", "#123456", "1.0"], done.stderr


def test_its_keys_are_checked_like_any_other(installed, tmp_path):
    baselines = {"models": ["frequent"], "frequent": {"wait": 2.0}}
    settings = json.dumps(configuration(tmp_path, baselines=baselines))
    done = run(installed, "-m", "specvit", "check", "--config", settings)
    assert done.returncode == 2
    assert "baselines.frequent.wait = 2.0: unknown key; did you mean weight?" in done.stderr


def test_a_name_that_is_taken_is_refused_with_a_sentence(tmp_path):
    done = run(package(tmp_path, "svm"), "-m", "specvit", "check", "--config", "{}")
    assert done.returncode != 0
    assert (
        "baseline 'svm' of the package toy: there is another baseline of this name" in done.stderr
    )


def test_built_in_names_and_colours_are_distinct():
    assert len({one.title for one in registered().values()}) == len(registered())
    assert len({one.colour for one in registered().values()}) == len(registered())
