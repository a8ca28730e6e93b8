"""What the numbers say, in sentences computed from metrics.json: favourable or not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from specvit.metrics.definitions import COMPARED, HEADLINE, METRICS, RANKING, improvement, shown
from specvit.report.names import TASK_NAMES, model_name
from specvit.report.tables import BY_NAMES, Entry, best_model, compared, decided, overall

VIT = "vit"


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
        """1 where the ViT is better beyond the interval, -1 where the other is, else 0."""
        return decided(self.metric, self.difference)

    @property
    def ahead(self) -> int:
        """1 where the ViT has the better value, -1 where the other has, 0 where equal."""
        return improvement(self.metric, self.difference["value"])

    @property
    def where(self) -> str:
        """`accuracy for S/N 5 to 10 (by 0.0123)`."""
        metric = METRICS[self.metric].title
        metric = metric if metric[1:2].isupper() or metric[0] in "|σ" else metric.lower()
        place = "" if self.by == "all" else f" for {BY_NAMES[self.by].lower()} {self.group}"
        place = place.replace("s/n", "S/N")
        return f"{metric}{place} (by {shown(self.metric, abs(self.difference['value']))})"


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


def findings(metrics: dict[str, Any]) -> Iterator[str]:
    """Which model is best at each task, and wherever another does better than the ViT."""
    for task in metrics["tasks"]:
        models = compared(metrics, task)
        yield _best(metrics, task, models)
        for other in models:
            if other != VIT and VIT in models:
                yield _against(metrics, task, other)


def _best(metrics: dict[str, Any], task: str, models: list[str]) -> str:
    metric = RANKING[metrics["tasks"][task]["kind"]]
    title, name = METRICS[metric].title.lower(), TASK_NAMES[task].capitalize()
    best = best_model(metrics, task, models, metric)
    if best is None:
        return f"{name}: no model has a {title}."
    value = _with_interval(metric, overall(metrics, task, best)[metric])
    sentence = f"{name}: the best {title} is that of the {model_name(best)}, {value}"
    if best == VIT or VIT not in models:
        return sentence + "."
    difference = metrics["tasks"][task]["differences"][best]["all"]["all"][metric]
    ours = shown(metric, overall(metrics, task, VIT)[metric]["value"])
    sure = "beyond the interval" if decided(metric, difference) else "within the interval"
    gap = _with_interval(metric, difference)
    return f"{sentence}; the ViT is behind with {ours}, {sure} of the difference: {gap}."


def _against(metrics: dict[str, Any], task: str, other: str) -> str:
    """Where another model does better than the ViT, told apart from what chance would give."""
    found = comparisons(metrics, task, other)
    name = f"{TASK_NAMES[task].capitalize()}, {model_name(other)} against the ViT"
    worse = [c for c in found if c.verdict < 0]
    ahead = [c for c in found if c.ahead < 0]
    ours = sum(c.verdict > 0 for c in found)
    tally = f"the ViT is better beyond the 95 % interval in {ours} of {len(found)} comparisons"
    if worse:
        places = "; ".join(c.where + (", few spectra" if c.small else "") for c in worse)
        return (
            f"{name}: {model_name(other)} does better beyond the 95 % interval in {len(worse)} "
            f"of {len(found)} comparisons: {places}. In turn, {tally}."
        )
    if ahead:
        places = "; ".join(c.where for c in ahead[:6])
        more = f"; and {len(ahead) - 6} more" if len(ahead) > 6 else ""
        return (
            f"{name}: {tally}. {model_name(other)} has the better value in {len(ahead)}, none "
            f"beyond the interval: {places}{more}."
        )
    return f"{name}: {tally}. {model_name(other)} has the better value in none."


def _with_interval(metric: str, entry: Entry) -> str:
    value = shown(metric, entry["value"])
    if entry["lo"] is None:
        return value
    return f"{value} [{shown(metric, entry['lo'])}, {shown(metric, entry['hi'])}]"
