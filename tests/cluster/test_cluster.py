"""The shipped SLURM profile on a real SLURM, against a local run of the same configuration."""

from __future__ import annotations

import json
from itertools import combinations

import pytest
from eventful_run import CANCELLED, HUNGRY, OVER, EventfulRun
from slurm_cluster import NODE_NAMES, Job

from specvit.io import sha256_file
from tiny_workflow import data_hashes

pytestmark = pytest.mark.cluster


def test_data_are_the_bytes_of_a_local_run(eventful, local) -> None:
    assert len(list(eventful.run_folder.glob("shards/*/*.tar"))) == 4
    assert data_hashes(eventful) == data_hashes(local)


def test_predictions_and_metrics_are_those_of_a_local_run(eventful, local) -> None:
    names = [
        p.relative_to(local.run_folder) for p in local.run_folder.glob("predictions/**/*.parquet")
    ]
    assert {name.parent.name for name in names} == {"predictions", "val", "map", "relevance"}
    assert len(names) == 6
    for name in [*names, "metrics.json"]:
        assert sha256_file(eventful.run_folder / name) == sha256_file(local.run_folder / name), name
    assert (eventful.run_folder / "report.html").exists()


def apart(jobs: list[Job]) -> bool:
    """Whether two of the jobs ran at the same time on different nodes."""
    return any(a.overlaps(b) and a.nodes != b.nodes for a, b in combinations(jobs, 2))


def test_downloads_run_at_once_on_two_nodes(eventful) -> None:
    # As many as there is room for: they ask no host, so the profile's limit does not count them
    # (tests/workflow/test_politeness.py is about those that do).
    assert apart(eventful.jobs("rule_download"))


def test_shards_are_grouped_and_two_groups_run_at_once_on_two_nodes(eventful) -> None:
    groups = eventful.jobs("rule_shards")
    assert apart(groups)
    # Two groups of two, and the one that was killed again; its shards take turns on one processor.
    assert len(groups) == 3
    assert {job.fields["NumCPUs"] for job in groups} == {"1"}
    assert not eventful.jobs("rule_shard_wildcards")


def attempts(jobs: list[Job]) -> list[tuple[str, int, int]]:
    """State, memory in MB and time limit in minutes of each attempt at a job."""
    return [(job.state, job.memory_mb, job.limit_min) for job in jobs]


def test_a_cancelled_job_is_sent_again_with_more_of_everything(eventful) -> None:
    first, second = attempts(eventful.jobs(f"rule_download_wildcards_{CANCELLED}"))
    assert (first[0], second[0]) == ("CANCELLED", "COMPLETED")
    assert second[1] == pytest.approx(1.5 * first[1], abs=2)
    assert second[2] == pytest.approx(2 * first[2], abs=2)


def test_a_job_over_its_memory_is_sent_again_with_more(eventful) -> None:
    first, second = attempts(eventful.jobs(f"rule_download_wildcards_{HUNGRY}"))
    assert first[0] in ("FAILED", "OUT_OF_MEMORY")
    assert second[0] == "COMPLETED"
    assert second[1] == pytest.approx(1.5 * first[1], abs=2)
    logs = (eventful.folder / ".snakemake" / "slurm_logs").rglob("*.log")
    assert any("exceeded memory limit" in log.read_text() for log in logs)


def test_after_a_kill_finished_shards_are_not_made_again(eventful) -> None:
    assert len(eventful.orphans) == 1  # it ran on without Snakemake, until it was cancelled
    assert len(eventful.finished_shards) >= 2
    again = [p for p, was in eventful.finished_shards.items() if p.stat().st_mtime_ns != was]
    assert len(eventful.finished_shards) - len(again) >= 2


def test_training_is_two_ranks_in_one_task(eventful) -> None:
    (job,) = eventful.jobs("rule_train_model")
    assert (job.fields["NumTasks"], job.fields["NumNodes"]) == ("1", "1")
    summary = json.loads((eventful.run_folder / "models" / "vit" / "training.json").read_text())
    assert summary["ranks"] == 2


def test_preempted_training_goes_on_from_its_state(eventful) -> None:
    (job,) = eventful.jobs("rule_train_model")
    assert (job.state, job.fields["Restarts"]) == ("COMPLETED", "1")
    assert [event["step"] > 0 for event in eventful.training("start")] == [False, True]
    epochs = [event["epoch"] for event in eventful.training("epoch")]
    assert epochs == list(range(1, OVER["train"]["epochs"] + 1))


def test_gpus_of_two_nodes_are_seen_where_they_are(cluster, tmp_path) -> None:
    """What the profile's lines for several nodes come to; training here has no GPUs."""
    asked = ("--nodes=2", "--ntasks=2", "--cpus-per-task=2", "--gpus=4", "--mem=500")
    step = "srun --nodes=2 --ntasks=2 --ntasks-per-node=1 --cpus-per-task=2"
    said = tmp_path / "said.txt"
    command = f"{step} sh -c 'echo $SLURMD_NODENAME $CUDA_VISIBLE_DEVICES'"
    cluster.ask("sbatch", "--wait", *asked, f"--output={said}", "--wrap", command)
    assert sorted(said.read_text().splitlines()) == [f"{name} 0,1" for name in NODE_NAMES]


def test_nothing_else_ran_twice(eventful) -> None:
    for comment in ("rule_baseline_skops", "rule_predict", "rule_evaluate"):
        assert [job.state for job in eventful.jobs(comment)] == ["COMPLETED"]


def test_training_on_two_nodes(eventful: EventfulRun) -> None:
    over = {**OVER, "experiments": [{"name": "wide", "train": {"epochs": 1}}]}
    nodes = [f"train_model:{key}" for key in ("nodes=2", "tasks=2", "tasks_per_gpu=0", "mpi=srun")]
    summary = eventful.run_folder / "models" / "wide" / "training.json"
    target = str(summary.relative_to(eventful.folder))
    eventful.run("--set-resources", *nodes, "--", target, over=over)
    (job,) = eventful.jobs("rule_train_model_wildcards_wide")
    assert job.state == "COMPLETED"
    assert job.nodes == tuple(NODE_NAMES)
    assert json.loads(summary.read_text())["ranks"] == 2
