"""A survey of another package goes from its catalogue to plots; no file of specvit knows it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from servers.survey_server import SurveyServer, message
from specvit.errors import DataError
from specvit.registry import BUILT_IN, collections, survey_named, surveys
from surveys.toy import toy_survey as toy

ROWS = 60
TOY = Path(toy.__file__).parent


def install(folder: Path, name: str = "toy", target: str = "toy_survey:SURVEY") -> None:
    """What `pip install` leaves of a package that brings a survey."""
    info = folder / "toy_package-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-package\nVersion: 1\n")
    (info / "entry_points.txt").write_text(f"[specvit.surveys]\n{name} = {target}\n")


def specvit(
    folder: Path, *commands: list[str], first: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run commands in one process that has the package in `folder`."""
    code = f"import sys\n{first}\nfrom specvit.cli import app\n"
    code += "\n".join(f"app({command!r}, standalone_mode=False)" for command in commands)
    path = os.pathsep.join([str(folder), str(TOY)])
    environment = {**os.environ, "PYTHONPATH": path, "TOY_TOKEN": "secret"}
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=folder, capture_output=True, text=True
    )


@pytest.fixture
def package(tmp_path: Path) -> Path:
    install(tmp_path / "package")
    return tmp_path / "package"


def test_a_survey_of_another_package_goes_from_catalogue_to_plots(package: Path) -> None:
    files = {f"v1/spectra/{n}.fits": toy.file_of(n) for n in range(2, ROWS)}
    files |= {"v1/moved/0.fits": toy.file_of(0), toy.CATALOGUE: toy.catalogue_of(ROWS)}
    files["v1/spectra/1.fits"] = b""
    with SurveyServer(files) as server:
        server.token = "secret"
        server.always("v1/spectra/1.fits", message(b'{"says": "gone"}'))
        settings = {
            "run": "t",
            "results_dir": "results",
            "surveys": {"toy": {"base_url": server.base_url}},
            "split": {"shards": {"train": 1, "val": 1, "test": 1}, "test_fraction": 0.3},
            "data": {"train_surveys": ["toy"]},
            "download": {"max_failed_fraction": 0, "cache_dir": "cache"},
            "train": {"workers": 1},
        }
        config = ["--config", json.dumps(settings)]
        stages = [[stage, *config] for stage in ("survey", "catalog", "download", "shards")]
        done = specvit(package, *stages, ["schema"])
    assert done.returncode == 0, done.stderr
    assert "ToySettings" in done.stdout
    assert "secret" not in done.stdout + done.stderr
    run = package / "results" / "t"
    catalog = pd.read_parquet(run / "catalog.parquet")
    assert (set(catalog["survey"]), len(catalog)) == ({"toy"}, ROWS)
    ledger = pd.concat(pd.read_parquet(path) for path in run.glob("spectra/*.ledger.parquet"))
    ledger = ledger.set_index("spectrum_id")
    assert ledger.loc["toy-0000", "url"].endswith("v1/moved/0.fits")
    assert ledger.loc["toy-0001", "status"] == "missing"
    assert (ledger["status"] == "ok").sum() == ROWS - 1
    stats = [json.loads(path.read_text()) for path in run.glob("shards/*/*.stats.json")]
    assert sum(one["spectra"] for one in stats) == ROWS - 1


def test_a_file_may_hold_many_spectra_and_a_survey_its_pages(package: Path) -> None:
    # The module comes first, as in the package's own tests: nothing may depend on the order.
    (package / "7.fits").write_bytes(toy.file_of(7))
    code = """
import toy_survey
from specvit.registry import survey_named, surveys
from specvit.surveys.read import read_identity, read_spectrum
data = open("7.fits", "rb").read()
one, two = read_spectrum(data), read_spectrum(data, row=1)
print(one.header.identity, two.header.identity, read_identity(data, row=1))
print(two.flux.mean() - one.flux.mean() > 2, list(surveys()))
print(survey_named("toy").page("v1", "7"))
"""
    done = specvit(package, first=code)
    assert done.stdout.splitlines() == [
        "7 7b ('toy', '7b')",
        "True ['sdss', 'lamost', 'desi', 'toy']",
        "https://toy.example/v1/7.html",
    ], done.stderr


@pytest.mark.parametrize(
    ("name", "target", "words"),
    [
        ("sdss", "toy_survey:SURVEY", "another survey of this name"),
        ("toy", "toy_survey:NOTHING", "cannot be loaded: AttributeError"),
        ("sky", "toy_survey:SURVEY", "calls itself 'toy'"),
    ],
)
def test_a_package_that_cannot_be_used_is_named(
    tmp_path: Path, name: str, target: str, words: str
) -> None:
    install(tmp_path, name, target)
    done = specvit(tmp_path, ["schema"])
    assert done.returncode == 1
    assert words in done.stderr
    assert f"survey '{name}' of the package toy-package" in done.stderr


def test_without_packages_there_are_the_surveys_of_specvit() -> None:
    assert tuple(collections()) == BUILT_IN
    assert tuple(surveys()) == ("sdss", "lamost", "desi")
    with pytest.raises(DataError, match="no survey here is called 'toy'"):
        survey_named("toy")


def test_a_configuration_is_read_without_what_reads_files() -> None:
    code = "import sys, specvit.config.models as m; print(sorted({'numpy', 'pandas', 'astropy', "
    code += "'pyarrow', 'torch'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
