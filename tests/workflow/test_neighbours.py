"""Folders with any name, and one Snakemake at a time on a run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from specvit.locks import writing
from specvit.paths import RunPaths
from tiny_workflow import ROOT

pytestmark = pytest.mark.workflow

NAME = "my $(touch PWNED) o'brien & `touch PWNED`; res"


def test_a_folder_of_any_name_serves_one_snakemake_at_a_time(workflow) -> None:
    over = {"results_dir": NAME}
    paths = RunPaths(workflow.folder / NAME / "tiny")
    with writing(paths, "run"):
        done = workflow.run("--until", "survey", over=over, check=False)
        assert done.returncode == 1
        assert "run is being written by process" in done.stderr
        assert "Traceback" not in done.stderr
        assert not paths.survey_table("sdss").exists()
        assert workflow.dry_run("--until", "survey", over=over).returncode == 0
    workflow.run("--until", "survey", over=over)
    assert paths.survey_table("sdss").exists()
    assert (paths.root / "logs" / "survey" / "sdss.log").exists()
    assert not list(Path(workflow.folder).rglob("PWNED"))


def test_rules_quote_all_that_they_hand_to_the_shell() -> None:
    found = 0
    for path in sorted((ROOT / "workflow" / "rules").glob("*.smk")):
        for command in re.findall(r"shell:\n((?:\s+\".*\"\n)+)", path.read_text()):
            for name in re.findall(r"\{([^{}]+)\}", command):
                found += 1
                # The one that holds several words: numbers and a launcher of the profile.
                assert name.endswith(":q") or name == "params.on_each_node", (path.name, name)
    assert found >= 30
