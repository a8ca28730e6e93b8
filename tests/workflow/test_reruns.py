"""A change reruns what depends on it and nothing else; a killed run ends in the same bytes."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from specvit.locks import remove_stale_lock
from tiny_workflow import data_hashes

# One group: the finished run that they share is made once, by one test process.
pytestmark = [pytest.mark.workflow, pytest.mark.xdist_group("finished")]

DATA_RULES = {"survey", "catalog", "download"}
MODEL_RULES = {"train_model", "predict", "baseline_skops"}


def test_touching_nothing_reruns_nothing(finished) -> None:
    assert finished.planned() == {}


@pytest.mark.parametrize(
    "over",
    [
        {"download": {"connections": 4, "attempts": 2, "cache_dir": "elsewhere"}},
        {"train": {"workers": 2, "gpus": 1, "checkpoint_minutes": 1.0}},
    ],
)
def test_what_changes_no_result_reruns_nothing(finished, over) -> None:
    assert finished.planned(over=over) == {}


def test_render_reruns_plots_and_what_follows(finished) -> None:
    planned = set(finished.planned(over={"render": {"line_width": 2.0}}))
    assert {"shard", "train_model", "baseline_skops", "report"} <= planned
    assert not DATA_RULES & planned


def test_the_reports_title_reruns_the_report_alone(finished) -> None:
    assert set(finished.planned(over={"report": {"title": "another"}})) == {"report", "all"}


def test_an_added_baseline_reruns_no_other_model(finished) -> None:
    models = ["svm", "random_forest", "knn"]
    planned = finished.planned(over={"baselines": {"models": models}})
    assert planned["baseline_skops"] == planned["evaluate"] == 1
    assert not (DATA_RULES | {"shard", "train_model", "predict"}) & set(planned)


def test_more_seeds_train_only_those_that_are_new(finished) -> None:
    planned = finished.planned(over={"train": {"seeds": 3}})
    assert planned["train_model"] == planned["predict"] == 2
    assert not (DATA_RULES | {"shard", "baseline_skops"}) & set(planned)


def test_one_surveys_selection_leaves_the_other_alone(finished) -> None:
    planned = finished.planned(over={"surveys": {"lamost": {"select": {"min_snr": 5.0}}}})
    assert planned["survey"] == 1
    done = finished.dry_run(over={"surveys": {"lamost": {"select": {"min_snr": 5.0}}}}).stdout
    assert "lamost.parquet" in done
    assert "output: results/tiny/surveys/sdss.parquet" not in done


def test_training_settings_leave_data_and_baselines_alone(finished) -> None:
    planned = set(finished.planned(over={"train": {"epochs": 2, "seed": 2}}))
    assert {"train_model", "predict", "evaluate", "report"} <= planned
    assert not (DATA_RULES | {"shard", "baseline_skops"}) & planned


def test_an_added_experiment_reruns_no_other_model(finished) -> None:
    planned = finished.planned(over={"experiments": [{"name": "long", "train": {"epochs": 2}}]})
    assert planned["train_model"] == planned["predict"] == 1
    assert not (DATA_RULES | {"shard", "baseline_skops"}) & set(planned)


def kill_when(workflow, path: Path, timeout_s: float = 3600) -> None:
    """Start the workflow and kill it with -9, with all its jobs, once the path exists."""
    process = subprocess.Popen(
        workflow.command("--rerun-incomplete"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + timeout_s
        while not path.exists():
            assert process.poll() is None, f"ended before {path} appeared"
            assert time.monotonic() < deadline
            time.sleep(0.02)
        time.sleep(0.3)  # well into the job
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_killed_at_any_stage_ends_in_the_same_bytes(workflow, finished) -> None:
    logs = workflow.run_folder / "logs"
    for log in (
        "survey/sdss.log",
        "catalog.log",
        "download/train-000001.log",
        "shard/stacked-32/train-000000.log",
        "train/vit.log",
        "evaluate.log",
    ):
        kill_when(workflow, logs / log)
        remove_stale_lock(workflow.folder)
    workflow.run("--rerun-incomplete")
    assert data_hashes(workflow) == data_hashes(finished)
    assert (workflow.run_folder / "report.html").exists()
    leftovers = [p.name for p in workflow.run_folder.rglob(".*.tmp")]
    assert leftovers == []
