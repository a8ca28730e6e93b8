"""The network that specvit brings: it is whole, small, and knows a sky that it has never seen."""

from __future__ import annotations

from pathlib import Path

import pytest

import specvit
from specvit.catalog.build import build_catalog
from specvit.catalog.survey import select_survey
from specvit.config import validate
from specvit.download import download_shard
from specvit.find_model import RELEASED, model_folder
from specvit.io import read_json, read_parquet

WEIGHTS_BYTES, ALL_BYTES = 6e6, 7.2e6


@pytest.fixture(scope="module")
def sky() -> specvit.Model:
    return specvit.load()


def test_the_released_network_is_whole_and_small() -> None:
    folder = model_folder()
    assert folder == RELEASED / "sky" == model_folder("sky")
    names = {path.name for path in folder.iterdir()}
    assert names == {
        *("model.json", "model.safetensors", "calibration.json", "novelty.safetensors"),
        "README.md",
    }
    assert (folder / "model.safetensors").stat().st_size < WEIGHTS_BYTES
    assert sum(path.stat().st_size for path in folder.iterdir()) < ALL_BYTES
    told = read_json(folder / "model.json")
    assert told["tasks"] == ["class", "redshift", "stellar_type"]
    assert told["training"]["init"]["folder"] == "vit"
    assert "/" not in str(told["model"])


def test_it_knows_simulated_spectra_that_it_has_never_seen(
    sky: specvit.Model, tmp_path: Path
) -> None:
    config = validate(
        {
            "results_dir": str(tmp_path),
            "surveys": {name: {"base_url": "simulated:"} for name in ("sdss", "lamost")},
            "split": {"shards": dict.fromkeys(("train", "val", "test"), 1)},
            "simulated": {"seed": 9, "sdss_spectra": 120, "lamost_spectra": 80},
        }
    )
    for survey in config.surveys.active:
        select_survey(config, survey)
    build_catalog(config)
    for shard in config.shard_names():
        download_shard(config, shard)
    answers = sky.predict(sorted(tmp_path.rglob("spectra/*.tar")))
    truth = read_parquet(config.paths.catalog)
    named = answers["path"].map(lambda path: Path(path).name.split(".")[0])
    answered = answers.assign(spectrum_id=named)[answers["reason"].isna()]
    both = truth.merge(answered, on="spectrum_id", suffixes=("_true", ""))
    assert len(both) > 100
    assert (both["class"] == both["class_true"]).mean() > 0.9
    gap = (both["z"] - both["z_true"]).abs() / (1 + both["z_true"])
    assert (gap < 0.01).mean() > 0.85
    assert both["flags"].fillna("").str.contains("unlike").mean() < 0.2
