"""Verdicts: where the ViT is better than each other model, where worse, and by how much."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from specvit.metrics.definitions import COMPARED, HEADLINE, METRICS, improvement
from specvit.report.names import TASK_NAMES, model_name
from specvit.report.results import BY_NAMES, decided, each_once, group_name, note
from specvit.report.table import Cell, Entry, Number, Table, column, make_table

VIT = "vit"
NAMED = 3  # groups named in one cell
WORDS = {1: "better", -1: "worse", 0: "undecided"}


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
    def where(self) -> str:
        """Accuracy for S/N 5 to 10."""
        metric = METRICS[self.metric].title.partition(" [")[0]
        if metric[1:2].islower():
            metric = metric[0].lower() + metric[1:]
        by = BY_NAMES.get(self.by, "").lower().replace("s/n", "S/N")
        place = "" if self.by == "all" else f" for {by} {group_name(self.by, self.group)}"
        return metric + place + (" (few spectra)" if self.small else "")


def directed(kind: str, names: Sequence[str] = ()) -> list[str]:
    """The metrics of a kind of task that have a better direction, headline ones by default."""
    return [m for m in names or HEADLINE[kind] if METRICS[m].better in ("higher", "lower")]


def comparisons(metrics: dict[str, Any], task: str, other: str) -> list[Comparison]:
    """Every comparison between the ViT and another model in a task, headline metrics first."""
    entry = metrics["tasks"][task]
    found = entry["differences"].get(other, {})
    result = []
    for group in entry["groups"]:
        by, name = group["by"], group["name"]
        kind = entry["kind"]
        for metric in directed(kind) if by == "all" else COMPARED[kind]:
            difference = found.get(by, {}).get(name, {}).get(metric)
            if difference and difference["value"] is not None:
                result.append(Comparison(metric, by, name, difference, group["small"]))
    return result


def verdicts(metrics: dict[str, Any], task: str) -> Table | None:
    """The ViT against each other model: better, worse or undecided in each metric, by how much.

    None where there is no other model, or no ViT.
    """
    kind = metrics["tasks"][task]["kind"]
    names = directed(kind)
    rows: list[list[Cell]] = []
    for other in each_once(metrics, task):
        found = comparisons(metrics, task, other)
        if not found:
            continue
        overall = metrics["tasks"][task]["differences"][other]["all"]["all"]
        cells = [_gain(metric, overall[metric]) for metric in names]
        baseline = other not in metrics["networks"]
        rows.append([model_name(other), *cells, _groups(found) if baseline else "–"])
    if not rows:
        return None
    caption = (
        "Verdicts on the ViT against each other model, and its gain (negative where it is behind), "
        "from paired differences on the same draws of the same objects. Better and worse: the "
        "95 % interval excludes 0 and the p-value, adjusted for all "
        f"{metrics['comparisons']} comparisons of the report (Holm 1979), is at most 0.05. "
        f"{note(metrics)}"
    )
    columns: list[str | tuple[str, str]] = ["The ViT against", *map(column, names), "In groups"]
    heading = f"{TASK_NAMES[task].capitalize()}: is the ViT better?"
    return make_table(f"verdicts_{task}", heading, caption, columns, rows)


def _gain(metric: str, difference: Entry) -> Number:
    """A difference counted so that more is better for the ViT, with the verdict."""
    verdict = decided(metric, difference)
    gain = dict(difference)
    if improvement(metric, 1.0) < 0:
        signed = {key: difference[key] for key in ("value", "lo", "hi")}
        value, low, high = (None if v is None else 0.0 - v for v in signed.values())
        gain |= {"value": value, "lo": high, "hi": low}
    return Number(metric, gain, strong=verdict != 0, verdict=verdict, word=WORDS[verdict])


def _groups(found: Sequence[Comparison]) -> str:
    """How many comparisons in groups of spectra went which way, those lost by name."""
    inside = [c for c in found if c.by != "all"]
    lost = [c for c in inside if c.verdict < 0]
    tally = {word: sum(c.verdict == sign for c in inside) for sign, word in WORDS.items()}
    text = ", ".join(f"{count} {word}" for word, count in tally.items())
    if not lost:
        return text
    places = "; ".join(c.where for c in lost[:NAMED])
    more = len(lost) - NAMED
    return f"{text}. Worse: {places}" + (f"; and {more} more" if more > 0 else "")
