"""The status of a run is what its files say."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

from specvit.commands.status import command
from specvit.config import validate
from specvit.errors import DataError
from specvit.io import read_json, write_json, write_parquet
from specvit.paths import RunPaths
from specvit.status import Stage, failed_jobs, read_status, show_status, write_expected

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
    finish(run)
    assert CliRunner().invoke(command, [str(run.root)]).exit_code == 0


def finish(run: RunPaths) -> None:
    """Make every file of the run, each later than those it is made from."""
    expected = read_json(run.root / "run.json")
    files = [run.survey_table("sdss"), run.catalog, *(run.ledger(shard) for shard in SHARDS)]
    files += [*(run.shard_stats("line-64", shard) for shard in SHARDS), run.gallery]
    for model in ("vit", "svm"):
        files += [run.model_dir(model) / "training.json"]
        files += [run.predictions(model, split) for split in ("val", "test")]
    files += [run.metrics, *(run.figures / name for name in expected["figures"]), run.report]
    for number, path in enumerate(files):
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            path.write_text("{}")
        os.utime(path, (10_000 + number, 10_000 + number))


def stages(run: RunPaths) -> dict[str, Stage]:
    return {stage.name: stage for stage in read_status(run.root).stages}


def test_every_stage_has_a_row(run: RunPaths) -> None:
    assert list(stages(run)) == [
        *("survey", "catalog", "download", "shards line-64", "gallery", "train vit"),
        *("baseline svm", "predictions", "evaluate", "figures", "report"),
    ]
    assert stages(run)["predictions"].planned == 4


def test_what_is_older_than_what_it_is_made_from_is_out_of_date(run: RunPaths) -> None:
    write_parquet(run.ledger(SHARDS[3]), pd.DataFrame({"status": ["ok"]}))
    finish(run)
    assert not any(stage.outdated for stage in stages(run).values())
    # One shard is drawn again: all that was made of the shards is of yesterday.
    os.utime(run.shard_stats("line-64", SHARDS[0]), (20_000, 20_000))
    outdated = {name: stage.outdated for name, stage in stages(run).items() if stage.outdated}
    assert outdated == {"gallery": 1, "train vit": 1, "baseline svm": 1, "predictions": 2}
    # A training has begun: its summary is gone, and the predictions are of an earlier network.
    (run.model_dir("vit") / "training.json").unlink()
    assert stages(run)["predictions"].outdated == 4
    lines: list[str] = []
    show_status(read_status(run.root), lines.append)
    assert any(line.split()[0] == "predictions" and "4 out of date" in line for line in lines)


def test_failed_jobs_are_named_with_the_reason(run: RunPaths) -> None:
    logs, benchmarks = run.root / "logs", run.root / "benchmarks"
    said = {
        "download/train-000000": "fetching\nspecvit: 40 of 50 spectra failed\n",
        "shard/line-64/train-000000": "ValueError: what nobody expected\n",
        "train/vit": "12:00:00 INFO r/vit: epoch 1/6: 40 pictures/s\n",
        "catalog": "specvit: no rows\n",
        "evaluate": "specvit: of the run before\n",
    }
    for number, (name, text) in enumerate(said.items()):
        for folder, ending, content in ((logs, "log", text), (benchmarks, "tsv", "s\n")):
            path = folder / f"{name}.{ending}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        os.utime(logs / f"{name}.log", (1000 - number, 1000 - number))
        os.utime(benchmarks / f"{name}.tsv", (0, 0))
    os.utime(benchmarks / "catalog.tsv", (2000, 2000))  # ended well in the end
    (benchmarks / "download" / "train-000000.tsv").unlink()
    failed = read_status(run.root).failed
    assert failed == {
        "download/train-000000": "specvit: 40 of 50 spectra failed",
        "evaluate": "specvit: of the run before",
        "shard/line-64/train-000000": "ValueError: what nobody expected",
    }
    # When all has ended, what was under way has failed too, and the run before is another story.
    assert set(failed_jobs(run.root, since=997)) == {*failed, "train/vit"} - {"evaluate"}


def test_a_run_is_known_by_its_name(
    run: RunPaths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results").symlink_to(tmp_path)
    done = CliRunner().invoke(command, ["r"])
    assert done.exit_code == 10
    assert "not finished" in done.output
    monkeypatch.chdir(tmp_path.parent)
    with pytest.raises(DataError, match="neither the folder nor the name of a run"):
        CliRunner().invoke(command, ["r"], catch_exceptions=False)


STEP = {"event": "step", "step": 30, "seconds": 22.0, "loss": 0.51234, "pictures_per_s": 215.0}


def test_a_training_shows_how_far_it_is(run: RunPaths) -> None:
    log = run.model_dir("vit") / "checkpoints" / "log.jsonl"
    log.parent.mkdir(parents=True)
    start = {"event": "start", "step": 10, "seconds": 2.0, "epochs": 4, "steps": 100}
    log.write_text(f'{json.dumps(start)}\n{json.dumps(STEP)}\n{{"event": "st')
    note = stages(run)["train vit"].note
    # One second a step; the line that is being written is passed over.
    assert note == "epoch 2/4, step 30/100, 215 pictures/s, 1 min 10 s left, loss 0.5123"
    log.write_text(f"{json.dumps(start)}\n{json.dumps({**STEP, 'event': 'finished'})}\n")
    assert stages(run)["train vit"].note == "the model there is of an earlier training"
    (run.model_dir("vit") / "training.json").write_text("{}")
    assert "left" not in stages(run)["train vit"].note


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not the folder of a run"):
        read_status(tmp_path)


def test_a_run_of_an_earlier_version_is_refused_in_a_sentence(run: RunPaths) -> None:
    write_json(run.root / "run.json", {"networks": ["vit"]})
    with pytest.raises(DataError, match="earlier version"):
        read_status(run.root)


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
