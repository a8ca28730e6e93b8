"""What a job that fails leaves behind, and what it says on the console."""

from __future__ import annotations

import pytest

from specvit.paths import RunPaths
from specvit.status import read_status

pytestmark = pytest.mark.workflow

SHARDS = ["train-000000", "train-000001", "val-000000", "test-000000"]


def test_a_failed_training_keeps_the_model_and_says_why_in_a_line(workflow) -> None:
    paths = RunPaths(workflow.run_folder)
    shards = [path("stacked-32", s) for s in SHARDS for path in (paths.shard, paths.shard_index)]
    model = [paths.model_dir("vit") / name for name in ("model.safetensors", "model.json")]
    for path in [*shards, paths.shards_summary("stacked-32"), *model]:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"once {path.name}")
    target = str(paths.predictions("vit").relative_to(workflow.folder))
    asked = ("--allowed-rules", "train_model", "predict", "--", target)

    done = workflow.run(*asked, check=False)
    assert done.returncode != 0
    assert [path.read_text() for path in model] == [f"once {path.name}" for path in model]
    console = done.stdout + done.stderr
    (said,) = [line for line in console.splitlines() if "failed: train/vit: specvit: " in line]
    assert "logs/train/vit.log" in said
    assert "bootstrap" not in console  # nor any other part of the configuration
    assert "RuntimeWarning" not in console
    assert list(read_status(paths.root).failed) == ["train/vit"]

    planned = workflow.planned(*asked)
    assert planned["train_model"] == planned["predict"] == 1


def test_what_is_missing_is_told_before_anything_runs(workflow) -> None:
    over = {"model": {"pretrained": True, "weights": "nowhere.pth"}}
    done = workflow.in_fork("train", over=over)
    assert done.returncode != 0
    assert "nothing was started" in done.stdout
    assert "there is no file nowhere.pth" in done.stdout
    assert "Traceback" not in done.stdout
    assert not (workflow.run_folder / "logs").exists()
    # Planning asks for nothing, and no network is trained for the shards.
    assert workflow.planned("shards", over=over)["survey"] == 2
