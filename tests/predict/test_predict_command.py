"""`specvit predict` as people call it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import small_model
from click.testing import CliRunner, Result

from spectrum_files import galaxy_flux, sdss_file
from specvit import find_model
from specvit.commands.predict import command
from specvit.errors import ConfigError, DataError
from specvit.paths import RunPaths
from specvit.predict import outputs, prepare


def predict(*args: object) -> Result:
    return CliRunner().invoke(command, [str(arg) for arg in args], catch_exceptions=False)


def rows(path: Path) -> pd.DataFrame:
    readers = {".csv": pd.read_csv, ".parquet": pd.read_parquet, ".json": pd.read_json}
    return readers[path.suffix](path)


def test_one_row_a_spectrum_in_every_format(folder: Path, spectra: Path, tmp_path: Path) -> None:
    (spectra / "bad.fits").write_bytes(b"<html>")
    found = {}
    for kind in ("csv", "parquet", "json"):
        out = tmp_path / f"out.{kind}"
        assert predict("--model", folder, "-o", out, spectra, "none.fits").exit_code == 0
        found[kind] = rows(out)
    table = found["parquet"]
    assert [Path(path).name for path in table["path"]] == [
        *("bad.fits", "spec-0.fits", "spec-1.fits", "spec-2.fits", "spec-3.fits", "spec-4.fits"),
        "none.fits",
    ]
    assert "page of HTML" in table["reason"][0]
    assert "No such file" in table["reason"][6]
    good = table[table["reason"].isna()]
    assert len(good) == 5
    assert (good["survey"] == "sdss").all()
    assert (good["id"] == "266-51602-1").all()
    assert set(good["class"]) <= {"STAR", "GALAXY", "QSO"}
    probabilities = good[["class_prob_STAR", "class_prob_GALAXY", "class_prob_QSO"]]
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    assert ((good["z_lo"] <= good["z"]) & (good["z"] <= good["z_hi"])).all()
    assert (good["stellar_type"].notna() == (good["class"] == "STAR")).all()
    for kind in ("csv", "json"):
        assert list(found[kind].columns) == list(table.columns)
        for column in table.columns:
            if pd.api.types.is_float_dtype(table[column]):
                np.testing.assert_allclose(found[kind][column], table[column], rtol=1e-6)
            else:
                told = found[kind][column].fillna("").astype(str)
                assert told.tolist() == table[column].fillna("").tolist()
    assert json.loads((tmp_path / "out.json").read_text())[0]["z"] is None


def test_flags(folder: Path, spectra: Path, tmp_path: Path) -> None:
    wave = np.linspace(5000, 6000, 900)
    pd.DataFrame({"wave": wave, "flux": 1 + 0.01 * np.sin(wave)}).to_csv(
        spectra / "part.csv", index=False
    )
    (spectra / "faint.fits").write_bytes(sdss_file(galaxy_flux(), SN_MEDIAN_ALL=2.0))
    predict("--model", folder, "-o", tmp_path / "out.csv", spectra)
    table = rows(tmp_path / "out.csv").fillna({"flags": ""})
    flags = dict(zip((Path(path).name for path in table["path"]), table["flags"], strict=True))
    assert flags["faint.fits"].startswith("low S/N")
    assert "low S/N" not in flags["spec-0.fits"]
    assert "21% of range covered" in flags["part.csv"]
    assert "noise estimated" in flags["part.csv"]
    half = (table["z_hi"] - table["z_lo"]) / 2 / (1 + table["z"])
    broad = table["flags"].str.contains("no line seen")
    assert (broad == (half > 0.05)).all()


def test_several_processes_give_the_same_rows(
    folder: Path, spectra: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepare, "CHUNK", 2)
    for count in (1, 2):
        out = tmp_path / f"{count}.csv"
        predict("--model", folder, "-o", out, "--processes", count, spectra, *[spectra / "x"] * 5)
    assert (tmp_path / "1.csv").read_bytes() == (tmp_path / "2.csv").read_bytes()
    assert len(rows(tmp_path / "1.csv")) == 10


def test_parquet_is_written_in_groups(
    folder: Path, spectra: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outputs, "GROUP_ROWS", 3)
    monkeypatch.setattr("specvit.predict.model.Model.stream.__defaults__", (1, 2))
    predict("--model", folder, "-o", tmp_path / "out.parquet", spectra, spectra)
    file = pq.ParquetFile(tmp_path / "out.parquet")
    assert file.metadata.num_rows == 10
    assert file.metadata.num_row_groups > 2
    names = [Path(path).name for path in file.read(["path"])["path"].to_pylist()]
    assert names == [f"spec-{i}.fits" for i in range(5)] * 2


def test_without_a_file_csv_goes_into_a_pipe(folder: Path, spectra: Path) -> None:
    done = predict("--model", folder, spectra / "spec-0.fits")
    lines = done.stdout.splitlines()
    assert lines[0].startswith("path,survey,id,class,class_prob_STAR,")
    assert len(lines) == 2


def test_none_predicted_is_an_error_and_still_a_table(folder: Path, tmp_path: Path) -> None:
    fifo = tmp_path / "pipe.fits"
    os.mkfifo(fifo)
    (tmp_path / "empty.fits").touch()
    out = tmp_path / "out.csv"
    with pytest.raises(DataError, match=r"no spectrum was predicted of 2: .*1 x empty file"):
        predict("--model", folder, "-o", out, fifo, tmp_path / "empty.fits")
    assert rows(out)["reason"].tolist() == ["not a regular file", "empty file"]


def test_a_name_that_a_spreadsheet_would_run_is_harmless(
    folder: Path, spectra: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(spectra)
    (spectra / "=1+1.fits").write_bytes(sdss_file(galaxy_flux()))
    predict("--model", folder, "-o", tmp_path / "out.csv", "=1+1.fits")
    assert (tmp_path / "out.csv").read_text().splitlines()[1].startswith("'=1+1.fits,")


def test_wrong_endings_are_told_before_anything_is_done(folder: Path, spectra: Path) -> None:
    with pytest.raises(ConfigError, match=r"one of \.csv, \.parquet, \.json"):
        predict("--model", folder, "-o", "out.xlsx", spectra)


def test_models_by_run_by_folder_and_by_name(
    bare_folder: Path, spectra: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    small_model.save_small(RunPaths(run).model_dir("vit"))
    assert find_model.model_folder(run) == run / "models" / "vit"
    assert find_model.model_folder(run / "models" / "vit") == run / "models" / "vit"
    monkeypatch.setattr(find_model, "RELEASED", tmp_path / "released")
    with pytest.raises(DataError, match="no model is named, and none comes"):
        find_model.model_folder()
    small_model.save_small(tmp_path / "released" / "sky")
    assert find_model.model_folder() == tmp_path / "released" / "sky"
    with pytest.raises(DataError, match=r"'moon' is neither a folder nor .*\(released: sky\)"):
        find_model.model_folder("moon")
    with pytest.raises(DataError, match=r"neither a run nor a model"):
        find_model.model_folder(spectra)
    other = small_model.save_small(RunPaths(tmp_path / "two").model_dir("big"))
    with pytest.raises(DataError, match=rf"vit is not trained yet; there are {other}"):
        find_model.model_folder(tmp_path / "two")


def test_a_model_that_is_not_whole_is_a_sentence(spectra: Path, tmp_path: Path) -> None:
    whole = small_model.save_small(tmp_path / "vit")
    (whole / "model.safetensors").unlink()
    with pytest.raises(DataError, match=r"model\.safetensors does not exist"):
        predict("--model", whole, spectra)
    (whole / "model.json").write_text("{}")
    with pytest.raises(DataError, match="holds no trained model"):
        predict("--model", whole, spectra)
    broken = small_model.save_small(tmp_path / "broken")
    small_model.calibrate(broken, {"tasks": {"class": 3}})
    with pytest.raises(DataError, match=r"calibration\.json is no calibration"):
        predict("--model", broken, spectra)
    (broken / "calibration.json").unlink()
    with pytest.raises(DataError, match="device 'abacus' cannot be used"):
        predict("--model", broken, "--device", "abacus", spectra)


def test_every_row_of_real_desi_coadds(folder: Path, real_desi: Path, tmp_path: Path) -> None:
    many = real_desi / "quasarnp_test_coadd.fits"
    one = real_desi / "coadd-special-dark-27247.fits"
    out = tmp_path / "out.parquet"
    assert predict("--model", folder, "-o", out, many, one).exit_code == 0
    table = rows(out)
    assert list(table["path"]) == [*(f"{many}/row {row}" for row in range(25)), str(one)]
    assert table["reason"].dropna().str.contains("no data").all()  # fibers that saw nothing
    good = table[table["reason"].isna()]
    assert len(good) > 20
    assert (good["survey"] == "desi").all()
    assert table["id"][25] == "39089837499744649"
    assert 0.5 < table["snr"][25] < 1.2  # its SCORES say 0.69, 0.83 and 0.78 by camera
