"""What can be known before anything runs is told before anything runs."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pytest

from specvit.config import Config, merge, validate
from specvit.io import write_json, write_parquet
from specvit.preflight import SPECTRUM_BYTES, look, sample_bytes
from specvit.shards.sample import Drawing
from specvit.surveys.read import read_spectrum

SIMULATED = {"base_url": "simulated:"}


def config_of(folder: Path, over: dict[str, Any] | None = None) -> Config:
    settings = {
        "results_dir": str(folder / "results"),
        "surveys": {"sdss": SIMULATED},
        "model": {"pretrained": False},
    }
    return validate(merge(settings, over or {}))


class Usage(NamedTuple):
    """What shutil.disk_usage gives."""

    total: int
    used: int
    free: int


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch):
    def has(free: int) -> None:
        monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(free, 0, free))

    return has


def test_a_run_that_lacks_nothing_is_told_nothing(tmp_path: Path) -> None:
    found = look(config_of(tmp_path), here=True)
    assert found.problems == found.warnings == []


@pytest.mark.parametrize(
    ("over", "part", "said"),
    [
        ({"surveys": {"sdss": {"base_url": "file:///not/here"}}}, "fetch", "no folder /not/here"),
        ({"surveys": {"sdss": {"select": {"ids": "ids.txt"}}}}, "fetch", "no file ids.txt"),
        (
            {"surveys": {"sdss": None, "files": {"base_url": "file:///tmp", "labels": "$A/l.csv"}}},
            "fetch",
            "surveys.files.labels: there is no file $A/l.csv",
        ),
        (
            {"surveys": {"sdss": None, "lamost": {"catalogue": "own.csv"}}},
            "fetch",
            "surveys.lamost.catalogue: there is no file own.csv",
        ),
        ({"model": {"pretrained": True, "weights": "w.pth"}}, "train", "no file w.pth"),
        (
            {
                "tasks": ["stellar_type"],
                "surveys": {"sdss": {"select": {"classes": ["GALAXY"]}}},
            },
            "train",
            "no survey's select.classes has STAR",
        ),
    ],
)
def test_what_is_missing_is_told_where_it_is_needed(
    tmp_path: Path, over: dict[str, Any], part: str, said: str
) -> None:
    config = config_of(tmp_path, over)
    (problem,) = look(config).problems
    assert said in problem
    assert look(config, **{part: False}).problems == []


@pytest.mark.parametrize(
    ("told", "said"),
    [({"format": 2}, "has format 2, this version"), ({"kernel": "rbf"}, "does not describe a net")],
)
def test_a_network_to_start_from_that_cannot_be_read_is_told(
    tmp_path: Path, told: dict[str, Any], said: str
) -> None:
    """Not after the spectra are fetched and drawn."""
    write_json(tmp_path / "model" / "model.json", told)
    over = {"model": {"init": str(tmp_path / "model")}}
    (problem,) = look(config_of(tmp_path, over)).problems
    assert problem.startswith(f"model.init: {tmp_path}/model/model.json {said}")


def test_plots_or_a_backbone_that_it_cannot_start_from_are_told(tmp_path: Path) -> None:
    """As training says it, and not after the spectra are fetched and drawn."""
    own = {"backbone": "vit_tiny_patch16_224", "backbone_args": {"patch_size": 16, "depth": 6}}
    model = {"model": {"init": "sky", **own}}
    plots = {"mode": "stacked", "size": 128, "rows": 8}
    assert look(config_of(tmp_path, model | {"render": plots})).problems == []
    other = {"name": "deep", "model": {"backbone_args": {"patch_size": 16, "depth": 8}}}
    over = model | {"render": plots | {"rows": 4}, "experiments": [other]}
    first, second = look(config_of(tmp_path, over)).problems
    assert first.startswith("model.init = 'sky': this network can only start from it")
    assert first.endswith("; set render.rows: 8 (not 4)")
    assert "model.backbone_args: {'depth': 6, 'patch_size': 16} (not" in second


def test_gpus_are_missed_where_the_jobs_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    config = config_of(tmp_path, {"train": {"gpus": 2, "batch_size": 64}})
    assert "train.gpus = 2, but torch finds 1 GPUs" in look(config, here=True).problems[0]
    assert look(config).problems == []
    assert "train.gpus = 2" in look(config).warnings[0]
    assert look(config, here=False).warnings == look(config, here=False).problems == []
    assert look(config, here=True, train=False).problems == []


def test_a_class_without_training_rows_is_told(tmp_path: Path) -> None:
    over = {
        "surveys": {"lamost": {**SIMULATED, "select": {"classes": ["STAR"]}}},
        "experiments": [{"name": "stars", "data": {"train_surveys": ["lamost"]}}],
    }
    config = config_of(tmp_path, over)
    (warning,) = look(config).warnings
    assert warning.startswith("stars: no row of class GALAXY or QSO is selected")
    # The catalogue knows better: the only quasar is a test spectrum.
    rows = [("sdss", "STAR", "train"), ("sdss", "GALAXY", "train"), ("sdss", "QSO", "test")]
    write_parquet(config.paths.catalog, pd.DataFrame(rows, columns=["survey", "class", "split"]))
    warnings = look(config).warnings
    assert [warning.split(" is in ")[0] for warning in warnings] == [
        "vit: no row of class QSO",
        "stars: no row of class STAR or GALAXY or QSO",
    ]


def test_a_disk_too_small_for_the_plan_is_told(tmp_path: Path, disk) -> None:
    config = config_of(tmp_path, {"simulated": {"sdss_spectra": 1000}})
    each = SPECTRUM_BYTES + sample_bytes(config, "stacked-224")
    disk(1000 * each)
    assert look(config).warnings == look(config).problems == []
    disk(1000 * each - 1)
    assert "up to 1,000 spectra" in look(config).warnings[0]
    # Once there is a catalogue, it is certain; what is there already needs no further space.
    rows = pd.DataFrame({"survey": "sdss", "class": ["STAR", "GALAXY", "QSO"], "split": "train"})
    write_parquet(config.paths.catalog, rows)
    disk(3 * each - 1)
    assert "3 spectra and their plots need" in look(config).problems[0]
    shard = config.paths.spectra("train-000000")
    shard.parent.mkdir()
    shard.write_bytes(b"spectrum")
    assert look(config).problems == []


def test_a_folder_that_cannot_be_written_to_is_told(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("a file")
    assert "it is no folder" in look(config_of(tmp_path)).problems[0]


@pytest.mark.parametrize("mode", ["stacked", "line", "map"])
def test_samples_are_about_as_large_as_expected(
    tmp_path: Path, real_spectra: Path, mode: str
) -> None:
    config = config_of(tmp_path, {"render": {"mode": mode}})
    drawing = Drawing(config.render[0], config.grid)
    spectra = sorted(real_spectra.rglob("*.fits*"))[:20]
    sizes = []
    for path in spectra:
        members = drawing.sample(read_spectrum(path.read_bytes()), {"z": 0.1}).members()
        sizes.append(3 * 512 + sum(len(data) for data in members.values()))
    expected = sample_bytes(config, config.render[0].label)
    assert 0.4 * expected < sum(sizes) / len(sizes) < 2.5 * expected
