"""What the page knows of every spectrum: the catalogue's values and each model's answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from specvit.explore.pack import Packed, labels, numbers
from specvit.metrics.answers import answers
from specvit.predictions import prob_columns
from specvit.tasks import Task


def catalogue_columns(rows: pd.DataFrame, tasks: Sequence[Task]) -> dict[str, Packed]:
    """Columns of the catalogue; `rows` has those of a predictions file, `simulated` and `shard`."""
    made_up = rows["simulated"].astype(bool)
    named = rows["survey"].where(~made_up, rows["survey"] + " (simulated)")
    columns = {"survey": labels(named), "snr": numbers(rows["snr"]), "z": numbers(rows["z"])}
    columns |= {name: labels(rows[name]) for name in ("class", "subclass", "shard")}
    for task in tasks:
        pack = labels if task.kind == "classification" else numbers
        columns[f"{task.name}_true"] = pack(rows[f"{task.name}_true"])
    return columns


def answer_columns(frame: pd.DataFrame, tasks: Sequence[Task]) -> dict[str, Packed]:
    """A model's answers to the tasks that it answers: `<task>_pred`, how sure it was.

    Of a class `<task>_sure`, the highest probability; of a number `<task>_lo` and `<task>_hi`.
    """
    columns: dict[str, Packed] = {}
    for task in tasks:
        if not answers(frame, task):
            continue
        if task.kind == "classification":
            columns[f"{task.name}_pred"] = labels(frame[f"{task.name}_pred"])
            columns[f"{task.name}_sure"] = numbers(frame[prob_columns(task)].max(axis=1))
        else:
            for part in ("pred", "lo", "hi"):
                columns[f"{task.name}_{part}"] = numbers(frame[f"{task.name}_{part}"])
    return columns


def map_columns(
    ids: pd.Series, placed: pd.DataFrame, catalog: pd.DataFrame
) -> tuple[dict[str, Packed], list[dict[str, Any]]]:
    """Places in the embedding, and each spectrum's nearest training spectra.

    `placed` is of `specvit.embedding_map`, `catalog` indexed by spectrum_id. Spectra that it does
    not hold have no place (nan) and no neighbours.
    """
    here = placed.set_index("spectrum_id").reindex(ids)
    columns = {name: numbers(here[name]) for name in ("x", "y", "novelty")}
    known = catalog.reindex(sorted({name for names in placed["nearest"] for name in names}))
    spectra: list[dict[str, Any]] = [
        {
            "id": str(name),
            "class": label if isinstance(label, str) else None,
            "z": float(z) if pd.notna(z) else None,
        }
        for name, label, z in zip(known.index, known["class"], known["z"], strict=True)
    ]
    number = {name: i for i, name in enumerate(known.index)}
    for k in range(max((len(names) for names in placed["nearest"]), default=0)):
        each = here[["nearest", "distance"]].map(_at, k=k)
        columns[f"nearest_{k}"] = numbers(each["nearest"].map(number))
        columns[f"distance_{k}"] = numbers(each["distance"].astype(float))
    return columns, spectra


def _at(values: Any, k: int) -> Any:
    """The k-th of a list; None where there is none."""
    return values[k] if isinstance(values, np.ndarray) and k < len(values) else None
