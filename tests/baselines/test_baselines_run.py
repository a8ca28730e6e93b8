"""From shards to predictions: every spectrum once, nothing leaks, the same bytes again."""

from __future__ import annotations

import json
import shutil
from importlib import metadata
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_flux import configuration, make, write_run, write_shard

import specvit
from specvit import cli
from specvit.baselines import forest, load_baseline, run_baseline
from specvit.baselines.rows import labels_of, read_shard
from specvit.baselines.store import load_skops
from specvit.config import load_stage
from specvit.config.baselines import registered
from specvit.config.models import Config
from specvit.errors import DataError, TrainingError
from specvit.predictions import check_predictions
from specvit.tasks import tasks_of

ALL = [
    *("svm", "random_forest", "knn", "cnn1d", "template"),
    *("specformer", "specformer_knn", "specformer_tuned"),
]
TOO_SHORT = {"cnn1d", "specformer", "specformer_knn", "specformer_tuned"}
"""Trained here for two epochs of three steps."""


def config(folder: Path, baseline: str | None = None, **changes) -> Config:
    sources = [json.dumps(configuration(folder, **changes))]
    return load_stage(sources, "baselines", baseline=baseline)


def shard(folder: Path, name: str) -> Path:
    return folder / "made" / "shards" / "stacked-32" / f"{name}.tar"


def predictions(folder: Path, name: str, split: str = "test") -> pd.DataFrame:
    return pd.read_parquet(config(folder).paths.predictions(name, split))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run in which every baseline was trained."""
    folder = tmp_path_factory.mktemp("made")
    write_run(folder)
    for name in ALL:
        run_baseline(config(folder, name, baselines={"models": ALL}), name)
    return folder


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("split", ["val", "test"])
def test_every_spectrum_of_a_split_is_predicted_once_with_its_own_labels(made, name, split):
    tasks = tasks_of(["class", "redshift"])
    frame = pd.read_parquet(config(made).paths.predictions(name, split))
    check_predictions(frame, tasks)
    truth = read_shard(shard(made, f"{split}-000000")).table.set_index("spectrum_id")
    assert sorted(frame["spectrum_id"]) == sorted(truth.index)
    truth = truth.loc[frame["spectrum_id"]]
    assert list(frame["class_true"]) == list(truth["class"])
    assert list(frame["redshift_true"]) == list(truth["z"])
    assert np.all(frame["redshift_lo"] <= frame["redshift_pred"])
    assert np.all(frame["redshift_pred"] <= frame["redshift_hi"])
    assert frame["redshift_pit"].between(0, 1).all()
    assert set(frame["class_pred"]) <= {"STAR", "GALAXY", "QSO"}
    if name not in TOO_SHORT:
        assert np.mean(frame["class_pred"] == frame["class_true"]) > 0.9


@pytest.mark.parametrize("name", ALL)
def test_the_summary_tells_what_was_done(made, name):
    told = json.loads((made / "made" / "models" / name / "training.json").read_text())
    assert told["spectra"] == {"train": 180, "val": 60}
    assert told["predicted"] == {"val": 60, "test": 45}
    assert told["seconds"].keys() == {"read", "fit", "predict"}
    assert told["peak_rss_mb"] > 50
    assert told["seed"] == 1
    assert set(told["files"]) == set(registered()[name].files)  # what the workflow declares
    chosen = told.get("class", told)
    assert chosen["chosen"]
    assert len(chosen["grid"]) > 1
    assert all(np.isfinite(point["score"]) for point in chosen["grid"])


FLOAT32 = 16 * np.finfo(np.float32).eps


@pytest.mark.parametrize("name", ALL)
def test_a_loaded_model_predicts_what_the_file_says(made, name):
    model = load_baseline(config(made).paths.model_dir(name), name)
    rows = read_shard(shard(made, "test-000000"))
    columns = model.predict(rows.flux)["redshift"].columns(
        tasks_of(["redshift"])[0], rows.table["z"].to_numpy()
    )
    frame = predictions(made, name).set_index("spectrum_id").loc[rows.table["spectrum_id"]]
    # Products in float32, in an order that processor and threads choose, of numbers like 1 + z.
    np.testing.assert_allclose(
        frame["redshift_pred"], columns["redshift_pred"], rtol=1e-6, atol=FLOAT32
    )


def test_a_model_whose_files_are_not_those_recorded_is_refused(made, tmp_path):
    folder = shutil.copytree(config(made).paths.model_dir("svm"), tmp_path / "svm")
    model = folder / "model.skops"
    model.write_bytes(model.read_bytes() + b"\0")
    with pytest.raises(DataError, match=r"model\.skops is not the file that .*training\.json"):
        load_baseline(folder, "svm")
    model.unlink()
    with pytest.raises(DataError, match=r"model\.skops does not exist"):
        load_baseline(folder, "svm")
    (folder / "training.json").unlink()
    with pytest.raises(DataError, match=r"training\.json does not exist"):
        load_baseline(folder, "svm")


@pytest.mark.parametrize("name", ["svm", "random_forest", "knn", "template"])
def test_a_rerun_gives_the_same_predictions(made, name, tmp_path):
    write_run(tmp_path)
    run_baseline(config(tmp_path, name, baselines={"models": [name]}), name)
    for split in ("val", "test"):
        paths = [config(folder).paths.predictions(name, split) for folder in (made, tmp_path)]
        assert paths[0].read_bytes() == paths[1].read_bytes()


@pytest.mark.parametrize("name", ["svm", "knn", "template"])
def test_nothing_of_the_test_split_reaches_the_model(made, name, tmp_path):
    """Other test spectra with other labels: what the model says of any spectrum is the same."""
    write_run(tmp_path)
    rows, flux = make(45, 99, prefix="other")
    write_shard(shard(tmp_path, "test-000000"), [{**row, "class": "QSO"} for row in rows], -flux)
    run_baseline(config(tmp_path, name, baselines={"models": [name]}), name)
    pd.testing.assert_frame_equal(
        predictions(made, name, "val"), predictions(tmp_path, name, "val")
    )
    probe = read_shard(shard(made, "test-000000"))
    here, there = (
        load_baseline(config(folder).paths.model_dir(name), name).predict(probe.flux)
        for folder in (made, tmp_path)
    )
    for task in tasks_of(list(here)):
        truth = labels_of(probe.table, task)
        for column, values in here[task.name].columns(task, truth).items():
            np.testing.assert_array_equal(values, there[task.name].columns(task, truth)[column])


def test_labels_of_the_test_split_change_no_prediction(made, tmp_path):
    write_run(tmp_path)
    rows, flux = make(45, 20, prefix="test")
    lies = [{**row, "class": "STAR", "z": 0.0} for row in rows]
    write_shard(shard(tmp_path, "test-000000"), lies, flux)
    run_baseline(config(tmp_path), "svm")
    told, lied = predictions(made, "svm"), predictions(tmp_path, "svm")
    assert set(lied["class_true"]) == {"STAR"}
    for column in ("class_pred", "class_prob_QSO", "redshift_pred", "redshift_lo", "redshift_hi"):
        pd.testing.assert_series_equal(told[column], lied[column])


def test_labels_of_the_val_split_do_nothing_but_choose(tmp_path, monkeypatch):
    """With one point in the grid there is nothing to choose: wrong val labels change nothing."""
    monkeypatch.setattr(forest, "MAX_FEATURES", ("sqrt",))
    monkeypatch.setattr(forest, "LEAVES", (1,))
    baselines = {"models": ["random_forest"]}
    found = []
    for name, wrong in (("right", False), ("wrong", True)):
        write_run(tmp_path / name)
        if wrong:
            rows, flux = make(60, 10, prefix="val")
            labels = [{"class": row["class"], "z": row["z"]} for row in rows[::-1]]
            lies = [{**row, **label} for row, label in zip(rows, labels, strict=True)]
            write_shard(shard(tmp_path / name, "val-000000"), lies, flux)
        run_baseline(config(tmp_path / name, baselines=baselines), "random_forest")
        found.append(predictions(tmp_path / name, "random_forest"))
    pd.testing.assert_frame_equal(*found)


def test_features_are_fitted_on_train_alone(made, tmp_path):
    write_run(tmp_path)
    write_shard(shard(tmp_path, "val-000000"), *make(60, 77, snr=3, prefix="val"))
    run_baseline(config(tmp_path), "svm")
    here, there = (
        load_skops(folder / "made" / "models" / "svm" / "model.skops")["features"]
        for folder in (made, tmp_path)
    )
    np.testing.assert_array_equal(here["pca"].components_, there["pca"].components_)
    np.testing.assert_array_equal(here["scaler"].mean_, there["scaler"].mean_)


def test_a_row_without_a_label_is_left_out_of_that_fit_and_predicted_all_the_same(tmp_path):
    write_run(tmp_path)
    for name, seed in (("train-000000", 0), ("val-000000", 10), ("test-000000", 20)):
        prefix = name.split("-")[0] + ("0" if "train" in name else "")
        rows, flux = make(60 if seed < 20 else 45, seed, prefix=prefix)
        for row in rows[:10]:
            row["z"] = None
        write_shard(shard(tmp_path, name), rows, flux)
    tasks = ["class", "stellar_type", "redshift", "teff"]
    told = run_baseline(
        config(tmp_path, tasks=tasks, baselines={"models": ["random_forest"]}), "random_forest"
    )
    assert told["class"]["train_labelled"] == 180
    assert told["redshift"]["train_labelled"] == 170
    assert told["teff"]["train_labelled"] == told["stellar_type"]["train_labelled"] == 60
    frame = pd.read_parquet(config(tmp_path).paths.predictions("random_forest"))
    check_predictions(frame, tasks_of(tasks))
    assert len(frame) == 45
    assert frame["redshift_true"].isna().sum() == frame["redshift_pit"].isna().sum() == 10
    assert frame[["redshift_pred", "redshift_lo", "teff_pred", "teff_hi"]].notna().all().all()
    assert frame.loc[frame["class"] != "STAR", "stellar_type_true"].isna().all()
    assert frame["stellar_type_pred"].notna().all()


def test_the_template_leaves_other_tasks_unanswered(tmp_path):
    write_run(tmp_path)
    told = run_baseline(
        config(tmp_path, tasks=["redshift", "teff"], baselines={"models": ["template"]}),
        "template",
    )
    assert told["tasks"] == ["redshift"]
    frame = predictions(tmp_path, "template")
    assert "teff_pred" not in frame
    assert "class_pred" not in frame


def test_the_package_need_not_be_installed_as_in_a_conda_environment(tmp_path, monkeypatch):
    found = metadata.Distribution.from_name

    def from_name(name: str) -> metadata.Distribution:
        return found("not-there" if name == "specvit" else name)

    monkeypatch.setattr(metadata.Distribution, "from_name", from_name)
    write_run(tmp_path)
    told = run_baseline(config(tmp_path, baselines={"models": ["template"]}), "template")
    assert told["versions"]["specvit"] == specvit.__version__


def test_the_data_section_narrows_what_is_learned_from_but_not_the_test(tmp_path):
    write_run(tmp_path)
    told = run_baseline(
        config(tmp_path, data={"train_surveys": ["sdss"], "train_fraction": 0.5}), "svm"
    )
    assert told["spectra"]["val"] == 30
    assert 25 < told["spectra"]["train"] < 65
    assert told["predicted"] == {"val": 60, "test": 45}


def test_the_command_makes_one_model_by_name_or_all(tmp_path, capsys):
    write_run(tmp_path)
    settings = json.dumps(configuration(tmp_path, baselines={"models": ["svm", "knn"]}))
    cli.main(["baselines", "--config", settings, "--model", "knn"])
    assert "knn: 180 train spectra, 45 test spectra" in capsys.readouterr().out
    assert not (tmp_path / "made" / "models" / "svm").exists()
    cli.main(["baselines", "--config", settings])
    assert len(predictions(tmp_path, "svm")) == 45


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"class": None}, "no spectrum of the train split has a label for the task class"),
        ({"class": "STAR"}, "every train spectrum has the label STAR"),
    ],
)
def test_a_task_that_cannot_be_learned_is_refused_with_a_sentence(tmp_path, change, message):
    write_run(tmp_path)
    for i in range(3):
        rows, flux = make(60, i, prefix=f"train{i}")
        write_shard(shard(tmp_path, f"train-{i:06d}"), [{**row, **change} for row in rows], flux)
    with pytest.raises(TrainingError, match=message):
        run_baseline(config(tmp_path), "svm")


def test_shards_of_another_plan_are_refused(tmp_path):
    write_run(tmp_path)
    with pytest.raises(DataError, match=r"another plan .* split\.shards\.train = 3, not 2"):
        run_baseline(config(tmp_path, split={"shards": {"train": 2, "val": 1, "test": 1}}), "knn")


def test_shards_of_another_grid_are_refused(tmp_path):
    write_run(tmp_path)
    with pytest.raises(DataError, match="has other plots"):
        run_baseline(config(tmp_path, grid={"pixels": 256}), "svm")


def test_missing_shards_end_the_command_with_a_sentence(tmp_path, capsys):
    with pytest.raises(SystemExit) as exit_:
        cli.main(["baselines", "--config", json.dumps(configuration(tmp_path))])
    assert exit_.value.code == DataError.exit_code
    assert (
        "train-000000.index.parquet does not exist: make it with specvit shards"
        in capsys.readouterr().err
    )
