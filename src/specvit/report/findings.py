"""What the numbers say, in sentences computed from metrics.json: favourable or not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from specvit.metrics.definitions import METRICS, RANKING
from specvit.report.names import TASK_NAMES, model_name
from specvit.report.results import best_model, decided, each_once, overall, task_names
from specvit.report.table import Number
from specvit.report.verdicts import VIT


@dataclass(frozen=True)
class Finding:
    """A sentence and what it is about."""

    subject: str
    text: str


def findings(metrics: dict[str, Any]) -> Iterator[Finding]:
    """Which model is best at each task; where others do better than the ViT, verdicts say."""
    for task in task_names(metrics):
        models = each_once(metrics, task)
        name = TASK_NAMES[task].capitalize()
        yield Finding(name, _best(metrics, task, models))


def _best(metrics: dict[str, Any], task: str, models: list[str]) -> str:
    metric = RANKING[metrics["tasks"][task]["kind"]]
    title = METRICS[metric].title.lower()
    best = best_model(metrics, task, models, metric)
    if best is None:
        return f"No model has a {title}."
    value = Number(metric, overall(metrics, task, best)[metric])
    sentence = f"The best {title} is that of the {model_name(best)}, {value}"
    if best == VIT or VIT not in models:
        return sentence + "."
    difference = metrics["tasks"][task]["differences"][best]["all"]["all"][metric]
    ours = Number(metric, overall(metrics, task, VIT)[metric]).value
    sure = "decided" if decided(metric, difference) else "not decided"
    gap = Number(metric, difference)
    return f"{sentence}; the ViT is behind with {ours} ({sure}: ViT − {model_name(best)} is {gap})."
