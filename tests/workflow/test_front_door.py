"""A finished run's models predict files: the numbers are those of its report."""

from __future__ import annotations

import tarfile
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from nbclient import NotebookClient

import specvit
from specvit.commands.predict import command
from specvit.io import read_json
from specvit.metrics.calibration import IntervalFactors, calibrated, widened
from specvit.metrics.classification import ClassScores
from specvit.metrics.values import ValueScores
from specvit.paths import RunPaths
from specvit.predictions import prob_columns
from specvit.tasks import TASKS

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.workflow, pytest.mark.xdist_group("finished")]


def of_the_report(paths: RunPaths, name: str) -> pd.DataFrame:
    """The test split's numbers as evaluation makes them: fitted on val, applied to test."""
    frames = {split: pd.read_parquet(paths.predictions(name, split)) for split in ("val", "test")}
    metrics = read_json(paths.metrics)["tasks"]
    temperature = metrics["class"]["models"][name]["calibration"]["temperature"]
    classes = calibrated(ClassScores.of(frames["test"], TASKS["class"]), temperature)
    val, test = (ValueScores.of(frames[split], TASKS["redshift"]) for split in ("val", "test"))
    values = widened(test, IntervalFactors.fit(val).of(test))
    table = pd.DataFrame(classes.prob, columns=prob_columns(TASKS["class"]))
    table["class"] = frames["test"]["class_pred"]
    table["z"], table["z_lo"], table["z_hi"] = values.pred, values.low, values.high
    return table.set_index(frames["test"]["spectrum_id"])


@pytest.mark.parametrize("name", ["vit", "svm", "random_forest"])
def test_command_api_and_report_give_the_same_numbers(finished, name: str, tmp_path: Path) -> None:
    paths = RunPaths(finished.run_folder)
    tar = paths.spectra("test-000000")
    model = paths.root if name == "vit" else paths.model_dir(name)
    out = tmp_path / "out.parquet"
    options = ["--model", str(model), "-o", str(out), "--processes", "1", str(tar)]
    assert CliRunner().invoke(command, options, catch_exceptions=False).exit_code == 0
    by_command = pd.read_parquet(out)
    by_api = specvit.load(model).predict(str(tar))
    assert by_command["path"].tolist() == by_api["path"].tolist()
    numbers = by_command.select_dtypes("number")
    np.testing.assert_allclose(numbers, by_api[numbers.columns], atol=1e-5)
    ids = by_command["path"].map(lambda path: Path(path).name.partition(".")[0])
    ours = by_command.set_index(ids)
    report = of_the_report(paths, name)
    assert len(report) > 30
    predicted = ours.loc[report.index]  # each spectrum of the split is there
    assert predicted["reason"].isna().all()
    assert predicted["class"].tolist() == report["class"].tolist()
    for column in report.columns.drop("class"):
        np.testing.assert_allclose(predicted[column], report[column], atol=1e-5, err_msg=column)
    # What the report has not, had no spectrum.
    assert ours.drop(report.index)["reason"].notna().all()


def test_the_notebook_runs(finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPECVIT_RUN", str(finished.run_folder))
    notebook = nbformat.read(ROOT / "docs" / "five_minutes.ipynb", as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells)  # small, and of no one's run
    client = NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}})
    done = client.execute()
    shown = [output for cell in done.cells for output in cell.get("outputs", ())]
    assert any("image/png" in output.get("data", {}) for output in shown)
    text = "".join(output.get("data", {}).get("text/html", "") for output in shown)
    assert "class_prob_QSO" in text
    assert "wavelength taken as Angstrom" in text


def test_the_run_says_what_training_was_like(finished) -> None:
    paths = RunPaths(finished.run_folder)
    model = specvit.load(paths.root)
    table = model.predict(str(paths.spectra("test-000000")))
    unlike = table["flags"].str.contains("unlike anything in training")
    assert unlike[table["reason"].isna()].mean() < 0.5
    embeddings = model.embed(str(paths.spectra("test-000000")))
    scores = model.novelty(embeddings)
    np.testing.assert_array_equal(scores > 1, unlike)
    catalogue = pd.read_parquet(paths.catalog).set_index("spectrum_id")
    spectrum = paths.root.parent / "one.fits"
    with tarfile.open(paths.spectra("val-000000")) as tar:
        spectrum.write_bytes(tar.extractfile(tar.next()).read())
    near = model.nearest(spectrum)
    assert (catalogue.loc[near["spectrum_id"], "split"] == "train").all()
    assert (catalogue.loc[near["spectrum_id"], "class"].values == near["class"]).all()


def test_one_file_in_three_lines(finished, tmp_path: Path) -> None:
    paths = RunPaths(finished.run_folder)
    with tarfile.open(paths.spectra("test-000000")) as tar:
        member = tar.extractfile(tar.next())
        data = member.read()
    path = tmp_path / "one.fits"
    path.write_bytes(data)
    table = specvit.load(paths.root).predict([path])
    assert table["class"].notna().all()
    run = specvit.open_run(paths.root)
    assert set(run.models) == {"vit", "svm", "random_forest"}
    assert run.metrics["models"] == run.models
    assert len(run.predictions("vit")) == run.metrics["test"]["spectra"]
    assert len(run.catalogue) > 200
    assert run.figures
    assert "headline_class" in run.tables
