"""The container recipes agree with the project; jobs in a container leave this machine's Python."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CONTAINERS = ROOT / "containers"
PYTHON = re.search(r"python=(.+)", (ROOT / "envs" / "gpu.yaml").read_text())[1]

# Records the command that a job would run in the image, and fails.
APPTAINER = """#!/bin/sh
if [ "$1" = --version ]; then echo apptainer version 1.3.4; exit; fi
printf '%s\\n' "$@" > "$(dirname "$0")/called"
exit 1
"""


def recipe(name: str) -> str:
    """Return a recipe, its continued lines joined."""
    return (CONTAINERS / name).read_text().replace("\\\n", " ")


def copied_by_docker() -> set[str]:
    copies = re.findall(r"^COPY (.+)$", recipe("Dockerfile"), flags=re.MULTILINE)
    return {source.rstrip("/") for line in copies for source in line.split()[:-1]}


def section(name: str) -> str:
    (found,) = re.findall(rf"^%{name}\n((?: .*\n|\n)+)", recipe("specvit.def"), flags=re.MULTILINE)
    return found


def steps_of_docker() -> list[str]:
    return re.findall(r"^RUN (.+)$", recipe("Dockerfile"), flags=re.MULTILINE)


def test_both_recipes_start_from_the_same_python() -> None:
    (docker,) = re.findall(r"^FROM (\S+)$", recipe("Dockerfile"), flags=re.MULTILINE)
    (apptainer,) = re.findall(r"^From: (\S+)$", recipe("specvit.def"), flags=re.MULTILINE)
    assert docker == apptainer
    version = re.fullmatch(r"python:(\d+\.\d+)\.\d+-slim-\w+", docker)[1]
    assert version == PYTHON
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["project"]["requires-python"] == f">={version}"


def test_both_recipes_copy_the_same_files_and_all_exist() -> None:
    pairs = [line.split() for line in section("files").splitlines() if line.strip()]
    assert copied_by_docker() == {source for source, _ in pairs}
    for source, target in pairs:
        assert (ROOT / source).exists(), source
        assert target == f"/opt/specvit/{source}"


def test_docker_is_sent_what_it_copies() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    assert {rule[1:] for rule in rules if rule.startswith("!")} == copied_by_docker()
    assert not any(fnmatch(name, rule) for name in copied_by_docker() for rule in rules[1:])


def test_both_recipes_install_alike() -> None:
    post = [line.strip() for line in section("post").splitlines() if line.strip()]
    steps = [step.replace("RUN ", "") for step in steps_of_docker()]
    words = [shlex.split(line.removeprefix("/opt/venv/bin/")) for line in post[1:]]
    assert [shlex.split(step) for step in steps] == words


@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_the_steps_are_valid_shell(shell: str) -> None:
    scripts = [
        (CONTAINERS / "install.sh").read_text(),
        *steps_of_docker(),
        *(section(name) for name in ("post", "environment", "test", "runscript")),
    ]
    for script in scripts:
        done = subprocess.run([shell, "-n"], input=script, text=True, capture_output=True)
        assert done.returncode == 0, f"{done.stderr}\n{script}"


def test_uv_is_that_of_make_setup() -> None:
    (line,) = re.findall(r"^uv_version=.+$", recipe("install.sh"), flags=re.MULTILINE)
    done = subprocess.run(
        ["sh", "-c", f"{line}; echo $uv_version"], cwd=ROOT, text=True, capture_output=True
    )
    assert f"UV_VERSION := {done.stdout}" in (ROOT / "Makefile").read_text()
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", done.stdout)


@pytest.mark.workflow
def test_a_job_in_a_container_uses_its_python(workflow, tmp_path, monkeypatch) -> None:
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "apptainer"
    program.write_text(APPTAINER)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    survey = "results/tiny/surveys/sdss.parquet"
    args = ("--software-deployment-method", "apptainer", "--apptainer-args=--nv")
    assert workflow.run(survey, *args, check=False).returncode != 0
    *options, image, shell, flag, command = (
        (program.parent / "called").read_text().rstrip().split("\n")
    )
    assert [image, shell, flag] == ["specvit.sif", "bash", "-c"]
    assert "--nv" in options
    assert "python -m specvit survey" in command
    assert f"export PYTHONPATH={ROOT}/src" in command
    assert str(Path(sys.executable).parent) not in command
