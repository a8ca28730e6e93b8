"""`specvit shards`: one job a shard and a summary, or everything at once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from shard_runs import small_run
from specvit.cli import main
from specvit.io import read_json


@pytest.fixture
def config(tmp_path: Path) -> str:
    small_run(tmp_path / "mine")
    settings = {
        "run": "mine",
        "results_dir": str(tmp_path),
        "surveys": {"files": {"base_url": "file:///data"}},
        "split": {"shards": {"train": 1, "val": 1, "test": 1}},
        "grid": {"pixels": 256},
        "render": [{"size": 32, "rows": 4}, {"mode": "line", "size": 16}],
        "experiments": [{"name": "vit-map", "render": {"mode": "map", "rows": 8}}],
        "tasks": ["class"],
    }
    return json.dumps(settings)


def test_all_sets_of_plots_at_once(tmp_path: Path, config: str) -> None:
    main(["shards", "--config", config, "--processes", "2"])
    found = sorted(path.parent.name for path in tmp_path.glob("mine/shards/*/shards.json"))
    assert found == ["line-16", "map-32", "stacked-32"]


def test_a_job_for_each_shard_then_the_summary(tmp_path: Path, config: str) -> None:
    folder = tmp_path / "mine" / "shards" / "line-16"
    for shard in ("train-000000", "val-000000", "test-000000"):
        main(["shards", "--config", config, "--render", "line-16", "--shard", shard])
        assert not (folder / "shards.json").exists()
    main(["shards", "--config", config, "--render", "line-16", "--summary"])
    assert read_json(folder / "shards.json")["counts"]["spectra"] == 9
    assert [path.name for path in folder.parent.iterdir()] == ["line-16"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--shard", "train-000007"], "the shards of this run are train-000000 to test-000000"),
        (["--render", "none"], "--render none is not one of stacked-32, line-16, map-32"),
        (["--shard", "val-000000", "--summary"], "exclude each other"),
        (["--summary"], "train-000000.stats.json does not exist"),
    ],
)
def test_mistakes_end_in_a_sentence(
    config: str, arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["shards", "--config", config, *arguments])
    assert stop.value.code != 0
    assert sentence in capsys.readouterr().err
