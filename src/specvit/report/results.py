"""What metrics.json holds: which tasks, which models, whose value is best, what is decided."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from specvit.metrics.definitions import METRICS, improvement
from specvit.report.table import Entry
from specvit.tasks import TASKS

SIGNIFICANCE = 0.05
"""The chance that any comparison of the report is decided between equal models."""


def task_names(metrics: dict[str, Any]) -> list[str]:
    """The tasks of the run, in the order in which the package lists them."""
    return [name for name in TASKS if name in metrics["tasks"]]


def compared(metrics: dict[str, Any], task: str) -> list[str]:
    """The ViT and the baselines that answer a task: what tables in detail compare."""
    others = set(metrics["networks"][1:])
    return [name for name in each_once(metrics, task) if name not in others]


def each_once(metrics: dict[str, Any], task: str) -> list[str]:
    """The models that answer a task, of each experiment the network of its first seed alone."""
    extra = {name for names in metrics["seeds"].values() for name in names[1:]}
    found = metrics["tasks"][task]["models"]
    return [name for name in metrics["models"] if name in found and name not in extra]


def overall(metrics: dict[str, Any], task: str, model: str) -> dict[str, Entry]:
    """A model's metrics over all test spectra."""
    found: dict[str, Entry] = metrics["tasks"][task]["models"][model]["groups"]["all"]["all"]
    return found


def best_model(
    metrics: dict[str, Any], task: str, models: Sequence[str], metric: str
) -> str | None:
    """The model with the best value of a metric that has a better direction (first of equals)."""
    if METRICS[metric].better not in ("higher", "lower"):
        return None
    values = {m: overall(metrics, task, m).get(metric, {}).get("value") for m in models}
    known = {m: v for m, v in values.items() if v is not None}
    sign = 1 if METRICS[metric].better == "higher" else -1
    return max(known, key=lambda m: sign * known[m]) if known else None


def note(metrics: dict[str, Any]) -> str:
    """What a caption says of the intervals, and that the data are simulated."""
    weights = "these weights"
    if any(len(names) > 1 for names in metrics["seeds"].values()):
        weights += "; how much they matter, the spread over seeds shows"
    text = (
        f"95 % intervals from {metrics['bootstrap']} bootstrap samples drawn by object, for "
        f"{weights}."
    )
    return f"{text} Simulated data." if metrics["simulated"] else text


BY_NAMES = {
    "class": "Class",
    "survey": "Survey",
    "snr": "S/N",
    "z": "Redshift",
    "subclass": "Subclass",
}


def group_name(by: str, name: str) -> str:
    """A group as people write it: `LAMOST`, `< 0.005`, `5 to 10`."""
    return (
        name.upper()
        if by == "survey"
        else name.replace("-", "\N{MINUS SIGN}", 1)
        if by in ("z", "snr")
        else name
    )


def decided(metric: str, difference: Entry) -> int:
    """1 where the ViT is better beyond doubt, -1 where it is worse, else 0.

    Decided is what Holm's adjusted p-value over all comparisons of the report puts below 0.05 and
    whose own 95 % interval does not hold 0.
    """
    low, high, p = (difference.get(key) for key in ("lo", "hi", "p"))
    if low is None or high is None or low <= 0 <= high or p is None or p > SIGNIFICANCE:
        return 0
    return improvement(metric, difference["value"])
