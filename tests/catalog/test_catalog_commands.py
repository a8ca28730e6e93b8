"""The commands: from a folder of real files to a catalogue, and mistakes answered in sentences."""

from __future__ import annotations

import csv
import json
import re
import shlex
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from specvit.cli import main
from specvit.config import load_config, load_stage, validate
from specvit.config.data import Split
from specvit.errors import ConfigError
from specvit.io import read_parquet
from specvit.plan import Plan
from specvit.surveys.sdss.paths import RELEASES


def call(*args: str) -> None:
    main([*args])


@pytest.fixture(scope="module")
def from_files(real_spectra: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which `specvit catalog --from-files` ran on the real spectra."""
    folder = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        call("catalog", "--from-files", str(real_spectra))
    return folder


def test_real_files_become_a_catalogue(from_files: Path, real_index: list[dict[str, str]]) -> None:
    frame = read_parquet(from_files / "results" / "files" / "catalog.parquet")
    by_path = frame.set_index("path")
    with (from_files / "results/files/surveys/files.refused.csv").open(newline="") as handle:
        refused = {row["path"]: row["reason"] for row in csv.DictReader(handle)}
    copies = {path for path, reason in refused.items() if reason.startswith("a copy of ")}
    medium = {row["file"] for row in real_index if row["survey"] == "LAMOST-MRS"}
    readable = [row for row in real_index if row["file"] not in medium | copies]
    assert set(by_path.index) == {row["file"] for row in readable}
    for row in readable:
        read = by_path.loc[row["file"]]
        assert read["snr"] == pytest.approx(float(row["snr"]), rel=1e-3)
        if row["class"] == "Unknown":
            assert pd.isna(read["class"])
            assert pd.isna(read["z"])
            continue
        assert read["class"] == row["class"]
        assert read["z"] == pytest.approx(float(row["z"]), rel=1e-4, abs=1e-8)
    assert (frame["source"] == "files").all()
    assert not frame["simulated"].any()
    assert set(refused) == medium | copies
    assert all("medium resolution" in refused[path] for path in medium)
    # Two spectra are there as two releases have them: the second file of each is a copy.
    again = {row["file"]: row for row in real_index if int(row["n_same_object_in_index"]) > 1}
    assert len(copies) == 2
    for path in copies:
        original = refused[path].removeprefix("a copy of ")
        assert again[path]["objid"] == again[original]["objid"]


def test_real_repeats_are_one_object(from_files: Path) -> None:
    frame = read_parquet(from_files / "results" / "files" / "catalog.parquet")
    # Repeats that only the position tells: same redshift, but for one quasar misread as a star.
    several = frame.groupby("object_id").filter(lambda rows: len(rows) > 1)
    for _, rows in several.groupby("object_id"):
        assert rows["split"].nunique() == 1
        if rows["class"].nunique() == 1:
            assert rows["z"].max() - rows["z"].min() < 0.01
    assert Counter(several.groupby("object_id")["class"].nunique())[2] == 1


def test_the_command_says_what_it_read_and_refused(
    tmp_path: Path,
    real_spectra: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    shards = {"split": {"shards": {"train": 1, "val": 1, "test": 1}}}
    Path("mine.yaml").write_text(json.dumps({"run": "mine", **shards}))
    Path("bad").mkdir()
    for path in (real_spectra / "lamost_Cmost").iterdir():
        Path("bad", path.name).write_bytes(path.read_bytes())
    Path("bad/x.fits").write_bytes(path.read_bytes()[:99])
    call("catalog", "--config", "mine.yaml", "--from-files", "bad")
    printed = capsys.readouterr().out
    assert "read 8 spectra" in printed
    assert "refused 3 of 11 files" in printed
    assert "x.fits: truncated gzip" in printed
    assert "8 spectra of 8 objects" in printed
    (command,) = re.findall("go on with: (.*)", printed)
    assert shlex.split(command)[:4] == ["snakemake", "--cores", "all", "--config"]
    over = dict(value.split("=", 1) for value in shlex.split(command)[4:])
    assert over["run"] == "mine"
    split = Split.model_validate_json(over["split"])
    assert (split.shards.train, split.shards.val, split.shards.test) == (1, 1, 1)
    Plan.of_parquet(Path("results/mine/catalog.parquet")).check_settings(split, tmp_path)
    assert len(read_parquet(Path("results/mine/catalog.parquet"))) == 8


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (["survey", "--config", "{}", "--survey", "lamost"], 2, "switched on are sdss"),
        (["catalog", "--config", "{}"], 3, "run `specvit survey --survey sdss`"),
        (["catalog", "--config", "{}", "--run", "x"], 2, "--run needs --from-files"),
        (["catalog", "--from-files", "nowhere"], 3, "nowhere is not a folder"),
    ],
)
def test_mistakes_end_in_a_sentence(
    args: list[str],
    code: int,
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    config = json.dumps({"surveys": {"sdss": {"base_url": "simulated:"}}})
    with pytest.raises(SystemExit) as stopped:
        call(*(config if arg == "{}" else arg for arg in args))
    assert stopped.value.code == code
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("surveys", "words"),
    [
        ({"lamost": {"select": {"zwarning_zero": True}}}, "LAMOST has no redshift warning flag"),
        ({"lamost": {"select": {"primary_only": True}}}, "marks no spectrum"),
        ({"lamost": {"select": {"programs": ["x"]}}}, "names no programme"),
        ({"sdss": {"select": {"require": ["teff"]}}}, "release dr17 has no Teff"),
        ({"sdss": {"release": "dr18", "stellar_parameters": True}}, "dr19, dr20, dr20-epoch have"),
        ({"sdss": {"release": "dr19", "select": {"science_only": True}}}, "TARGETTYPE"),
        ({"sdss": {"release": "dr19", "select": {"surveys": ["boss"]}}}, "in release dr17"),
        ({"lamost": {"layout": "nightly"}}, "needs the unpacked tars"),
        ({"files": {"base_url": "file:///x", "select": {"surveys": ["boss"]}}}, "sort the files"),
        ({"sdss": {"select": {"max_per_class": {"STAR": 0}}}}, "must be at least 1"),
        (
            {"sdss": {"select": {"classes": ["QSO"], "max_per_class": {"STAR": 5}}}},
            "max_per_class names ['STAR'], which classes leaves out",
        ),
        ({"sdss": {"select": {"subclasses": {"STAR": ["A("]}}}}, "no regular expression"),
        ({"sdss": {"select": {"box": {"ra": [0, 10], "dec": [5, 1]}}}}, "dec must go from low"),
        ({"sdss": {"select": {"box": {"ra": [0, 400], "dec": [1, 5]}}}}, "ra must be between"),
        ({"sdss": {"select": {"z_range": [1, 0]}}}, "z_range must go from low to high"),
        ({"sdss": {"select": {"progams": ["x"]}}}, "did you mean programs?"),
    ],
)
def test_what_a_survey_cannot_honour_is_refused(surveys: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        validate({"surveys": surveys})
    assert words in str(caught.value)
    assert "surveys." in str(caught.value)


def test_a_task_needs_a_survey_that_has_its_labels() -> None:
    surveys: dict[str, object] = {"sdss": {}, "lamost": {}}
    with pytest.raises(ConfigError, match="tasks names logg, teff, which no survey here has"):
        validate({"surveys": surveys, "tasks": ["class", "teff", "logg"]})
    for key, over in (("lamost", {}), ("sdss", {"release": "dr19"})):
        having = {**surveys, key: {**over, "stellar_parameters": True}}
        assert validate({"surveys": having, "tasks": ["class", "teff"]}).tasks == ("class", "teff")


def test_both_stages_read_only_their_keys(tmp_path: Path) -> None:
    source = json.dumps(
        {
            "results_dir": str(tmp_path / "results"),
            "surveys": {"sdss": {"base_url": "simulated:"}},
            "simulated": {"sdss_spectra": 120, "lamost_spectra": 20},
            "split": {"shards": {"train": 2, "val": 1, "test": 1}},
            "download": {"cache_dir": str(tmp_path / "cache")},
        }
    )
    from specvit.catalog.build import build_catalog
    from specvit.catalog.survey import select_survey

    select_survey(load_stage([source], "survey"), "sdss")
    build_catalog(load_stage([source], "catalog"))
    frame = read_parquet(load_config([source]).paths.catalog)
    # The path is where the simulated sky, and so the real tree, has the file.
    row = frame.iloc[0]
    plate, mjd, fiber = (int(part) for part in row["identity"].split("-"))
    run2d = row["path"].split("/redux/")[1].split("/")[0]
    assert row["path"] == RELEASES["dr17"].path(plate, mjd, fiber, run2d)
