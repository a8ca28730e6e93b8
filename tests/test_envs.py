"""The conda environments are those of the lock, and hold what the stages of their rules import."""

from __future__ import annotations

import json
import re
import runpy
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from stage_imports import (
    OPTIONAL,
    ROOT,
    SOURCES,
    distributions_of,
    imports_of,
    stages_by_environment,
)

ENVIRONMENTS = sorted(path.stem for path in (ROOT / "envs").glob("*.yaml"))
PIN = runpy.run_path(str(ROOT / "envs" / "pin.py"))
# Packages that other packages import only where they are there.
INDIRECT = {"gpu": {"tensorboard"}}  # torch.utils.tensorboard

# Imports what it reads, with nothing on the path but the folders it is given.
IMPORTER = """
import importlib, json, sys
folders, imports = json.load(sys.stdin)
sys.path += folders
for module, item in imports:
    found = importlib.import_module(module)
    if item and not hasattr(found, item):
        importlib.import_module(f"{module}.{item}")
"""


def environment_text(name: str) -> str:
    return (ROOT / "envs" / f"{name}.yaml").read_text()


def chosen_in(name: str) -> set[str]:
    """Packages chosen by hand, without those that they need in turn."""
    return set(PIN["LINE"].findall(environment_text(name).partition(PIN["MARK"])[0]))


def packages_of(name: str) -> set[str]:
    listed = yaml.safe_load(environment_text(name))["dependencies"][-1]["pip"]
    return {canonicalize_name(Requirement(line).name) for line in listed}


def linked(packages: set[str], folder: Path) -> Path:
    """A site-packages folder that holds these packages alone."""
    folder.mkdir()
    for package in packages:
        try:
            files = distribution(package).files or []
        except PackageNotFoundError:
            continue  # of another system
        for top in {file.parts[0] for file in files} - {"..", "__pycache__"}:
            link = folder / top
            if not link.exists():  # several packages may share a folder (nvidia)
                link.symlink_to(distribution(package).locate_file(top))
    return folder


def import_stages(stages: set[str], packages: set[str], folder: Path) -> str:
    """Import all that the stages can come to; what went wrong, or nothing."""
    paths = [str(SOURCES), str(linked(packages, folder))]
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", IMPORTER],
        input=json.dumps([paths, sorted(imports_of(stages))]),
        capture_output=True,
        text=True,
    )
    return "" if done.returncode == 0 else done.stderr


def test_every_environment_belongs_to_a_rule() -> None:
    assert sorted(stages_by_environment()) == ENVIRONMENTS


@pytest.mark.skipif(sys.platform != "linux", reason="what Linux needs is installed only there")
@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_environment_is_that_of_the_lock(name: str) -> None:
    text = environment_text(name)
    assert text == PIN["pinned"](text), "make envs"


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_environment_names_what_its_stages_import(name: str) -> None:
    imported = distributions_of(imports_of(stages_by_environment()[name]))
    assert chosen_in(name) == imported | INDIRECT.get(name, set())


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_stages_start_with_nothing_but_their_environment(name: str, tmp_path: Path) -> None:
    stages = stages_by_environment()[name]
    assert import_stages(stages, packages_of(name), tmp_path / "site") == ""


@pytest.mark.parametrize(
    ("name", "package", "module"),
    [
        ("data", "opencv-python-headless", "cv2"),  # of a stage
        ("data", "pydantic-core", "pydantic_core"),  # of a package
        ("report", "matplotlib", "matplotlib"),
        ("gpu", "tensorboard", "tensorboard"),  # of a package that does not ask for it
    ],
)
def test_a_missing_package_is_noticed(name, package, module, tmp_path) -> None:
    packages = packages_of(name)
    assert package in packages
    wrong = import_stages(stages_by_environment()[name], packages - {package}, tmp_path / "site")
    assert f"No module named '{module}" in wrong


def test_the_project_names_all_it_imports() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = {canonicalize_name(Requirement(line).name) for line in project["dependencies"]}
    stages = {path.stem for path in (SOURCES / "specvit" / "commands").glob("[a-z]*.py")}
    assert distributions_of(imports_of(stages)) <= named
    extras = project["optional-dependencies"].values()
    assert {Requirement(line).name for lines in extras for line in lines} >= OPTIONAL


def test_lock_holds_only_pins() -> None:
    for line in (ROOT / "requirements.lock").read_text().splitlines():
        assert re.match(r"[A-Za-z0-9_.-]+(\[.*\])?==\S+( ;.*)?$", line), line
