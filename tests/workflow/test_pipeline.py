"""From catalogue to report on the real Snakefile: simulated spectra, and the real files."""

from __future__ import annotations

import json
import math

import pandas as pd
import pytest

from specvit.paths import RunPaths

# One group: the finished run that they share is made once, by one test process.
pytestmark = [pytest.mark.workflow, pytest.mark.xdist_group("finished")]

REAL = {
    "run": "real",
    "tasks": ["class", "redshift"],
    "surveys": {"sdss": None, "lamost": None},
    # Few spectra: three shards of each is one of each.
    "split": {
        "val_fraction": 0.2,
        "test_fraction": 0.3,
        "shards": {"train": 2, "val": 1, "test": 1},
    },
}


def test_every_spectrum_is_accounted_for(finished) -> None:
    paths = RunPaths(finished.run_folder)
    catalog = pd.read_parquet(paths.catalog)
    assert len(catalog) > 200
    ledgers = pd.concat([pd.read_parquet(paths.ledger(s)) for s in sorted(set(catalog["shard"]))])
    assert sorted(ledgers["spectrum_id"]) == sorted(catalog["spectrum_id"])
    assert set(ledgers["status"]) >= {"ok", "missing"}
    index = json.loads(paths.shards_summary("stacked-32").read_text())
    drawn = sum(shard["spectra"] for shard in index["shards"])
    assert drawn + len(index["dropped"]) == len(catalog)
    assert drawn <= (ledgers["status"] == "ok").sum()


def test_every_model_predicts_each_test_spectrum_once(finished) -> None:
    paths = RunPaths(finished.run_folder)
    catalog = pd.read_parquet(paths.catalog).set_index("spectrum_id")
    index = json.loads(paths.shards_summary("stacked-32").read_text())
    dropped = {row["spectrum_id"] for row in index["dropped"]}
    for split in ("test", "val"):
        expected = set(catalog.index[catalog["split"] == split]) - dropped
        for model in ("vit", "svm", "random_forest"):
            predictions = pd.read_parquet(paths.predictions(model, split))
            assert predictions["spectrum_id"].is_unique
            assert set(predictions["spectrum_id"]) == expected
            truth = catalog.loc[predictions["spectrum_id"], "class"]
            assert (predictions["class_true"].to_numpy() == truth.to_numpy()).all()


def test_no_object_is_in_two_splits(finished) -> None:
    catalog = pd.read_parquet(RunPaths(finished.run_folder).catalog)
    assert catalog.groupby("object_id")["split"].nunique().max() == 1
    assert catalog["object_id"].nunique() < len(catalog)  # there are repeats to keep together


def test_simulated_is_said(finished) -> None:
    assert "simulated" in RunPaths(finished.run_folder).report.read_text().lower()


def test_snakemakes_own_report_has_a_front_page_and_says_simulated(finished, tmp_path) -> None:
    page = tmp_path / "snakemake.html"
    finished.run("--report", str(page))
    text = page.read_text()
    assert "learned from SDSS, LAMOST by a vision transformer" in text
    assert "svm, random_forest on the same rows" in text
    # The front page says so, and the caption of each output.
    assert text.count("The data are <strong>simulated</strong>") > 5


def test_real_files_from_catalogue_to_predictions(workflow, real_spectra, real_index) -> None:
    over = {**REAL, "surveys": {**REAL["surveys"], "files": {"base_url": real_spectra.as_uri()}}}
    workflow.run("evaluate", over=over)
    paths = RunPaths(workflow.folder / "results" / "real")
    catalog = pd.read_parquet(paths.catalog)
    assert not catalog["simulated"].any()
    named = {row["file"]: row for row in real_index}
    assert set(catalog["path"]) <= set(named)
    for row in catalog.itertuples():
        z = float(named[row.path]["z"])
        if z == -9999:  # LAMOST's "none": null in the catalogue, never a number
            assert math.isnan(row.z)
        else:
            assert row.z == pytest.approx(z, abs=1e-9)
        assert row.snr == pytest.approx(float(named[row.path]["snr"]), abs=1e-5)
    predictions = pd.read_parquet(paths.predictions("vit"))
    assert len(predictions) > 30
    assert set(predictions["spectrum_id"]) <= set(catalog["spectrum_id"])
