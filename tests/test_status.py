"""The status of a run is what its files say."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

from specvit.commands.status import command
from specvit.config import validate
from specvit.errors import DataError
from specvit.io import write_parquet
from specvit.paths import RunPaths
from specvit.status import read_status, show_status, write_expected

SHARDS = ["train-000000", "train-000001", "val-000000", "test-000000"]


@pytest.fixture
def run(tmp_path: Path) -> RunPaths:
    paths = RunPaths(tmp_path / "r")
    settings = {
        "run": "r",
        "results_dir": str(tmp_path),
        "surveys": {"sdss": {}, "lamost": None},
        "split": {"shards": {"train": 2, "val": 1, "test": 1}},
        "render": {"mode": "line", "size": 64},
        "baselines": {"models": ["svm"]},
    }
    write_expected(validate(settings))
    write_parquet(paths.survey_table("sdss"), pd.DataFrame({"a": [1]}))
    write_parquet(paths.catalog, pd.DataFrame({"a": range(1234)}))
    for i, shard in enumerate(SHARDS[:3]):
        write_parquet(paths.ledger(shard), pd.DataFrame({"status": ["ok", "ok", "missing"]}))
        os.utime(paths.ledger(shard), (1000 + 60 * i, 1000 + 60 * i))
    return paths


def test_counts_rates_and_failures(run: RunPaths) -> None:
    status = read_status(run.root)
    download = next(stage for stage in status.stages if stage.name == "download")
    assert (download.done, download.planned) == (3, 4)
    assert download.per_hour == pytest.approx(60)
    assert download.left_s == pytest.approx(60)
    assert status.failures == {"missing": 3}
    assert not status.finished
    lines: list[str] = []
    show_status(status, lines.append, now=1120 + 3600)
    text = "\n".join(lines)
    assert "1,234 spectra" in text
    assert "no new file for 1 h 0 min" in text
    assert "6 ok, 3 missing" in text


def test_exit_code_says_whether_it_is_done(run: RunPaths) -> None:
    assert CliRunner().invoke(command, [str(run.root)]).exit_code == 10
    write_parquet(run.ledger(SHARDS[3]), pd.DataFrame({"status": ["ok"]}))
    files = [run.shard_stats("line-64", shard) for shard in SHARDS]
    files += [run.predictions("vit"), run.predictions("svm"), run.metrics, run.report]
    for path in [*files, run.model_dir("vit") / "training.json"]:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
    assert CliRunner().invoke(command, [str(run.root)]).exit_code == 0


def test_half_a_line_of_the_training_log_is_passed_over(run: RunPaths) -> None:
    log = run.model_dir("vit") / "log.jsonl"
    log.parent.mkdir(parents=True)
    log.write_text('{"epoch": 3, "step": 40, "loss": 0.51234}\n{"epoch": 4, "st')
    training = next(s for s in read_status(run.root).stages if s.name == "train vit")
    assert training.note == "epoch 3, step 40, loss 0.5123"


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not the folder of a run"):
        read_status(tmp_path)


def test_what_earlier_settings_made_is_told(run: RunPaths) -> None:
    assert read_status(run.root).leftovers == []
    stray = [
        run.spectra("train-000007"),
        run.shard("line-64", "train-000007"),
        run.shard("line-128", "train-000000").parent,
        run.predictions("vit-old", "val"),
        run.survey_table("lamost"),
    ]
    for path in [*stray[:2], *stray[3:], run.model_dir("svm") / "model.skops"]:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    stray[2].mkdir()
    status = read_status(run.root)
    assert sorted(status.leftovers) == sorted(str(path.relative_to(run.root)) for path in stray)
    lines: list[str] = []
    show_status(status, lines.append)
    assert "not of this run's settings any more, and not read: 5 (" in lines[-1]
