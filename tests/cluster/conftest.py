"""A real SLURM cluster on this machine, and the workflow sent to it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Start munge, slurmctld and two slurmd; the folder of their state and logs."""
    if os.geteuid() != 0 or not shutil.which("sbatch"):
        reason = "needs root and SLURM's Debian packages: make test-cluster installs them"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    state = Path("/tmp/specvit-slurm")  # short: it holds a unix socket
    environment = {**os.environ, "SPECVIT_SLURM": str(state)}
    subprocess.run([HERE / "start-slurm.sh"], env=environment, check=True, timeout=120)
    # Job steps look for the configuration here.
    Path("/etc/slurm").mkdir(exist_ok=True)
    for name in ("slurm.conf", "gres.conf"):
        link = Path("/etc/slurm") / name
        link.unlink(missing_ok=True)
        link.symlink_to(state / name)
    os.environ["SLURM_CONF"] = str(state / "slurm.conf")
    yield state
    subprocess.run([HERE / "stop-slurm.sh"], env=environment, check=False, timeout=120)


SLURM = [
    *("--profile", str(ROOT / "workflow" / "profiles" / "slurm")),
    *("--jobs", "8", "--latency-wait", "10", "--seconds-between-status-checks", "2"),
    # This cluster has neither accounts nor an accounting database.
    *("--slurm-no-account", "--slurm-status-command", "squeue"),
    *("--slurm-init-seconds-before-status-checks", "2"),
    # Nodes of 4 GB on one small machine.
    *("--set-threads", "train_model=2", "baseline=1", "predict=1"),
    "--set-resources",
    *(f"{rule}:mem_mb=1500" for rule in ("train_model", "predict", "baseline", "evaluate")),
    *(f"{rule}:mem_mb=600" for rule in ("download", "shard")),
]


def slurm_command(folder: Path, config: Path, *args: str) -> list[str]:
    return [
        *(sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")),
        *("--directory", str(folder), "--configfile", str(config), *SLURM, *args),
    ]
