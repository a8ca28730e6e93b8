"""Outside a checkout: what the wheel holds is enough to lay down a folder and run it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

from specvit.config import merge, validate
from specvit.errors import ConfigError
from specvit.workflow import PRESETS, config_of, lay_down
from tiny_workflow import ROOT, TINY

SMALL = merge(
    TINY,
    {
        "surveys": {"lamost": None},
        "simulated": {"sdss_spectra": 150},
        "split": {"shards": {"train": 1}},
        "baselines": {"models": ["random_forest"]},
    },
)


class Installed:
    """What a wheel holds, before all else that Python imports, and an empty folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # Of a copy: setuptools leaves files where it builds.
        source = folder / "source"
        others = (".*", "__pycache__", "*.egg-info", "build", "results", "tests", "docs")
        shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(*others))
        archive = (sys.executable, "-c", "import setuptools.build_meta as b; b.build_sdist('..')")
        subprocess.run(archive, cwd=source, check=True, capture_output=True)
        (packed,) = folder.glob("*.tar.gz")
        pip = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-index", "--no-deps")
        options = ("--no-build-isolation", "--disable-pip-version-check", "--wheel-dir", folder)
        subprocess.run([*pip, *options, packed], check=True)
        (self.wheel,) = folder.glob("*.whl")
        shutil.rmtree(source)
        zipfile.ZipFile(self.wheel).extractall(folder / "site")

    def specvit(self, *args: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "specvit", *args],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(self.folder / "site")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return Installed(tmp_path_factory.mktemp("outside"))


@pytest.mark.workflow
@pytest.mark.xdist_group("wheel")
def test_a_wheel_in_an_empty_folder_runs_from_catalogue_to_report(installed: Installed) -> None:
    files = zipfile.ZipFile(installed.wheel).namelist()
    rules = [path for path in (ROOT / "workflow").rglob("*") if path.is_file()]
    packaged = {f"specvit/pipeline/{path.relative_to(ROOT)}" for path in rules}
    assert packaged <= set(files)
    installed.specvit("init", "mine")
    planned = installed.specvit("run", "mine", "--dry-run", "--printshellcmds").stdout
    assert "python -m specvit train" in planned
    assert not any(str(ROOT / name) in planned for name in ("src", "workflow", "Snakefile"))
    (installed.folder / "tiny.yaml").write_text(yaml.safe_dump(SMALL))
    done = installed.specvit("run", "mine", "--cores", "2", "--configfile", "../tiny.yaml")
    assert "RuntimeWarning" not in done.stderr
    run = installed.folder / "mine" / "results" / "tiny"
    assert "simulated" in (run / "report.html").read_text()
    assert installed.specvit("status", str(run)).returncode == 0
    again = installed.specvit("run", "mine", "--dry-run", "--configfile", "../tiny.yaml")
    assert "Nothing to be done" in again.stdout


def test_a_folder_without_a_workflow_is_told_how_to_get_one(installed: Installed) -> None:
    (installed.folder / "empty").mkdir()
    done = installed.specvit("run", "./empty", check=False)
    assert done.returncode == 2
    assert "specvit init empty" in done.stderr


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_is_a_whole_configuration(preset: str, tmp_path: Path) -> None:
    _, path = lay_down(tmp_path, preset)
    written = yaml.safe_load(path.read_text())
    alone = validate(written)
    assert "#" in path.read_text().split(f"run: {alone.run}")[1]
    demo = yaml.safe_load((ROOT / "config.yaml").read_text())
    over = demo
    if preset != "demo":
        over = merge(
            demo, yaml.safe_load((ROOT / "workflow" / "configs" / f"{preset}.yaml").read_text())
        )
    assert alone.surveys == validate(over).surveys
    assert all(survey is not None for survey in written["surveys"].values())


def test_nothing_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("run: mine\n")
    with pytest.raises(ConfigError, match="already: choose another"):
        lay_down(tmp_path, "demo")
    assert not (tmp_path / "Snakefile").exists()
    assert config_of("demo") != (tmp_path / "config.yaml").read_text()
