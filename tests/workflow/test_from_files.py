"""A folder of spectra, and then the command that `specvit catalog --from-files` prints."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from spectrum_files import galaxy_flux, sdss_file
from specvit.io import read_parquet
from specvit.paths import RunPaths
from tiny_workflow import ROOT

pytestmark = pytest.mark.workflow
FILES = 150


def command(*args: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *args], cwd=folder, capture_output=True, text=True, check=False
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder without config.yaml, with spectra of objects far from one another."""
    (tmp_path / "spectra").mkdir()
    for number in range(FILES):
        row = {"FIBERID": number + 1, "PLUG_RA": 2.0 * number, "PLUG_DEC": 0.3 * number}
        data = sdss_file(galaxy_flux(0.05), **row)
        (tmp_path / "spectra" / f"{number}.fits").write_bytes(data)
    return tmp_path


def test_the_printed_command_loses_no_spectrum_and_another_plan_is_refused(folder: Path) -> None:
    done = command("specvit", "catalog", "--from-files", "spectra", folder=folder)
    assert done.returncode == 0, done.stderr
    ((printed,),) = [re.findall("go on with: (.*)", done.stdout)]
    snakemake = [*shlex.split(printed), "-s", str(ROOT / "Snakefile"), "--until", "download"]
    paths = RunPaths(folder / "results" / "files")
    # Without the split that the catalogue was dealt by: the workflow's own config.yaml deals less.
    bare = [word for word in snakemake if not word.startswith("split=")]
    refused = command(*bare, folder=folder)
    assert refused.returncode != 0
    logs = "".join(path.read_text() for path in paths.root.glob("logs/download/*.log"))
    assert "catalog.parquet is of another plan than this configuration: " in logs
    assert "split.shards.train = 8, not 4" in logs
    assert not list(paths.root.glob("spectra/*.tar"))
    done = command(*snakemake, folder=folder)
    assert done.returncode == 0, done.stderr
    ledgers = [read_parquet(path) for path in paths.root.glob("spectra/*.ledger.parquet")]
    assert sum((ledger["status"] == "ok").sum() for ledger in ledgers) == FILES
    assert len(ledgers) == 12
