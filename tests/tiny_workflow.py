"""The real Snakefile at a size for tests, in a folder of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
import snakemake.cli
import snakemake_executor_plugin_slurm  # noqa: F401 (imported before forking)
import snakemake_storage_plugin_s3  # noqa: F401
import yaml

from specvit.io import sha256_file

ROOT = Path(__file__).resolve().parents[1]

# The whole pipeline at a size for tests: every stage real, nothing big.
TINY: dict[str, Any] = {
    "run": "tiny",
    "simulated": {"sdss_spectra": 150, "lamost_spectra": 90, "missing_fraction": 0.02},
    "split": {"shards": {"train": 2, "val": 1, "test": 1}},
    "download": {"max_failed_fraction": 0.2},
    "render": {"size": 32, "rows": 4},
    "model": {
        "backbone_args": {"patch_size": 8, "embed_dim": 32, "depth": 1, "num_heads": 2},
        "redshift": {"bins": 64},
    },
    "train": {"epochs": 1, "batch_size": 32},
    "baselines": {"components": 8, "random_forest": {"trees": 10}},
    "evaluate": {"bootstrap": 20},
    "report": {"formats": ["png"]},
}


class Workflow:
    """The project's Snakefile with a small configuration, in an empty folder."""

    where: tuple[str, ...] = ("--cores", "2")
    environ: dict[str, str] | None = None  # this process's own

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "tiny.yaml"
        self.write(TINY)

    @property
    def run_folder(self) -> Path:
        return self.folder / "results" / "tiny"

    def write(self, config: dict[str, Any]) -> None:
        self.config.write_text(yaml.safe_dump(config))

    def command(self, *args: str, over: dict[str, Any] | None = None) -> list[str]:
        """Build the command line; `over` is one more configuration file laid on top."""
        files = [str(self.config)]
        if over is not None:
            files.append(str(self.folder / "over.yaml"))
            Path(files[-1]).write_text(yaml.safe_dump(over))
        return [
            *(sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")),
            *("--directory", str(self.folder), "--configfile", *files, *self.where, *args),
        ]

    def run(
        self, *args: str, over: dict[str, Any] | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        command = self.command(*args, over=over)
        done = subprocess.run(
            command, env=self.environ, capture_output=True, text=True, check=False
        )
        if check and done.returncode:
            logs = [p for p in (self.run_folder / "logs").rglob("*.log") if p.stat().st_size]
            tail = max(logs, key=lambda p: p.stat().st_mtime).read_text()[-3000:] if logs else ""
            pytest.fail(f"snakemake {args} failed:\n{done.stderr[-3000:]}\n{tail}")
        return done

    def dry_run(
        self, *args: str, over: dict[str, Any] | None = None
    ) -> subprocess.CompletedProcess[str]:
        return self.in_fork("--dry-run", *args, over=over)

    def in_fork(
        self, *args: str, over: dict[str, Any] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run Snakemake in a fork of this process: its imports take seconds."""
        command = self.command(*args, over=over)[3:]
        with tempfile.TemporaryFile("w+") as output:
            child = os.fork()
            if child == 0:
                os.dup2(output.fileno(), 1)
                os.dup2(output.fileno(), 2)
                sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
                code = 1
                try:
                    snakemake.cli.main(command)
                except SystemExit as done:
                    code = int(done.code or 0)
                finally:
                    sys.stdout.flush()
                    sys.stderr.flush()
                    os._exit(code)
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            output.seek(0)
            return subprocess.CompletedProcess(command, code, output.read(), "")

    def planned(self, *args: str, over: dict[str, Any] | None = None) -> dict[str, int]:
        """Rules that a dry run would run, with the number of jobs of each."""
        done = self.dry_run(*args, over=over)
        assert done.returncode == 0, done.stdout
        return job_counts(done.stdout)


def job_counts(text: str) -> dict[str, int]:
    """Read the table that a dry run prints."""
    counts: dict[str, int] = {}
    lines = iter(text.splitlines())
    for line in lines:
        if line.split() == ["job", "count"]:
            next(lines)
            for row in lines:
                parts = row.split()
                if len(parts) != 2 or parts[0] == "total":
                    return counts
                counts[parts[0]] = int(parts[1])
    return counts


def data_hashes(workflow: Workflow) -> dict[str, str]:
    """SHA-256 of every file from catalogue to shards."""
    run = workflow.run_folder
    files = [run / "catalog.parquet", *run.glob("spectra/*"), *run.glob("shards/*/*")]
    return {str(path.relative_to(run)): sha256_file(path) for path in sorted(files)}
