"""One run of the whole pipeline on the cluster, in which each thing that may go wrong does once."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import yaml
from slurm_cluster import HANGS_S, Job, SlurmCluster

from tiny_workflow import ROOT, Workflow

PROFILE = ROOT / "workflow" / "profiles" / "slurm"
# What a site would set in the profile, and patience for a test.
SITE: dict[str, Any] = {
    "slurm-status-command": "squeue",
    "slurm-init-seconds-before-status-checks": 2,
    "set-threads": {"train_model": 2},
    "group-components": {"shards": 2},
}
# Long enough to be preempted in the middle.
OVER: dict[str, Any] = {
    "train": {"ranks": 2, "epochs": 20, "precision": "float32", "workers": 1},
    "baselines": {"models": ["svm"]},
}
CANCELLED, HUNGRY = "train-000000", "val-000000"  # the downloads that are


class EventfulRun(Workflow):
    """The project's Snakefile through its SLURM profile; the methods are steps of one story."""

    def __init__(self, folder: Path, cluster: SlurmCluster) -> None:
        super().__init__(folder)
        self.cluster = cluster
        site = folder / "site"
        site.mkdir()
        (site / "config.yaml").write_text(yaml.safe_dump(SITE))
        self.where = ("--profile", str(PROFILE), "--workflow-profile", str(site))
        self.environ = {
            **cluster.environ,
            "PYTHONPATH": str(Path(__file__).parent / "hungry"),
            "HUNGRY_SHARD": HUNGRY,
        }
        self.finished_shards: dict[Path, int] = {}
        self.orphans: list[Job] = []

    def jobs(self, comment: str, state: str = "") -> list[Job]:
        """Jobs of this run whose comment starts so, oldest first."""
        found = [job for job in self.cluster.jobs() if job.comment.startswith(comment)]
        return sorted((job for job in found if state in ("", job.state)), key=lambda j: j.number)

    def download(self) -> None:
        """Download only; cancel one of the jobs while another one is over its memory."""
        with self._running("--until", "download"):
            comment = f"rule_download_wildcards_{CANCELLED}"
            self._wait(lambda: self.jobs(comment, "RUNNING"), "a download to cancel")
            self.cluster.ask("scancel", str(self.jobs(comment)[0].number))

    def draw_and_die(self) -> None:
        """Kill Snakemake with -9 when it has noted one group of shards and the other still runs."""
        with self._running("shards", dies=True) as process:
            self._wait(self._two_groups_run, "two groups of shards at once")
            slow = self.jobs("rule_shards")[1].number
            self.cluster.ask("scontrol", "suspend", str(slow))
            self._wait(lambda: self._said.count("(Rule: shard)") == 2, "two shards to be noted")
            process.send_signal(signal.SIGKILL)
        self.finished_shards = {
            path: path.stat().st_mtime_ns for path in self.run_folder.glob("shards/*/*.tar")
        }
        self.orphans = [job for job in self.jobs("rule_shards") if job.state == "SUSPENDED"]
        run_id = re.findall(r"SLURM run ID: (\S+)", self._said)[0]
        self.cluster.cancel(f"--name={run_id}")
        unlock = [sys.executable, "-m", "specvit", "unlock", "--directory", str(self.folder)]
        subprocess.run(unlock, check=True, capture_output=True)

    def _two_groups_run(self) -> bool:
        groups = self.jobs("rule_shards", "RUNNING")
        # SLURM keeps whole seconds, and says of a suspended job that it ended then.
        return len(groups) == 2 and datetime.now() - groups[1].start > timedelta(seconds=2)

    def finish(self) -> None:
        """Run what is left; more urgent work takes the training's node for a moment."""
        with self._running():
            self._wait(lambda: len(self.training("epoch")) > 0, "the first epoch")
            node = self.jobs("rule_train_model", "RUNNING")[0].nodes[0]
            urgent = ("--partition=urgent", "--exclusive", f"--nodelist={node}", "--mem=1000")
            self.cluster.ask("sbatch", *urgent, "--output=/dev/null", "--wrap", "sleep 2")

    def training(self, event: str) -> list[dict[str, Any]]:
        """What the training's log has of one kind of event."""
        path = self.run_folder / "models" / "vit" / "checkpoints" / "log.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        return [line for line in map(json.loads, lines) if line["event"] == event]

    @contextmanager
    def _running(self, *args: str, dies: bool = False):
        """Snakemake in the background; at the end it must have ended well, or have been killed."""
        log = self.folder / "snakemake.log"
        with log.open("w") as output:
            self._process = subprocess.Popen(
                self.command(*args, over=OVER), env=self.environ, stdout=output, stderr=output
            )
        try:
            yield self._process
            code = self._process.wait(timeout=HANGS_S)
        finally:
            self._process.kill()
            self._process.wait()
        assert code == (-signal.SIGKILL if dies else 0), self._said[-4000:]

    @property
    def _said(self) -> str:
        return (self.folder / "snakemake.log").read_text()

    def _wait(self, done: Callable[[], object], what: str) -> None:
        deadline = time.monotonic() + HANGS_S
        while not done():
            assert self._process.poll() is None, f"ended before {what}:\n{self._said[-4000:]}"
            assert time.monotonic() < deadline, f"no {what}:\n{self._said[-4000:]}"
            time.sleep(0.2)
