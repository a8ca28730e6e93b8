"""What baselines were chosen from, as the report shows it."""

from specvit.report.grids import COLUMNS, grid_rows

POINTS = [{"C": 1.0, "whiten": False}, {"C": 10.0, "whiten": True}]
SVM = {
    "tasks": ["class"],
    "class": {
        "grid": [{**point, "score": 0.02 - 0.01 * i} for i, point in enumerate(POINTS)],
        "chosen": POINTS[0],
        "criterion": "val: share of wrong answers",
        "kernel": "rbf",
    },
}
TEMPLATE = {
    "tasks": ["class"],
    "grid": [{"templates": 3, "score": 0.5}],
    "chosen": {"templates": 3},
    "criterion": "val",
}


def test_each_grid_is_a_row_with_the_score_of_the_choice():
    rows = grid_rows({"vit": {"seconds": 1}, "svm": SVM, "template": TEMPLATE})
    assert rows == [
        (
            *("SVM", "class", "C 1, 10; whiten no, yes", "C 1, whiten no", "0.02"),
            *("val: share of wrong answers", "rbf"),
        ),
        ("Templates", "all", "templates 3", "templates 3", "0.5", "val", "–"),
    ]
    assert all(len(row) == len(COLUMNS) for row in rows)


def test_the_sample_of_each_tree_is_told():
    forest = {**SVM["class"], "trees": 200, "rows_each_tree": 20000}
    del forest["kernel"]
    (row,) = grid_rows({"random_forest": {"tasks": ["redshift"], "redshift": forest}})
    assert row[-1] == "200 trees of 20000 spectra each"


def test_a_baseline_that_chose_nothing_has_no_row():
    assert grid_rows({"knn": {"tasks": ["class"], "class": {}}}) == []
