"""metrics.json of a whole run: complete, repeatable, and refusing what cannot be compared."""

import json

import pytest
import sklearn.metrics as sk
from made_run import MadeRun, rewrite

from specvit.config import load_stage
from specvit.errors import DataError
from specvit.evaluate import evaluate
from specvit.io import read_json, read_parquet, write_json, write_parquet
from specvit.plan import Plan
from specvit.predictions import WEIGHTS_HASH

SMALL = {"train": 60, "val": 60, "test": 150}


@pytest.fixture
def small(tmp_path):
    made = MadeRun(str(tmp_path), spectra=SMALL, settings={"evaluate": {"bootstrap": 50}})
    made.write()
    return made


def evaluated(made):
    return evaluate(load_stage(made.inline, "evaluate"))


def test_values_are_those_of_the_predictions(run):
    frame = read_parquet(run.config.paths.predictions("svm"))
    found = run.metrics["tasks"]["class"]["models"]["svm"]
    everything = found["groups"]["all"]["all"]
    true, pred = frame["class_true"], frame["class_pred"]
    assert everything["accuracy"]["value"] == pytest.approx(sk.accuracy_score(true, pred), abs=1e-6)
    labels = run.metrics["tasks"]["class"]["labels"]
    assert found["confusion"] == sk.confusion_matrix(true, pred, labels=labels).tolist()
    qso = frame[frame["class"] == "QSO"]
    assert found["groups"]["class"]["QSO"]["accuracy"]["value"] == pytest.approx(
        sk.accuracy_score(qso["class_true"], qso["class_pred"]), abs=1e-6
    )
    redshift = run.metrics["tasks"]["redshift"]["models"]["svm"]["groups"]["all"]["all"]
    assert redshift["r2"]["value"] == pytest.approx(
        sk.r2_score(frame["redshift_true"], frame["redshift_pred"]), rel=1e-5
    )


def test_every_task_model_and_group_is_there(run):
    for task in ("class", "redshift"):
        found = run.metrics["tasks"][task]
        assert list(found["models"]) == sorted(run.config.model_names)
        assert sorted(found["differences"]) == ["random_forest", "svm", "vit-half"]
        kinds = {group["by"] for group in found["groups"]}
        assert kinds == {"all", "class", "survey", "snr", "z", "subclass"}
        for by in kinds:
            assert sum(g["n"] for g in found["groups"] if g["by"] == by) == found["spectra"]


def test_small_groups_are_marked(run):
    groups = run.metrics["tasks"]["class"]["groups"]
    for group in groups:
        assert group["small"] == (group["n"] < run.metrics["min_group"])
    assert any(group["small"] for group in groups)


def test_intervals_hold_their_values_and_differences_agree(run):
    for found in run.metrics["tasks"].values():
        ours = found["models"]["vit"]["groups"]["all"]["all"]
        for model, differences in found["differences"].items():
            theirs = found["models"][model]["groups"]["all"]["all"]
            for metric, entry in differences["all"]["all"].items():
                expected = ours[metric]["value"] - theirs[metric]["value"]
                assert entry["value"] == pytest.approx(expected, abs=2e-5)
        for groups in found["models"]["vit"]["groups"].values():
            for metrics in groups.values():
                for name in ("accuracy", "success", "sigma_nmad", "ece"):
                    entry = metrics.get(name)
                    if entry and entry["lo"] is not None:
                        assert entry["lo"] <= entry["value"] <= entry["hi"], name


def test_all_right_or_all_wrong_still_has_an_interval(run):
    found = run.metrics["tasks"]["class"]
    stars = found["models"]["random_forest"]["groups"]["class"]["STAR"]["accuracy"]
    objects = next(g["objects"] for g in found["groups"] if g["name"] == "STAR")
    assert stars["value"] == 1
    assert stars["lo"] == pytest.approx(0.025 ** (1 / objects), abs=1e-5)


def test_calibration_is_fitted_on_val_and_helps(run):
    fitted = run.metrics["tasks"]["class"]["models"]["svm"]["calibration"]
    assert fitted["val"] == run.metrics["val"]["spectra"]
    assert fitted["temperature"] > 1.5, "the made-up SVM is too sure of itself"
    for metric in ("nll", "ece"):
        assert fitted["after"][metric]["value"] < fitted["before"][metric]["value"]
    redshift = run.metrics["tasks"]["redshift"]["models"]["vit"]["calibration"]
    assert redshift["interval_factor"] > 1, "the made-up intervals are too narrow"
    before, after = (
        {name: abs(entry["value"] - 0.68) for name, entry in redshift[when].items()}
        for when in ("before", "after")
    )
    assert set(after) == {"all", "STAR", "GALAXY", "QSO"}
    assert after["all"] < before["all"]
    assert redshift["by_class"]["STAR"] > 1


def test_what_was_fitted_lies_beside_each_model(run):
    for model in run.config.model_names:
        written = read_json(run.config.paths.calibration(model))
        found = run.metrics["tasks"]
        fitted = found["class"]["models"][model]["calibration"]["temperature"]
        assert written["tasks"]["class"]["temperature"] == fitted
        by_class = found["redshift"]["models"][model]["calibration"]["by_class"]
        assert written["tasks"]["redshift"]["by_class"] == by_class
        assert (written["run"], written["model"]) == ("made", model)
        assert written["plan"] == run.metrics["plan"]


def test_the_threshold_is_of_val_and_what_it_gives_of_test(run):
    frame = read_parquet(run.config.paths.predictions("svm"))
    found = run.metrics["tasks"]["class"]["models"]["svm"]["selective"]
    columns = [f"class_prob_{label}" for label in run.metrics["tasks"]["class"]["labels"]]
    kept = frame[frame[columns].max(axis=1) >= found["threshold"]]
    assert found["refused_at_target"]["value"] == pytest.approx(
        1 - len(kept) / len(frame), abs=0.01
    )
    wrong = (kept["class_true"] != kept["class_pred"]).mean()
    assert found["risk_at_target"]["value"] == pytest.approx(wrong, abs=0.01)
    val = read_parquet(run.config.paths.predictions("svm", "val"))
    val = val[val[columns].max(axis=1) >= found["threshold"]]
    assert (val["class_true"] != val["class_pred"]).mean() <= run.metrics["target_risk"]


def test_differences_that_are_shown_are_one_family(run):
    family = [
        entry["p"]
        for task in run.metrics["tasks"].values()
        for by_group in task["differences"].values()
        for groups in by_group.values()
        for metrics in groups.values()
        for entry in metrics.values()
        if entry["p"] is not None
    ]
    assert len(family) == run.metrics["comparisons"] > 50
    assert all(0 <= p <= 1 for p in family)
    differences = run.metrics["tasks"]["class"]["differences"]
    assert differences["vit-half"]["all"]["all"]["accuracy"]["p"] is not None
    stars = differences["vit-half"]["class"]["STAR"]["accuracy"]
    assert stars["p"] is None, "not in the report"
    assert run.metrics["tasks"]["redshift"]["differences"]["svm"]["all"]["all"]["bias"]["p"] is None


def test_made_twice_the_same_and_json_without_nan(small):
    first, second = (json.dumps(evaluated(small), allow_nan=False) for _ in range(2))
    assert first == second


def test_a_model_that_does_not_answer_a_task_is_left_out_of_it(small):
    config = load_stage(small.inline, "evaluate")
    for split in ("val", "test"):
        path = config.paths.predictions("svm", split)
        frame = read_parquet(path)
        frame["redshift_pred"] = None
        rewrite(path, frame)
    found = evaluated(small)["tasks"]
    assert "svm" not in found["redshift"]["models"]
    assert "svm" in found["class"]["models"]


def change(made, model, edit):
    path = load_stage(made.inline, "evaluate").paths.predictions(model)
    rewrite(path, edit(read_parquet(path)))


def test_models_given_other_spectra_are_refused(small):
    change(small, "svm", lambda frame: frame.iloc[1:])
    with pytest.raises(DataError, match="vit and svm are not of the same spectra: 1 are in one"):
        evaluated(small)


def test_models_of_another_plan_are_refused(small):
    path = load_stage(small.inline, "evaluate").paths.predictions("svm")
    write_parquet(path, read_parquet(path), Plan({"selection": "0123456789ab"}).metadata)
    with pytest.raises(DataError, match=r"svm\.parquet and .*vit\.parquet are of different plans"):
        evaluated(small)


def test_predictions_of_other_weights_are_refused(small):
    config = load_stage(small.inline, "evaluate")
    summary = config.paths.model_dir("vit") / "training.json"
    write_json(summary, read_json(summary) | {WEIGHTS_HASH: "ab" * 32})
    with pytest.raises(DataError, match=r"vit\.parquet was predicted by other weights .*abababab"):
        evaluated(small)


def test_predictions_that_name_no_weights_are_refused(small):
    path = load_stage(small.inline, "evaluate").paths.predictions("vit", "val")
    write_parquet(path, read_parquet(path), Plan.of_parquet(path).metadata)
    with pytest.raises(DataError, match=r"val/vit\.parquet .* \(none are named\)"):
        evaluated(small)


def test_models_given_other_labels_are_refused(small):
    change(small, "svm", lambda frame: frame.assign(redshift_true=frame["redshift_true"] + 0.1))
    with pytest.raises(DataError, match="vit and svm disagree on redshift_true"):
        evaluated(small)


def test_probabilities_that_are_none_are_refused(small):
    change(small, "svm", lambda frame: frame.assign(class_prob_STAR=2.0))
    with pytest.raises(DataError, match=r"test predictions of svm: .* are not all between 0 and 1"):
        evaluated(small)


def test_a_task_without_labels_is_refused(small):
    def unlabelled(frame):
        return frame.assign(redshift_true=float("nan"))

    for model in ("vit", "svm", "random_forest"):
        change(small, model, unlabelled)
    with pytest.raises(DataError, match="no test spectrum has a label of the task redshift"):
        evaluated(small)
