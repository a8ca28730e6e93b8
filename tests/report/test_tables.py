"""Tables: the same numbers in CSV, LaTeX and on the page."""

import csv
import io

import pytest

from specvit.config.experiments import Experiment
from specvit.io import csv_text
from specvit.report import tables
from specvit.report.table import Number, escape


def rows_of(path):
    with path.open(newline="", encoding="utf-8") as handle:
        return list(csv.DictReader(handle))


def test_headline_csv_holds_the_unrounded_numbers(run):
    rows = rows_of(run.config.paths.tables / "headline_redshift.csv")
    names = ["ViT (base run)", "vit-half", "SVM", "Random Forest"]
    assert [row["Model"] for row in rows] == names
    expected = run.metrics["tasks"]["redshift"]["models"]["svm"]["groups"]["all"]["all"]
    for metric in ("success", "sigma_nmad", "r2"):
        assert float(rows[2][metric]) == expected[metric]["value"]
        assert float(rows[2][f"{metric}_lo"]) == expected[metric]["lo"]
        assert float(rows[2][f"{metric}_hi"]) == expected[metric]["hi"]


def test_metrics_csv_is_all_of_metrics_json(run):
    rows = rows_of(run.config.paths.tables / "metrics.csv")
    found = {(r["task"], r["model"], r["by"], r["group"], r["metric"]): r["value"] for r in rows}
    assert len(found) == len(rows)
    for task, entry in run.metrics["tasks"].items():
        for model, answers in entry["models"].items():
            for by, groups in answers["groups"].items():
                for name, metrics in groups.items():
                    # No spreadsheet may take "-0.02 to 0.005" for a formula.
                    cell = f"'{name}" if name.startswith("-") else name
                    for metric, value in metrics.items():
                        text = found.pop((task, model, by, cell, metric))
                        assert text == ("" if value["value"] is None else str(value["value"]))
    assert not found


def test_confusion_csv_counts_every_spectrum(run):
    rows = rows_of(run.config.paths.tables / "confusion.csv")
    mine = [row for row in rows if row["model"] == "vit" and row["task"] == "class"]
    assert sum(int(row["spectra"]) for row in mine) == run.metrics["tasks"]["class"]["spectra"]


def test_every_table_is_whole_latex(run):
    made = sorted(path.stem for path in run.config.paths.tables.glob("*.tex"))
    assert {"headline_class", "groups_redshift", "experiments_class"} <= set(made)
    for path in run.config.paths.tables.glob("*.tex"):
        text = path.read_text(encoding="utf-8")
        for part in ("table*", "tabular"):
            assert text.count(rf"\begin{{{part}}}") == text.count(rf"\end{{{part}}}") == 1
        columns = len(text.split(r"\begin{tabular}{")[1].split("}")[0])
        lines = [line for line in text.splitlines() if line.endswith(r"\\")]
        assert {line.count("&") - line.count(r"\&") + 1 for line in lines} == {columns}
        assert text.count("$") % 2 == 0
        assert "Simulated data" in text
        assert text.isascii(), [c for c in text if not c.isascii()]


def test_digits_are_those_that_the_interval_supports():
    def shown(metric, value, low, high):
        return str(Number(metric, {"value": value, "lo": low, "hi": high}))

    assert shown("accuracy", 0.95912, 0.94213, 0.97444) == "0.959 [0.942, 0.974]"
    assert shown("accuracy", 0.95912, 0.95012, 0.96844) == "0.959 [0.950, 0.968]"
    assert shown("accuracy", 0.982345, 0.981444, 0.983246) == "0.9823 [0.9814, 0.9832]"
    assert shown("nll", 0.3004, 0.2021, 0.3942) == "0.30 [0.20, 0.39]"
    assert shown("rmse", 152.34, 140.1, 166.2) == "152 [140, 166]"
    assert shown("sigma_nmad", 0.0008625, 0.000593, 0.00124) == "0.86 [0.59, 1.24]"
    assert shown("success", 1.0, 1.0, 1.0) == "1.0000 [1.0000, 1.0000]"
    assert shown("success", 0.5, None, None) == "0.5000"
    assert shown("success", None, None, None) == "–"


def test_spectra_without_a_label_are_counted_in_the_caption(run):
    entry = {**run.metrics["tasks"]["redshift"], "spectra": 65, "unlabelled": 1}
    metrics = {**run.metrics, "tasks": {"redshift": entry}}
    caption = tables.headline(metrics, "redshift").caption
    assert "The other 1 of the 66 test spectra has no redshift in the catalogue." in caption
    assert "other" not in tables.headline(run.metrics, "redshift").caption


def test_latex_error_bars_have_the_decimals_of_the_value(run):
    table = tables.headline(run.metrics, "redshift")
    scatter = table.rows[0][table.columns.index("σ_NMAD [10⁻³]")]
    decimals = len(scatter.value.split(".")[1])
    line = next(x for x in table.as_latex().splitlines() if x.startswith("ViT"))
    cell = line.split(" & ")[2]
    numbers = cell.replace(r"\mathbf", "").strip("${}").replace("_{-", " ").replace("}^{+", " ")
    assert [len(n.strip("}").split(".")[1]) for n in numbers.split()] == [decimals] * 3


@pytest.mark.parametrize(
    ("text", "expected"),
    [("50 % & a_b", r"50 \% \& a\_b"), ("σ − 1", r"$\sigma$ $-$ 1"), ("R²", "R$^2$")],
)
def test_escape(text, expected):
    assert escape(text) == expected


def test_best_of_each_column_is_bold_and_only_that(run):
    table = tables.headline(run.metrics, "class")
    for column, name in enumerate(table.columns[1:], start=1):
        cells = [row[column] for row in table.rows]
        values = [cell.entry["value"] for cell in cells]
        best = min(values) if name == "ECE" else max(values)
        assert [cell.strong for cell in cells] == [value == best for value in values]


def test_calibration_is_shown_before_and_after_by_class(run):
    rows = rows_of(run.config.paths.tables / "calibration_redshift.csv")
    mine = [row for row in rows if row["Model"] == "ViT"]
    assert [row["Class"] for row in mine] == ["all", "STAR", "GALAXY", "QSO"]
    found = run.metrics["tasks"]["redshift"]["models"]["vit"]["calibration"]
    for row in mine:
        for when in ("before", "after"):
            value = float(row[f"68_%_coverage_{when}"])
            assert value == found[when][row["Class"]]["value"]
    assert float(mine[1]["interval_factor"]) == found["by_class"]["STAR"]


def test_experiments_say_what_differs(run):
    table = tables.experiments(run.metrics, run.config.experiments, "class")
    differs = {row[0]: row[1] for row in table.rows}
    assert differs == {
        "ViT": "the base run",
        "vit-half": "data.train_fraction = 0.5",
        "SVM": "baseline",
        "Random Forest": "baseline",
    }
    assert "Accuracy (LAMOST)" in table.columns
    both = Experiment(name="x", render={"mode": "line"}, data={"train_surveys": ["sdss", "lamost"]})
    assert tables.describe(both) == "render.mode = line, data.train_surveys = sdss, lamost"
    alone = {**run.metrics, "networks": ["vit"]}
    assert tables.experiments(alone, (), "class") is None


def test_tables_of_an_earlier_configuration_are_removed(run, tmp_path):
    (tmp_path / "headline_teff.tex").write_text("old")
    (tmp_path / "notes.txt").write_text("a person's own")
    tables.write_tables(tmp_path, run.metrics, run.config.experiments)
    assert not (tmp_path / "headline_teff.tex").exists()
    assert (tmp_path / "notes.txt").exists()
    for path in tmp_path.glob("*.csv"):
        assert path.read_bytes() == (run.config.paths.tables / path.name).read_bytes()


def test_csv_of_a_missing_value_is_empty():
    text = csv_text(["a", "b"], [[None, 1]])
    assert list(csv.reader(io.StringIO(text))) == [["a", "b"], ["", "1"]]
