"""A network that has learned from the simulated sky goes on with real spectra."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from specvit.catalog.build import build_catalog
from specvit.catalog.survey import select_survey
from specvit.config import Config, merge, validate
from specvit.download import download_shards
from specvit.io import sha256_file
from specvit.shards import ShardJob, make_shards, write_summary
from specvit.train.engine import settings_hash, train

SIMULATED: dict[str, Any] = {
    "run": "simulated",
    "tasks": ["class", "redshift"],
    "surveys": {name: {"base_url": "simulated:"} for name in ("sdss", "lamost")},
    "simulated": {"sdss_spectra": 60, "lamost_spectra": 40},
    "split": {"shards": {"train": 1, "val": 1, "test": 1}},
    "download": {"max_failed_fraction": 0.5},
    "render": {"size": 32, "rows": 4},
    "model": {
        "pretrained": False,
        "backbone_args": {"patch_size": 8, "depth": 1, "embed_dim": 32, "num_heads": 2},
        "redshift": {"bins": 64},
    },
    "train": {"epochs": 1, "workers": 0, "precision": "float32"},
}


def to_model(config: Config) -> Path:
    """Every stage from the survey's catalogue to a trained network."""
    for survey in config.surveys.active:
        select_survey(config, survey)
    build_catalog(config)
    download_shards(config)
    make_shards(
        ShardJob(config.paths, name, config.render[0], config.grid, config.split)
        for name in config.shard_names()
    )
    write_summary(config.paths, config.render[0], config.grid, config.split, config.shard_names())
    return train(config.variant("vit"))


def test_a_network_of_the_simulated_sky_is_fine_tuned_on_real_files(
    real_spectra: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    base = {**SIMULATED, "results_dir": str(tmp_path)}
    source = to_model(validate(base))
    folder = (real_spectra / "lamost_AstroSpectro").as_uri()
    real = {
        "run": "real",
        "tasks": ["class", "stellar_type", "redshift"],
        "surveys": {"sdss": None, "lamost": None, "files": {"base_url": folder}},
        "model": {"init": str(source)},
    }
    with caplog.at_level(logging.INFO):
        config = validate(merge(base, real))
        summary = json.loads((to_model(config) / "training.json").read_text())
    sha256 = sha256_file(source / "model.safetensors")
    assert summary["init"] == {
        "folder": str(source),
        "weights_sha256": sha256,
        "taken": ["backbone", "class", "redshift"],
        "left": {"stellar_type": "the other has none"},
    }
    assert summary["settings"]["lr"] == 1e-4
    assert summary["samples"]["train"] > 10
    assert f"starts from {source} with its backbone, class, redshift" in caplog.text
    # Another model in the same folder is another start: no earlier state fits it.
    before = settings_hash(config.variant("vit"))
    (source / "model.safetensors").write_bytes(b"another")
    assert settings_hash(config.variant("vit")) != before
