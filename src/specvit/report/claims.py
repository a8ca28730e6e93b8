"""A paper's claims beside this run's numbers, with verdicts by rules that are written out.

What is claimed is data (workflow/report/paper.yaml); here are the three ways to check a claim.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, ValidationError, field_validator

from specvit.config.base import Section
from specvit.errors import ConfigError
from specvit.metrics.definitions import METRICS
from specvit.report.names import TASK_NAMES, model_name
from specvit.report.results import decided, overall, task_names
from specvit.report.table import Cell, Entry, Number
from specvit.report.verdicts import VIT

Verdict = Literal["yes", "no", "undecided", "not tested"]
NOT_RUN = "not part of this run"


class _Claim(Section):
    statement: str
    """What the paper says."""
    rule: str
    """How this run is held against it, for readers."""


class Above(_Claim):
    """The network's metric is above each baseline's, in every classification."""

    check: Literal["above"]
    metric: str


class Comparable(_Claim):
    """The network's metric in a task is not behind another system's by more than a margin.

    `systems` are that system's ways of use, of which each is held against the network; the other
    metrics, and the other models, stand beside.
    """

    check: Literal["comparable"]
    task: str
    metric: str
    systems: tuple[str, ...]
    margin: float = Field(ge=0)
    beside: tuple[str, ...] = ()


class NotBehind(_Claim):
    """In each class, the network is behind no baseline in the first metric of each task."""

    check: Literal["not_behind"]
    metrics: dict[str, tuple[str, ...]]


class Paper(Section):
    """A paper and its claims."""

    name: str
    url: str
    baselines: tuple[str, ...]
    """The models that its network is compared with."""
    claims: tuple[Annotated[Above | Comparable | NotBehind, Field(discriminator="check")], ...]

    @field_validator("claims")
    @classmethod
    def _metrics_exist(cls, value: tuple[Any, ...]) -> tuple[Any, ...]:
        for claim in value:
            named = [m for shown in getattr(claim, "metrics", {}).values() for m in shown]
            named += [getattr(claim, "metric", None), *getattr(claim, "beside", ())]
            wrong = set(filter(None, named)) - set(METRICS)
            if wrong:
                raise ValueError(f"names metrics {sorted(wrong)}, allowed are {', '.join(METRICS)}")
        return value


def read_paper(path: Path) -> Paper:
    """Read a paper's claims (YAML). Raises ConfigError where they cannot be read."""
    try:
        return Paper.model_validate_json(json.dumps(yaml.safe_load(path.read_text("utf-8"))))
    except (OSError, ValueError, yaml.YAMLError, TypeError) as error:
        reason = error
        if isinstance(error, ValidationError):
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise ConfigError(f"claims in {path}: {where}: {first['msg']}") from error
        raise ConfigError(f"claims in {path}: {' '.join(str(reason).split())}") from error


@dataclass(frozen=True)
class ClaimRow:
    """Measured facts below a claim, and what they say of it (None: context only)."""

    cells: tuple[Cell, ...]
    verdict: Verdict | None = None


@dataclass(frozen=True)
class Checked:
    """A claim beside this run: a table of what was measured, and the outcome."""

    statement: str
    rule: str
    columns: tuple[str, ...]
    rows: tuple[ClaimRow, ...]

    @property
    def verdict(self) -> Verdict:
        """`no` if any row says no, then undecided, then yes; not tested if no row says."""
        said = {row.verdict for row in self.rows if row.verdict}
        order: tuple[Verdict, ...] = ("no", "undecided", "yes")
        return next((verdict for verdict in order if verdict in said), "not tested")


def check_claims(paper: Paper, metrics: dict[str, Any]) -> list[Checked]:
    """Hold each claim against this run."""
    checked = []
    for claim in paper.claims:
        match claim:
            case Above():
                columns, rows = _above(claim, paper.baselines, metrics)
            case Comparable():
                columns, rows = _comparable(claim, paper.baselines, metrics)
            case NotBehind():
                columns, rows = _not_behind(claim, paper.baselines, metrics)
        checked.append(Checked(claim.statement, claim.rule, columns, tuple(rows)))
    return checked


Table = tuple[tuple[str, ...], list[ClaimRow]]


def _above(claim: Above, baselines: tuple[str, ...], metrics: dict[str, Any]) -> Table:
    rows: list[ClaimRow] = []
    metric = claim.metric
    for task in task_names(metrics):
        entry = metrics["tasks"][task]
        if entry["kind"] != "classification" or not _has(metrics, task):
            continue
        name = TASK_NAMES[task]
        ours = Number(metric, overall(metrics, task, VIT)[metric])
        rows.append(ClaimRow((f"ViT, {name}", ours, "–")))
        for other in baselines:
            label = f"{model_name(other)}, {name}"
            if other not in entry["models"]:
                rows.append(ClaimRow((label, NOT_RUN, "–")))
                continue
            theirs = Number(metric, overall(metrics, task, other)[metric])
            difference = entry["differences"][other]["all"]["all"][metric]
            verdict = _sign_verdict(decided(metric, difference))
            rows.append(ClaimRow((label, theirs, Number(metric, difference)), verdict))
    return ("Model and task", METRICS[metric].title, "ViT − model"), rows


def _comparable(claim: Comparable, baselines: tuple[str, ...], metrics: dict[str, Any]) -> Table:
    shown = (claim.metric, *claim.beside)
    rows: list[ClaimRow] = []
    if not _has(metrics, claim.task):
        return ("Model",), rows
    entry = metrics["tasks"][claim.task]
    for model in (VIT, *baselines, *claim.systems):
        if model not in entry["models"]:
            rows.append(ClaimRow((model_name(model), NOT_RUN, *["–"] * len(shown))))
            continue
        values = overall(metrics, claim.task, model)
        numbers = [Number(metric, values[metric]) for metric in shown]
        if model == VIT:
            rows.append(ClaimRow((model_name(model), *numbers, "–")))
            continue
        difference = entry["differences"][model]["all"]["all"][claim.metric]
        verdict = _within(difference, claim.margin) if model in claim.systems else None
        gap = Number(claim.metric, difference)
        rows.append(ClaimRow((model_name(model), *numbers, gap), verdict))
    titles = [METRICS[metric].title for metric in shown]
    return ("Model", *titles, f"{titles[0]}: ViT − model"), rows


def _not_behind(claim: NotBehind, baselines: tuple[str, ...], metrics: dict[str, Any]) -> Table:
    tasks = [(task, shown) for task, shown in claim.metrics.items() if _has(metrics, task)]
    rows: list[ClaimRow] = []
    for group in metrics["tasks"][tasks[0][0]]["groups"] if tasks else []:
        if group["by"] == "class":
            rows += _rows_of_class(metrics, group, tasks, baselines)
    titles = [METRICS[metric].title for _, shown in tasks for metric in shown]
    return ("Class", "Model", *titles), rows


def _rows_of_class(
    metrics: dict[str, Any],
    group: dict[str, Any],
    tasks: list[tuple[str, tuple[str, ...]]],
    baselines: tuple[str, ...],
) -> list[ClaimRow]:
    name = group["name"]
    signs = []
    rows: list[ClaimRow] = []
    for model in (VIT, *baselines):
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
        if not any(isinstance(number, Number) for number in numbers):
            numbers[0] = NOT_RUN
        label = f"{name} ({group['n']})" if not rows else ""
        rows.append(ClaimRow((label, model_name(model), *numbers)))
    if not signs:
        return rows
    verdict: Verdict = "no" if min(signs) < 0 else "undecided" if group["small"] else "yes"
    return [ClaimRow(rows[0].cells, verdict), *rows[1:]]


def _has(metrics: dict[str, Any], task: str) -> bool:
    return task in metrics["tasks"] and VIT in metrics["tasks"][task]["models"]


def _sign_verdict(sign: int) -> Verdict:
    return "yes" if sign > 0 else "no" if sign < 0 else "undecided"


def _within(difference: Entry, margin: float) -> Verdict:
    """Whether a difference, ViT − model in a metric to be high, is no further below 0 than this."""
    if difference["lo"] is None:
        return "undecided"
    if difference["lo"] >= -margin:
        return "yes"
    return "no" if difference["hi"] < -margin else "undecided"
