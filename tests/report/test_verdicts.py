"""Verdicts: the ViT against each other model, in every metric and in groups, favourable or not."""

import copy
import csv

import pytest

from specvit.report.results import decided
from specvit.report.verdicts import comparisons, verdicts


def row_of(table, name):
    return dict(zip(table.columns, next(row for row in table.rows if row[0] == name), strict=True))


def every_difference(metrics, task, model):
    for groups in metrics["tasks"][task]["differences"][model].values():
        yield from groups.values()


def test_every_other_model_has_a_verdict_in_every_directed_metric(run):
    table = verdicts(run.metrics, "redshift")
    assert [row[0] for row in table.rows] == ["vit-half", "SVM", "Random Forest"]
    assert "Bias [10⁻³]" not in table.columns, "has no better direction"
    assert row_of(table, "vit-half")["In groups"] == "–"
    for row in table.rows:
        for cell in row[1:-1]:
            assert cell.word == {1: "better", -1: "worse", 0: "undecided"}[cell.verdict]
    assert f"all {run.metrics['comparisons']} comparisons" in table.caption


def test_random_forest_is_said_to_be_better_where_it_is(run):
    # The made-up Random Forest knows every star.
    text = row_of(verdicts(run.metrics, "class"), "Random Forest")["In groups"]
    inside = [c for c in comparisons(run.metrics, "class", "random_forest") if c.by != "all"]
    counts = [sum(c.verdict == sign for c in inside) for sign in (1, -1, 0)]
    assert text.startswith("{} better, {} worse, {} undecided. Worse: ".format(*counts))
    assert "accuracy for class STAR" in text


def test_a_gain_is_positive_where_the_vit_is_better(run):
    metrics = copy.deepcopy(run.metrics)
    for values in every_difference(metrics, "redshift", "svm"):
        for entry in values.values():
            entry.update(value=0.02, lo=0.01, hi=0.04, p=0.001)
    row = row_of(verdicts(metrics, "redshift"), "SVM")
    assert str(row["Success rate"]) == "0.020 [0.010, 0.040]"
    assert row["Success rate"].word == "better"
    # A share of outliers is better where it is lower.
    assert str(row["|Δz| > 0.05"]) == "−0.020 [−0.040, −0.010]"
    assert row["|Δz| > 0.05"].word == "worse"


def test_a_difference_within_the_interval_or_chance_is_undecided(run):
    metrics = copy.deepcopy(run.metrics)
    for values in every_difference(metrics, "class", "svm"):
        for entry in values.values():
            entry.update(value=-0.01, lo=-0.04, hi=0.02, p=0.001)
    row = row_of(verdicts(metrics, "class"), "SVM")
    assert {row[name].word for name in ("Accuracy", "Macro F1", "ECE")} == {"undecided"}
    assert row["In groups"].startswith("0 better, 0 worse, ")


def test_many_lost_groups_are_counted(run):
    metrics = copy.deepcopy(run.metrics)
    for values in every_difference(metrics, "class", "svm"):
        for entry in values.values():
            entry.update(value=-0.1, lo=-0.2, hi=-0.05, p=0.001)
    text = row_of(verdicts(metrics, "class"), "SVM")["In groups"]
    lost = sum(c.by != "all" for c in comparisons(metrics, "class", "svm"))
    assert text.startswith(f"0 better, {lost} worse, 0 undecided. Worse: ")
    assert text.endswith(f"; and {lost - 3} more")


def test_the_csv_has_verdicts_and_plain_numbers(run):
    path = run.config.paths.tables / "verdicts_class.csv"
    with path.open(newline="", encoding="utf-8") as handle:
        rows = {row["The ViT against"]: row for row in csv.DictReader(handle)}
    found = run.metrics["tasks"]["class"]["differences"]["svm"]["all"]["all"]["ece"]
    assert float(rows["SVM"]["ece"]) == -found["value"]
    assert float(rows["SVM"]["ece_lo"]) == -found["hi"]
    assert rows["SVM"]["ece_verdict"] in ("better", "worse", "undecided")


def test_one_model_alone_has_no_verdicts(run):
    metrics = copy.deepcopy(run.metrics)
    metrics["tasks"]["class"]["differences"] = {}
    assert verdicts(metrics, "class") is None


def test_decided_follows_interval_p_value_and_direction():
    better = {"value": 0.1, "lo": 0.05, "hi": 0.2, "p": 0.01}
    assert decided("accuracy", better) == 1
    assert decided("sigma_nmad", better) == -1
    assert decided("accuracy", {**better, "p": 0.06}) == 0, "one of many comparisons"
    assert decided("accuracy", {**better, "p": None}) == 0
    assert decided("accuracy", {**better, "lo": -0.01}) == 0
    assert decided("accuracy", {**better, "lo": None, "hi": None}) == 0


@pytest.mark.parametrize("task", ["class", "redshift"])
def test_groups_are_coloured_as_decided(run, task):
    from specvit.report import tables

    table = tables.groups(run.metrics, task)
    at = table.columns.index("Random Forest")
    vit = table.columns.index("ViT")
    found = {c.group: c for c in comparisons(run.metrics, task, "random_forest")}
    assert all(row[vit].verdict == 0 for row in table.rows)
    coloured = {row[1]: row[at].verdict for row in table.rows}
    assert -found["STAR"].verdict == coloured["STAR"]
