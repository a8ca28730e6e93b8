"""One table of what each system of the benchmark `real` reaches, with paired intervals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from specvit.evaluate import exact_interval, rounded
from specvit.metrics.answers import scores_of
from specvit.metrics.definitions import SHARES
from specvit.metrics.groups import Group
from specvit.metrics.score import Estimate, score
from specvit.tasks import CLASSES, TASKS

SAMPLES = 2000
SEED = 1
TYPES = ("A", "F", "G", "K", "M")
FAINT = (10.0, 20.0)
"""S/N of the LAMOST stars that the simulated sky's network once lost."""
OVERALL = "all"
FEWEST = 10
"""Spectra of which a figure is given."""


@dataclass(frozen=True)
class Figure:
    """One row of the table: a metric of a task, over some spectra."""

    title: str
    task: str
    metric: str


BY_CLASS = {
    "STAR": "stars",
    "GALAXY": "galaxies",
    "QSO": "quasars",
}


def figures_of(
    frame: pd.DataFrame, apart: str | None = None
) -> dict[tuple[Figure, str], NDArray[np.bool_]]:
    """Every figure with the group that it is of, and that group's rows, (n,).

    One group is of all spectra but those of the folder `apart`.
    """
    surveys = {OVERALL: np.ones(len(frame), dtype=bool)}
    if apart is not None:
        inside = frame["path"].map(lambda path: apart in Path(path).parent.parts)
        surveys[f"without {apart}"] = ~inside.to_numpy(bool)
    surveys |= {name: (frame["survey"] == name).to_numpy() for name in sorted(set(frame["survey"]))}
    is_class = {label: (frame["class"] == label).to_numpy() for label in CLASSES}
    found = {}
    for survey, here in surveys.items():
        found[Figure("class, balanced accuracy", "class", "balanced_accuracy"), survey] = here
        types = frame["stellar_type_true"].isin(TYPES).to_numpy() & here
        title = "stellar type (A F G K M), balanced accuracy"
        found[Figure(title, "stellar_type", "balanced_accuracy"), survey] = types
        for label, name in BY_CLASS.items():
            rows = is_class[label] & here
            found[Figure(f"redshift success, {name}", "redshift", "success"), survey] = rows
            nmad = Figure(f"sigma_NMAD, {name}", "redshift", "sigma_nmad")
            found[nmad, survey] = rows
            if survey == OVERALL:
                held = Figure(f"68 % interval holds, {name}", "redshift", "coverage_68")
                found[held, survey] = rows
    low, high = FAINT
    snr = frame["snr"].to_numpy(float)
    faint = (
        is_class["STAR"] & (frame["survey"] == "lamost").to_numpy() & (low <= snr) & (snr < high)
    )
    title = f"stars at S/N {low:g} to {high:g} recalled"
    found[Figure(title, "class", "recall_STAR"), "lamost"] = faint
    return found


def compare(
    systems: Mapping[str, pd.DataFrame], ours: str | None, apart: str | None = None
) -> dict[str, Any]:
    """Value and 95 % interval of each figure for each system, and the differences ours - other.

    Intervals are of the same 2,000 bootstrap samples by object, so that differences are paired.
    """
    first = next(iter(systems.values()))
    found: list[dict[str, Any]] = []
    objects = pd.factorize(first["object_id"])[0]
    for (figure, survey), rows in figures_of(first, apart).items():
        task = TASKS[figure.task]
        known = first[f"{task.name}_true"].notna().to_numpy()
        chosen = rows & known
        entry: dict[str, Any] = {
            **{"figure": figure.title, "of": survey, "metric": figure.metric},
            "spectra": int(chosen.sum()),
            "objects": len(set(objects[chosen])),
        }
        if chosen.sum() < FEWEST:
            continue
        scores = {name: scores_of(frame, task) for name, frame in systems.items()}
        group = Group("chosen", figure.title, chosen[known])
        scored = score(scores, [group], objects[known], SAMPLES, SEED)
        estimates = {
            name: by_group["chosen", figure.title][figure.metric]
            for name, by_group in scored.items()
            if systems[name][f"{task.name}_pred"].notna().any()
        }
        entry["systems"] = {
            name: _entry(estimate, figure, entry["objects"]) for name, estimate in estimates.items()
        }
        if ours in estimates:
            entry["differences"] = {
                name: _entry(estimates[ours] - estimate)
                for name, estimate in estimates.items()
                if name != ours
            }
        found.append(entry)
    return {"figures": found, "spectra": counts(first)}


def counts(frame: pd.DataFrame) -> dict[str, Any]:
    """How many spectra and objects of each class and survey there are, and stars of each type."""
    by = frame.groupby(["class", "survey"])["object_id"].agg(["size", "nunique"])
    return {
        "all": len(frame),
        "objects": int(frame["object_id"].nunique()),
        "by_class_and_survey": {
            f"{label} {survey}": {"spectra": int(row["size"]), "objects": int(row["nunique"])}
            for (label, survey), row in by.iterrows()
        },
        "stellar_types": frame["stellar_type_true"].value_counts().to_dict(),
        "with_redshift": int(frame["redshift_true"].notna().sum()),
    }


def _entry(estimate: Estimate, figure: Figure | None = None, objects: int = 0) -> dict[str, Any]:
    low, high = estimate.interval
    # Draws of a sample without failures have none: the interval of so many trials instead.
    if figure is not None and figure.metric in SHARES and low == high and estimate.value in (0, 1):
        low, high = exact_interval(estimate.value, objects)
    return {"value": rounded(estimate.value), "lo": rounded(low), "hi": rounded(high)}


def markdown(result: Mapping[str, Any], titles: Mapping[str, str], ours: str) -> str:
    """The table as Markdown: a column a system, * where the difference to ours is certain."""
    names = list(titles)
    lines = [
        f"| figure | of | spectra | {' | '.join(titles.values())} |",
        f"|---|---|--:|{'---|' * len(names)}",
    ]
    for entry in result["figures"]:
        cells = [_cell(entry, name) for name in names]
        start = f"| {entry['figure']} | {entry['of']} | {entry['spectra']} |"
        lines.append(f"{start} {' | '.join(cells)} |")
    spectra = result["spectra"]
    groups = spectra["by_class_and_survey"].items()
    told = ", ".join(f"{count['spectra']} {name}" for name, count in groups)
    found = spectra["stellar_types"]
    types = ", ".join(f"{found[name]} {name}" for name in TYPES if name in found)
    lines += [
        "",
        f"{spectra['all']} spectra of {spectra['objects']} objects ({told}; stars of known type: "
        f"{types}; {spectra['with_redshift']} with a redshift). Brackets: 95 % intervals from "
        f"{SAMPLES:,} bootstrap samples by object. `*`: {titles[ours]} is better, `!`: worse, with "
        "a paired 95 % interval that leaves out 0. Not shown: figures of fewer than "
        f"{FEWEST} spectra. Class and survey are confounded: nearly all "
        "galaxies and quasars are SDSS.",
    ]
    return "\n".join(lines) + "\n"


def _cell(entry: Mapping[str, Any], name: str) -> str:
    found = entry["systems"].get(name)
    if found is None or found["value"] is None:
        return "-"
    digits = 5 if entry["metric"] == "sigma_nmad" else 3
    text = f"{found['value']:.{digits}f}"
    if found["lo"] is not None:
        text += f" [{found['lo']:.{digits}f}, {found['hi']:.{digits}f}]"
    gap = entry.get("differences", {}).get(name)
    if gap is None or gap["lo"] is None or entry["metric"] == "coverage_68":
        return text
    sign = -1 if entry["metric"] == "sigma_nmad" else 1
    low, high = sorted((sign * gap["lo"], sign * gap["hi"]))
    return text + (" *" if low > 0 else " !" if high < 0 else "")
