"""What the numbers say, in sentences computed from metrics.json: favourable or not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from specvit.metrics.definitions import COMPARED, HEADLINE, METRICS, RANKING, improvement, shown
from specvit.report.names import TASK_NAMES, model_name
from specvit.report.tables import (
    BY_NAMES,
    Entry,
    best_model,
    compared,
    decided,
    group_name,
    overall,
    task_names,
)

VIT = "vit"
NAMED = 6  # comparisons named in one sentence


@dataclass(frozen=True)
class Comparison:
    """The paired difference ViT - other in one metric, over all spectra or in one group."""

    metric: str
    by: str
    group: str
    difference: Entry
    small: bool

    @property
    def verdict(self) -> int:
        """1 where it is decided that the ViT is better, -1 that the other is, else 0."""
        return decided(self.metric, self.difference)

    @property
    def ahead(self) -> int:
        """1 where the ViT has the better value, -1 where the other has, 0 where equal."""
        return improvement(self.metric, self.difference["value"])

    @property
    def where(self) -> str:
        """Accuracy for S/N 5 to 10 (by 0.0123); with the power of ten of the metric's title."""
        metric, _, power = METRICS[self.metric].title.rstrip("]").partition(" [")
        if metric.startswith("|"):
            metric = f"share with {metric}"
        elif metric[1:2].islower():
            metric = metric[0].lower() + metric[1:]
        by = BY_NAMES.get(self.by, "").lower().replace("s/n", "S/N")
        place = "" if self.by == "all" else f" for {by} {group_name(self.by, self.group)}"
        gap = shown(self.metric, abs(self.difference["value"]))
        return f"{metric}{place} (by {gap}{f' × {power}' if power else ''})"


def comparisons(metrics: dict[str, Any], task: str, other: str) -> list[Comparison]:
    """Every comparison between the ViT and another model in a task, headline metrics first."""
    entry = metrics["tasks"][task]
    found = entry["differences"].get(other, {})
    directed = [m for m in HEADLINE[entry["kind"]] if METRICS[m].better in ("higher", "lower")]
    result = []
    for group in entry["groups"]:
        by, name = group["by"], group["name"]
        for metric in directed if by == "all" else COMPARED[entry["kind"]]:
            difference = found.get(by, {}).get(name, {}).get(metric)
            if difference and difference["value"] is not None:
                result.append(Comparison(metric, by, name, difference, group["small"]))
    return result


@dataclass(frozen=True)
class Finding:
    """A sentence and what it is about."""

    subject: str
    text: str


def findings(metrics: dict[str, Any]) -> Iterator[Finding]:
    """Which model is best at each task, and wherever another does better than the ViT."""
    for task in task_names(metrics):
        models = compared(metrics, task)
        name = TASK_NAMES[task].capitalize()
        yield Finding(name, _best(metrics, task, models))
        for other in models:
            if other != VIT and VIT in models:
                subject = f"{name}, {model_name(other)} against the ViT"
                yield Finding(subject, _against(metrics, task, other))


def _best(metrics: dict[str, Any], task: str, models: list[str]) -> str:
    metric = RANKING[metrics["tasks"][task]["kind"]]
    title = METRICS[metric].title.lower()
    best = best_model(metrics, task, models, metric)
    if best is None:
        return f"No model has a {title}."
    value = _with_interval(metric, overall(metrics, task, best)[metric])
    sentence = f"The best {title} is that of the {model_name(best)}, {value}"
    if best == VIT or VIT not in models:
        return sentence + "."
    difference = metrics["tasks"][task]["differences"][best]["all"]["all"][metric]
    ours = shown(metric, overall(metrics, task, VIT)[metric]["value"])
    sure = "decided" if decided(metric, difference) else "not decided"
    gap = _with_interval(metric, difference)
    return f"{sentence}; the ViT is behind with {ours} ({sure}: ViT − {model_name(best)} is {gap})."


def _against(metrics: dict[str, Any], task: str, other: str) -> str:
    """Where another model does better than the ViT, told apart from what chance would give."""
    found = comparisons(metrics, task, other)
    name = model_name(other)
    worse = [c for c in found if c.verdict < 0]
    ahead = [c for c in found if c.ahead < 0]
    ours = sum(c.verdict > 0 for c in found)
    tally = f"Of {len(found)} comparisons, {ours} are decided for the ViT"
    if worse:
        return f"{tally} and {len(worse)} for {name}. {name} does better in {_listed(worse)}."
    if ahead:
        return (
            f"{tally}, none for {name}. {name} has the better value, undecided, in "
            f"{_listed(ahead)}."
        )
    return f"{tally}, none for {name}, which has the better value in none."


def _listed(found: list[Comparison]) -> str:
    """The first few in words, those over all spectra before groups; all are in the tables."""
    places = [c.where + (", few spectra" if c.small else "") for c in found[:NAMED]]
    more = len(found) - len(places)
    return "; ".join(places) + (f"; and {more} more (all in metrics.json)" if more else "")


def _with_interval(metric: str, entry: Entry) -> str:
    value = shown(metric, entry["value"])
    if entry["lo"] is None:
        return value
    return f"{value} [{shown(metric, entry['lo'])}, {shown(metric, entry['hi'])}]"
