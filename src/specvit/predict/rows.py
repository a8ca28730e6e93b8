"""One row a spectrum: what is written, shown and returned, and the flags in it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from specvit.metrics.values import OUTLIERS
from specvit.predict.engines import UNLIKE
from specvit.predict.prepare import Prepared
from specvit.predictions import prob_columns
from specvit.tasks import NONE, Task

LOW_SNR = 5.0
"""Below it a spectrum is flagged: what the presets of real surveys ask of a spectrum."""
COVERED = 0.8
"""Share of the model's wavelengths that a spectrum has; below it is flagged."""
BROAD = OUTLIERS[1]
"""Half width of a 68 % interval over 1 + z from which a redshift says that it saw no line: wider
than what counts as an outlier."""
SEPARATOR = "; "


def schema(tasks: Sequence[Task]) -> pa.Schema:
    """Names and types of the columns, for a model of these tasks.

    path, survey, id; class with a probability for each; stellar_type the same; z with its 68 %
    interval (z_lo, z_hi) and a second peak of its density (z_second, with probability); other
    numbers with their intervals; snr, flags, reason.
    """
    fields = [pa.field(name, pa.string()) for name in ("path", "survey", "id")]
    for task in tasks:
        if task.kind == "classification":
            fields.append(pa.field(task.name, pa.string()))
            fields += [pa.field(name, pa.float64()) for name in prob_columns(task)]
        else:
            name = task.column
            parts = ["", "_lo", "_hi"] + ["_second", "_second_prob"] * (task.kind == "redshift")
            fields += [pa.field(name + part, pa.float64()) for part in parts]
    fields.append(pa.field("snr", pa.float64()))
    return pa.schema([*fields, pa.field("flags", pa.string()), pa.field("reason", pa.string())])


def table(
    prepared: Sequence[Prepared], answers: pd.DataFrame, tasks: Sequence[Task]
) -> pd.DataFrame:
    """Rows of spectra in order; `answers` are those of the ones that have an array, calibrated."""
    asked = np.array([one.array is not None for one in prepared], dtype=bool)
    columns: dict[str, Any] = {
        "path": _texts(one.path for one in prepared),
        "survey": _texts(one.survey for one in prepared),
        "id": _texts(one.identity for one in prepared),
        "snr": np.array([one.snr for one in prepared], dtype=float),
        "reason": _texts(one.reason for one in prepared),
    }
    for name, source in _sources(tasks).items():
        is_text = source.endswith("_pred") and name in {
            task.name for task in tasks if task.kind == "classification"
        }
        values = np.full(len(prepared), None if is_text else np.nan, object if is_text else float)
        if source in answers:
            values[asked] = answers[source].to_numpy()
        columns[name] = _texts(values) if is_text else values
    frame = pd.DataFrame(columns)
    if {"class", "stellar_type"} <= set(frame):
        # What kind of star a galaxy would be says nothing; its probabilities are there to see.
        frame.loc[frame["class"] != "STAR", "stellar_type"] = None
    if {"class", "z"} <= set(frame):
        nothing = frame["class"] == NONE
        frame.loc[nothing, [name for name in frame if name == "z" or name.startswith("z_")]] = (
            np.nan
        )
    broad = _broad(frame)
    unlike = np.zeros(len(prepared), bool)
    if UNLIKE in answers:
        unlike[asked] = answers[UNLIKE]
    frame["flags"] = _texts(map(_flags, prepared, broad, unlike))
    return frame[schema(tasks).names]


def _texts(values: Iterable[str | None]) -> pd.Series:
    """A column in which a missing text is None, whatever pandas makes of texts."""
    return pd.Series(list(values), dtype=object)


def _sources(tasks: Sequence[Task]) -> dict[str, str]:
    """The column of the answers behind each of ours."""
    sources: dict[str, str] = {}
    for task in tasks:
        if task.kind == "classification":
            sources[task.name] = f"{task.name}_pred"
            sources |= {name: name for name in prob_columns(task)}
        else:
            sources[task.column] = f"{task.name}_pred"
            parts = ["lo", "hi"] + ["second", "second_prob"] * (task.kind == "redshift")
            sources |= {f"{task.column}_{part}": f"{task.name}_{part}" for part in parts}
    return sources


def _broad(frame: pd.DataFrame) -> Any:
    if "z" not in frame:
        return np.zeros(len(frame), bool)
    half = (frame["z_hi"] - frame["z_lo"]) / 2 / (1 + frame["z"])
    return half.to_numpy() > BROAD


def _flags(one: Prepared, is_broad: bool, is_unlike: bool) -> str:
    """What to be careful about, for people; nothing for a spectrum that was not predicted."""
    if one.reason is not None:
        return ""
    found = []
    if one.snr is not None and one.snr < LOW_SNR:
        found.append("low S/N")
    if one.covered < COVERED:
        found.append(f"{one.covered:.0%} of range covered")
    if is_broad:
        found.append("no line seen")
    if is_unlike:
        found.append("unlike anything in training")
    return SEPARATOR.join([*found, *one.notes])
