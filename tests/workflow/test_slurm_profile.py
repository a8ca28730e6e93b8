"""What the SLURM profile asks for: an sbatch that writes its arguments down and refuses."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

import pytest
import yaml

from tiny_workflow import ROOT, Workflow

pytestmark = pytest.mark.workflow

PROFILE = ROOT / "workflow" / "profiles" / "slurm" / "config.yaml"
SHARDS = {"split": {"shards": {"train": 8, "val": 1, "test": 1}}}
GPUS = {**SHARDS, "train": {"gpus": 4, "workers": 2}}


class Submissions(Workflow):
    """The profile on a machine whose SLURM commands are stand-ins."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(folder)
        self.use(PROFILE.read_text())
        commands = folder / "bin"
        commands.mkdir()
        self._calls = folder / "sbatch.txt"
        said = {"sinfo": "echo cpus*", "sacctmgr": "echo myproject", "sbatch": self._refuse()}
        for name in ("sinfo", "sacctmgr", "sacct", "squeue", "scontrol", "sbatch"):
            (commands / name).write_text(f"#!/bin/sh\n{said.get(name, '')}\n")
            (commands / name).chmod(0o755)
        monkeypatch.setenv("PATH", f"{commands}:{os.environ['PATH']}")

    def _refuse(self) -> str:
        return f'printf "%s\\n" "$*" | head -n 1 >> {shlex.quote(str(self._calls))}; exit 1'

    def use(self, profile: str) -> None:
        (self.folder / "site").mkdir(exist_ok=True)
        patience = "\nslurm-init-seconds-before-status-checks: 1\n"
        (self.folder / "site" / "config.yaml").write_text(profile + patience)
        self.where = ("--profile", str(self.folder / "site"))

    def place(self, pattern: str, megabytes: float = 0) -> None:
        """Put files of a size (holes, not bytes) where a run would have made them."""
        for name in re.findall(r"\{(.+)\}", pattern)[0].split(","):
            path = self.run_folder / re.sub(r"\{.+\}", name, pattern)
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                file.truncate(int(megabytes * 2**20))

    def of(self, rule: str, *targets: str, over: dict[str, object]) -> list[str]:
        """Ask for one rule's jobs; the arguments of each call of sbatch."""
        self._calls.unlink(missing_ok=True)
        done = self.in_fork("--allowed-rules", rule, "--", *targets, over=over)
        assert done.returncode != 0
        assert self._calls.exists(), done.stdout
        return [line.split(" --wrap")[0] for line in self._calls.read_text().splitlines()]


@pytest.fixture
def submissions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Submissions:
    return Submissions(tmp_path, monkeypatch)


def number(call: str, flag: str) -> int:
    return int(re.findall(rf" {flag}[ =](\d+)", call)[0])


ALL = ",".join([*(f"train-{n:06d}" for n in range(8)), "val-000000", "test-000000"])
PLOTS = "shards/stacked-32/"
TRAINED = "results/tiny/models/vit/training.json"


def place_shards(submissions: Submissions, megabytes: float) -> None:
    submissions.place(PLOTS + "{" + ALL + "}.tar", megabytes)
    submissions.place(PLOTS + "{" + ALL + "}.index.parquet")
    submissions.place(PLOTS + "{shards}.json")


def test_memory_and_time_grow_with_input_and_attempt(submissions) -> None:
    target = "results/tiny/models/svm/training.json"
    found = {}
    for megabytes in (1, 500):
        place_shards(submissions, megabytes)
        calls = submissions.of("baseline_skops", target, over=SHARDS)
        memory = [number(call, "--mem") for call in calls]
        minutes = [number(call, "-t") for call in calls]
        assert memory == pytest.approx([memory[0], 1.5 * memory[0], 2 * memory[0]], abs=2)
        assert minutes == pytest.approx([minutes[0], 2 * minutes[0], 4 * minutes[0]], abs=2)
        found[megabytes] = memory[0], minutes[0]
    assert found[500][0] - found[1][0] == pytest.approx(10 * 499, rel=0.01)
    assert found[500][1] > found[1][1]


def test_shards_of_a_group_take_turns(submissions) -> None:
    submissions.place("{catalog}.parquet")
    submissions.place("spectra/{" + ALL + "}.tar", 1000)
    submissions.place("spectra/{" + ALL + "}.ledger.parquet")
    targets = [f"results/tiny/{PLOTS}{name}.tar" for name in ALL.split(",")]
    calls = submissions.of("shard", *targets, over=SHARDS)
    assert {number(call, "--cpus-per-task") for call in calls} == {1}
    # Ten shards: a group of eight and one of two, one shard after the other; three attempts.
    minutes = sorted(number(call, "-t") for call in calls)
    one = minutes[0] // 2
    assert minutes == sorted(size * one * more for size in (2, 8) for more in (1, 2, 4))
    # The memory of one shard.
    memory = sorted(number(call, "--mem") for call in calls)
    assert memory[0] == memory[1] == pytest.approx(1000 + 0.3 * 1000, abs=20)


def test_training_asks_for_gpus_of_one_node(submissions) -> None:
    place_shards(submissions, 1)
    call = submissions.of("train_model", TRAINED, over=GPUS)[0]
    assert "--gpus=4" in call
    assert "--nodes=1" in call
    assert number(call, "--cpus-per-task") == 4 * 3
    assert "--gres" not in call
    assert "--ntasks-per-gpu" not in call


def test_what_the_profile_offers_a_site_is_what_it_gets(submissions) -> None:
    """With its commented lines switched on: partitions, account, --gres, two nodes."""
    lines = PROFILE.read_text().splitlines()
    block = slice(lines.index("# default-resources:"), lines.index("jobs: 200"))
    lines[block] = [re.sub("^# ?", "", line) for line in lines[block]]
    assert yaml.safe_load("\n".join(lines))["set-resources"]["train_model"]["nodes"] == 2
    submissions.use("\n".join(lines))
    place_shards(submissions, 1)
    train = submissions.of("train_model", TRAINED, over=GPUS)[0]
    for flag in ("-A myproject", "-p gpu", "--gres=gpu:4", "--nodes=2", "--ntasks=2"):
        assert f" {flag} " in f"{train} "
    assert number(train, "--cpus-per-task") == 16
    assert "--gpus" not in train
    baseline = submissions.of("baseline_skops", "results/tiny/models/svm/training.json", over=GPUS)[
        0
    ]
    assert "-p cpu" in baseline
    assert "--gres" not in baseline


def test_nodes_without_a_task_each_are_refused(submissions) -> None:
    place_shards(submissions, 1)
    done = submissions.in_fork("--set-resources", "train_model:nodes=2", "--", TRAINED, over=GPUS)
    assert done.returncode != 0
    assert "nodes: 2 needs tasks: 2 and mpi: srun" in done.stdout
