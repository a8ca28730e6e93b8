"""What the Snakefile plans, without running anything."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from specvit.config.baselines import registered

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.workflow


def test_everything_is_planned_from_nothing(workflow) -> None:
    planned = workflow.planned()
    assert planned["survey"] == 2
    assert planned["download"] == planned["shard"] == 4
    assert planned["train_model"] == planned["predict"] == 1
    assert planned["baseline_skops"] == 2
    assert planned["evaluate"] == planned["figures"] == planned["report"] == planned["gallery"] == 1


@pytest.mark.parametrize(
    ("stage", "has", "has_not"),
    [
        ("catalog", {"survey", "catalog"}, {"download"}),
        ("shards", {"download", "shard", "shards_summary"}, {"train_model", "baseline_skops"}),
        ("train", {"shard", "train_model"}, {"predict", "baseline_skops"}),
        ("baselines", {"shard", "baseline_skops"}, {"train_model", "evaluate"}),
        ("evaluate", {"predict", "baseline_skops", "evaluate"}, {"figures", "report"}),
        ("figures", {"evaluate", "figures"}, {"report"}),
        ("report", {"figures", "report"}, {"gallery"}),
    ],
)
def test_every_stage_is_a_target(workflow, stage, has, has_not) -> None:
    planned = set(workflow.planned(stage))
    assert has | {stage} <= planned
    assert not has_not & planned


def test_experiments_share_what_they_share(workflow) -> None:
    experiments = [
        {"name": "vit-map", "render": {"mode": "map"}},
        {"name": "vit-long", "train": {"epochs": 2}},
    ]
    planned = workflow.planned(over={"experiments": experiments})
    assert planned["download"] == 4
    assert planned["shard"] == 8  # two sets of plots, though three networks
    assert planned["train_model"] == planned["predict"] == 3
    assert planned["baseline_skops"] == 2


def test_every_seed_is_a_job_and_nothing_is_drawn_for_it(workflow) -> None:
    experiments = [{"name": "long", "train": {"epochs": 2, "seeds": 2}}]
    planned = workflow.planned(over={"train": {"seeds": 3}, "experiments": experiments})
    assert planned["train_model"] == planned["predict"] == 5
    assert planned["shard"] == 4


def test_every_kind_of_baseline_and_survey_has_a_rule(workflow, tmp_path) -> None:
    models = list(registered())
    surveys = {"sdss": None, "files": {"base_url": tmp_path.as_uri()}}
    planned = workflow.planned(over={"baselines": {"models": models}, "surveys": surveys})
    assert (planned["baseline_skops"], planned["baseline_safetensors_json"]) == (5, 3)
    assert (planned["survey"], planned["survey_of_files"]) == (1, 1)


@pytest.mark.parametrize(
    ("over", "words"),
    [
        ({"run": "a/b"}, "run = "),
        ({"rendr": {}}, "did you mean render?"),
        ({"render": {"frame": "rest"}}, "render.frame"),
        ({"model": {"backbone": "vit_huge"}}, "timm"),
    ],
)
def test_a_wrong_configuration_stops_before_the_job_graph(workflow, over, words) -> None:
    done = workflow.dry_run(over=over)
    assert done.returncode != 0
    assert words in done.stdout
    assert "Traceback" not in done.stdout
    assert "Building DAG" not in done.stdout


def test_values_on_the_command_line_have_their_meaning(workflow) -> None:
    planned = workflow.planned("--config", "split={shards: {train: 3, val: 1, test: 1}}")
    assert planned["download"] == 5
    done = workflow.dry_run("--config", "render={size: big}")
    assert 'render.0.size = "big"' in done.stdout


def test_the_paper_is_planned_in_400_jobs_of_each_kind(workflow) -> None:
    workflow.config = ROOT / "workflow" / "configs" / "paper.yaml"
    planned = workflow.planned()
    assert planned["download"] == planned["shard"] == 400
    assert planned["train_model"] == 1


def asked_for(text: str, rule: str) -> dict[str, str]:
    """What a dry run says of each job of a rule, by model."""
    jobs = re.findall(rf"rule {rule}\w*:\n((?: +\S.*\n)+)", text)
    return {re.findall(r"model=(\S+)", job)[0]: job for job in jobs}


def test_an_experiment_gets_the_resources_that_it_names(workflow) -> None:
    big = {"name": "big", "train": {"gpus": 2, "workers": 1, "batch_size": 32}}
    text = workflow.dry_run("--cores", "8", over={"experiments": [big]}).stdout
    asked = asked_for(text, "train_model")
    assert "gpu=2" in asked["big"]
    assert "threads: 4" in asked["big"]
    assert "gpu=2" not in asked["vit"]
    assert "gpu=1" in asked_for(text, "predict")["big"]


def test_a_baseline_that_can_use_a_gpu_asks_for_one(workflow) -> None:
    over = {"train": {"gpus": 1}, "baselines": {"models": ["svm", "cnn1d"]}}
    asked = asked_for(workflow.dry_run(over=over).stdout, "baseline_")
    assert "gpu=1" in asked["cnn1d"]
    assert "gpu=1" not in asked["svm"]


@pytest.mark.parametrize(("chosen", "told"), [("3", "3"), (None, "2")])
def test_a_job_gets_the_processor_threads_that_were_asked_for(
    workflow, tmp_path, monkeypatch, chosen, told
) -> None:
    """Snakemake sets OMP_NUM_THREADS to a rule's threads; what its user set comes before it."""
    snakefile = tmp_path / "threads.smk"
    snakefile.write_text(
        f"configfile: {str(ROOT / 'config.yaml')!r}\n"
        f"include: {str(ROOT / 'workflow' / 'rules' / 'common.smk')!r}\n"
        "rule asked:\n"
        "    output: 'asked.txt'\n"
        "    threads: 2\n"
        "    shell: 'echo $OMP_NUM_THREADS > {output}'\n"
    )
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if chosen is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", chosen)
    done = workflow.in_fork("--snakefile", str(snakefile), "asked")
    assert done.returncode == 0, done.stdout
    assert (tmp_path / "asked.txt").read_text().strip() == told


def test_a_survey_is_selected_again_when_a_table_of_ones_own_changes(workflow, tmp_path) -> None:
    tables = {"sdss": tmp_path / "ids.txt", "files": tmp_path / "my labels.csv"}
    over = {
        "surveys": {
            "sdss": {"select": {"ids": str(tables["sdss"])}},
            "files": {"base_url": tmp_path.as_uri(), "labels": str(tables["files"])},
        }
    }
    targets = []
    for survey, table in tables.items():
        table.touch()
        os.utime(table, (1, 1))
        for ending in ("parquet", "cuts.csv"):
            targets.append(f"results/tiny/surveys/{survey}.{ending}")
            made = workflow.folder / targets[-1]
            made.parent.mkdir(parents=True, exist_ok=True)
            made.touch()
    assert workflow.planned(*targets, over=over) == {}
    for table in tables.values():
        table.write_text("path,z\n")
    assert workflow.planned(*targets, over=over) == {"survey": 1, "survey_of_files": 1}
    braced = over["surveys"] | {"sdss": {"select": {"ids": str(tmp_path / "{1}")}}}
    (tmp_path / "{1}").touch()
    assert "holds a brace" in workflow.dry_run(*targets, over={"surveys": braced}).stdout
