"""What each baseline's settings were chosen from: grid and choice, as training.json says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from specvit.config.baselines import registered
from specvit.report.names import TASK_NAMES, model_name

COLUMNS = ("Model", "Task", "Tried", "Chosen", "Score", "Chosen by", "Also")


def grid_rows(summaries: dict[str, dict[str, Any]]) -> list[tuple[str, ...]]:
    """A row of COLUMNS for each grid that a baseline of the run searched."""
    return [
        (model_name(model), task, *cells)
        for model, summary in summaries.items()
        if model in registered()
        for task, told in _parts(summary)
        for cells in [_cells(told)]
    ]


def _parts(summary: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """What is told of each task, or, where one choice serves all, of all."""
    if "grid" in summary:
        yield "all", summary
    for task in summary.get("tasks", ()):
        if "grid" in summary.get(task, {}):
            yield TASK_NAMES[task], summary[task]


def _cells(told: dict[str, Any]) -> tuple[str, ...]:
    grid, chosen = told["grid"], told["chosen"]
    keys = [key for key in grid[0] if key != "score"]
    tried = "; ".join(
        f"{_plain(key)} {', '.join(dict.fromkeys(_plain(point[key]) for point in grid))}"
        for key in keys
    )
    score = next(point["score"] for point in grid if all(point[key] == chosen[key] for key in keys))
    choice = ", ".join(f"{_plain(key)} {_plain(chosen[key])}" for key in keys)
    also = [str(told["kernel"])] if "kernel" in told else []
    if "rows_each_tree" in told:
        also.append(f"{told['trees']} trees of {told['rows_each_tree']} spectra each")
    return tried, choice, f"{score:.4g}", told["criterion"], "; ".join(also) or "–"


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value).replace("_", " ")
