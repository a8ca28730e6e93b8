"""The paper's claims beside this run's numbers, with verdicts by rules that are written out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from specvit.metrics.definitions import METRICS
from specvit.report.findings import VIT
from specvit.report.names import TASK_NAMES, model_name
from specvit.report.tables import Cell, Entry, Number, decided, overall, task_names

PAPER = "Moraes et al. 2026, A&A 709, A122"
PAPER_URL = "https://doi.org/10.1051/0004-6361/202555748"
ASTROCLIP_R2 = 0.99
BAR = ASTROCLIP_R2 - 0.01  # what still counts as comparable
# What is shown for each class; the first metric of each task gives the verdict.
BY_CLASS = {
    "class": ("accuracy",),
    "redshift": ("success", "sigma_nmad", "outlier_0.05"),
}
PAPER_BASELINES = ("svm", "random_forest")

Verdict = Literal["yes", "no", "undecided", "not tested"]


@dataclass(frozen=True)
class Row:
    """Measured facts below a claim, and what they say of it (None: context only)."""

    cells: tuple[Cell, ...]
    verdict: Verdict | None = None


@dataclass(frozen=True)
class Claim:
    """What the paper says, the rule by which this run is held against it, and the outcome."""

    statement: str
    rule: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]

    @property
    def verdict(self) -> Verdict:
        """`no` if any row says no, then undecided, then yes; not tested if no row says."""
        found = {row.verdict for row in self.rows if row.verdict}
        order: tuple[Verdict, ...] = ("no", "undecided", "yes")
        return next((verdict for verdict in order if verdict in found), "not tested")


def claims(metrics: dict[str, Any]) -> list[Claim]:
    """The three claims of the abstract, held against this run."""
    return [_above_baselines(metrics), _redshift(metrics), _across_types(metrics)]


def _above_baselines(metrics: dict[str, Any]) -> Claim:
    rows: list[Row] = []
    for task in task_names(metrics):
        entry = metrics["tasks"][task]
        if entry["kind"] != "classification" or not _has(metrics, task):
            continue
        name = TASK_NAMES[task]
        ours = Number("accuracy", overall(metrics, task, VIT)["accuracy"])
        rows.append(Row((f"ViT, {name}", ours, "–")))
        for other in PAPER_BASELINES:
            label = f"{model_name(other)}, {name}"
            if other not in entry["models"]:
                rows.append(Row((label, "not part of this run", "–")))
                continue
            theirs = Number("accuracy", overall(metrics, task, other)["accuracy"])
            difference = entry["differences"][other]["all"]["all"]["accuracy"]
            verdict = _sign_verdict(decided("accuracy", difference))
            rows.append(Row((label, theirs, Number("accuracy", difference)), verdict))
    return Claim(
        "Classification accuracy is higher than that of Support Vector Machines and Random "
        "Forests.",
        "Yes where the 95 % interval of the paired difference lies above 0, no where it lies "
        "below, undecided where it contains 0.",
        ("Model and task", "Accuracy", "ViT − model"),
        tuple(rows),
    )


def _redshift(metrics: dict[str, Any]) -> Claim:
    shown = ("r2", "success", "sigma_nmad", "outlier_0.05")
    rows: list[Row] = []
    for model in (VIT, *PAPER_BASELINES):
        if _has(metrics, "redshift") and model in metrics["tasks"]["redshift"]["models"]:
            found = overall(metrics, "redshift", model)
            numbers = [Number(metric, found[metric]) for metric in shown]
            verdict = _bar_verdict(found["r2"]) if model == VIT else None
            rows.append(Row((model_name(model), *numbers), verdict))
    return Claim(
        "R² of redshift is comparable to that of AstroCLIP's spectrum encoder "
        f"({ASTROCLIP_R2} on DESI, its README).",
        f"Yes where the whole 95 % interval of R² is at or above {BAR:g}, no where it is below, "
        "undecided where it contains it. The samples differ: here stars, galaxies and quasars, "
        "there DESI's galaxies. R² also hides failures, so success, scatter and outliers "
        "stand beside it.",
        ("Model", *(METRICS[metric].title for metric in shown)),
        tuple(rows),
    )


def _across_types(metrics: dict[str, Any]) -> Claim:
    tasks = [(task, m) for task, m in BY_CLASS.items() if _has(metrics, task)]
    rows: list[Row] = []
    for group in metrics["tasks"][tasks[0][0]]["groups"] if tasks else []:
        if group["by"] == "class":
            rows += _rows_of_class(metrics, group, tasks)
    titles = [METRICS[metric].title for _, shown in tasks for metric in shown]
    return Claim(
        "This holds across diverse object types.",
        "Yes for a class where the ViT is behind neither SVM nor Random Forest beyond the 95 % "
        "interval of the paired difference, in accuracy and in redshift success; no where it is; "
        "undecided with too few spectra.",
        ("Class", "Model", *titles),
        tuple(rows),
    )


def _rows_of_class(
    metrics: dict[str, Any], group: dict[str, Any], tasks: list[tuple[str, tuple[str, ...]]]
) -> list[Row]:
    name = group["name"]
    signs = []
    rows: list[Row] = []
    for model in (VIT, *PAPER_BASELINES):
        numbers: list[Cell] = []
        for task, shown in tasks:
            entry = metrics["tasks"][task]
            values = entry["models"].get(model, {}).get("groups", {}).get("class", {}).get(name)
            numbers += [
                Number(m, values[m], small=group["small"]) if values else "–" for m in shown
            ]
            if values and model != VIT:
                difference = entry["differences"][model]["class"][name][shown[0]]
                signs.append(decided(shown[0], difference))
        if any(isinstance(number, Number) for number in numbers):
            label = f"{name} ({group['n']})" if not rows else ""
            rows.append(Row((label, model_name(model), *numbers)))
    if not signs:
        return rows
    verdict: Verdict = "no" if min(signs) < 0 else "undecided" if group["small"] else "yes"
    return [Row(rows[0].cells, verdict), *rows[1:]]


def _has(metrics: dict[str, Any], task: str) -> bool:
    return task in metrics["tasks"] and VIT in metrics["tasks"][task]["models"]


def _sign_verdict(sign: int) -> Verdict:
    return "yes" if sign > 0 else "no" if sign < 0 else "undecided"


def _bar_verdict(entry: Entry) -> Verdict:
    if entry["lo"] is None:
        return "undecided"
    return "yes" if entry["lo"] >= BAR else "no" if entry["hi"] < BAR else "undecided"
