"""Sentences and verdicts computed from the numbers, favourable or not."""

import copy
from pathlib import Path

import pytest

from specvit.errors import ConfigError
from specvit.report.claims import check_claims, read_paper
from specvit.report.findings import findings
from specvit.report.results import decided

PAPER = read_paper(Path(__file__).resolve().parents[2] / "workflow" / "report" / "paper.yaml")


def text_about(metrics, subject):
    return next(f.text for f in findings(metrics) if f.subject == subject)


def gap(value, low, high):
    return {"value": value, "lo": low, "hi": high, "p": 0.001}


def test_best_model_is_named_even_when_it_is_not_the_vit(run):
    metrics = copy.deepcopy(run.metrics)
    assert "The best success rate is that of the ViT" in text_about(metrics, "Redshift")
    found = metrics["tasks"]["redshift"]
    found["models"]["svm"]["groups"]["all"]["all"]["success"] = {"value": 1, "lo": 0.99, "hi": 1}
    found["differences"]["svm"]["all"]["all"]["success"] = gap(-0.1, -0.2, -0.05)
    text = text_about(metrics, "Redshift")
    assert "The best success rate is that of the SVM, 1.000 [0.990, 1.000]" in text
    assert "the ViT is behind with" in text
    assert "(decided: ViT − SVM is −0.10 [−0.20, −0.05])" in text


def verdicts(metrics):
    return [claim.verdict for claim in check_claims(PAPER, metrics)]


def test_claims_follow_the_numbers(run):
    metrics = copy.deepcopy(run.metrics)
    accuracy = check_claims(PAPER, metrics)[0]
    for row in accuracy.rows:
        if row.verdict is not None:
            difference = row.cells[2]
            expected = {1: "yes", -1: "no", 0: "undecided"}
            assert row.verdict == expected[decided("accuracy", difference.entry)]
    differences = metrics["tasks"]["class"]["differences"]
    for other in ("svm", "random_forest"):
        differences[other]["all"]["all"]["accuracy"] = gap(0.1, 0.05, 0.2)
    assert verdicts(metrics)[0] == "yes"
    differences["svm"]["all"]["all"]["accuracy"] = gap(0.1, -0.05, 0.2)
    assert verdicts(metrics)[0] == "undecided"


def with_encoder(run, low, high, name="specformer"):
    """The run's metrics, as if the encoder had been trained too, at this distance in R2."""
    metrics = copy.deepcopy(run.metrics)
    entry = metrics["tasks"]["redshift"]
    entry["models"][name] = copy.deepcopy(entry["models"]["svm"])
    entry["differences"][name] = copy.deepcopy(entry["differences"]["svm"])
    entry["differences"][name]["all"]["all"]["r2"] = gap(0.0, low, high)
    return metrics


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (-0.005, 0.02, "yes"),
        (0.02, 0.05, "yes"),
        (-0.02, 0.01, "undecided"),
        (-0.05, -0.02, "no"),
        (None, None, "undecided"),
    ],
)
def test_r2_is_held_against_astroclips_encoder_of_this_run(run, low, high, verdict):
    assert verdicts(with_encoder(run, low, high))[1] == verdict


def test_each_system_of_the_paper_has_its_number_or_was_not_run(run):
    metrics = with_encoder(run, -0.05, -0.02)
    claim = check_claims(PAPER, metrics)[1]
    assert all(len(row.cells) == len(claim.columns) for row in claim.rows)
    told = {row.cells[0]: row for row in claim.rows}
    assert list(told) == [
        *("ViT", "SVM", "Random Forest"),
        *("SpecFormer, MLP", "SpecFormer, k-NN", "SpecFormer, fine-tuned"),
    ]
    assert told["SpecFormer, MLP"].verdict == claim.verdict == "no"
    assert told["SpecFormer, k-NN"].cells[1] == "not part of this run"
    models = metrics["tasks"]["redshift"]["models"]
    r2 = models["specformer"]["groups"]["all"]["all"]["r2"]
    assert told["SpecFormer, MLP"].cells[1].entry == r2
    without = check_claims(PAPER, run.metrics)[1]
    assert without.verdict == "not tested"


def test_a_class_where_the_vit_is_behind_breaks_the_third_claim(run):
    # Random Forest is decidedly better at stars in the made-up run.
    claim = check_claims(PAPER, run.metrics)[2]
    assert claim.verdict == "no"
    by_class = {row.cells[0].split()[0]: row.verdict for row in claim.rows if row.verdict}
    assert by_class["STAR"] == "no"
    metrics = copy.deepcopy(run.metrics)
    for task in ("class", "redshift"):
        for model in ("svm", "random_forest"):
            for values in metrics["tasks"][task]["differences"][model]["class"].values():
                for entry in values.values():
                    entry.update(value=0.0, lo=-0.1, hi=0.1, p=0.001)
    assert verdicts(metrics)[2] == "yes"
    for group in metrics["tasks"]["class"]["groups"]:
        group["small"] = True
    assert verdicts(metrics)[2] == "undecided"


def test_without_the_baselines_nothing_is_claimed(run):
    metrics = copy.deepcopy(run.metrics)
    for entry in metrics["tasks"].values():
        for name in ("svm", "random_forest"):
            del entry["models"][name], entry["differences"][name]
    first, _, third = verdicts(metrics)
    assert first == "not tested"
    assert third == "not tested"
    for number in (0, 2):
        told = [row.cells for row in check_claims(PAPER, metrics)[number].rows]
        not_run = [cells for cells in told if "not part of this run" in cells]
        assert {"SVM", "Random Forest"} <= {
            name.partition(",")[0] for cells in not_run for name in cells[:2]
        }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: A", "url: Field required"),
        ("name: [", "while parsing"),
        (None, "No such file"),
        (
            "{name: A, url: u, baselines: [], claims: "
            "[{check: above, statement: s, rule: r, metric: acuracy}]}",
            r"claims: .*'acuracy'",
        ),
    ],
)
def test_claims_that_cannot_be_read_are_refused_with_a_sentence(tmp_path, text, message):
    path = tmp_path / "paper.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_paper(path)
