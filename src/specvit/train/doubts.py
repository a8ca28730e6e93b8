"""Why a finished training run may not be trusted: told in the log, training.json and the report."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
from scipy.stats.contingency import association, crosstab

from specvit.config import Config
from specvit.shards.index import read_index
from specvit.shards.subset import Subset

FEWEST_STEPS = 200
CONFOUNDED = 0.5
"""Cramer's V of survey and class from which one stands for the other."""


def doubts_before(config: Config, steps: int, subset: Subset) -> list[str]:
    """What can be known before training.

    Too few steps, surveys that give the class away, a start that may know the test spectra.
    """
    found = []
    if config.model.init is not None:
        found.append(
            f"it starts from {config.model.init}: figures of test spectra which that network has "
            "learned from are too good"
        )
    if steps < FEWEST_STEPS:
        found.append(
            f"only {steps} steps, fewer than {FEWEST_STEPS}: raise train.epochs or lower "
            "train.batch_size"
        )
    shards = [
        config.paths.shard(config.render[0].label, name) for name in config.shard_names("train")
    ]
    columns = dict.fromkeys(["survey", "class", *subset.columns])
    table = read_index(shards, columns).table
    told = confounding(table.filter(pa.array(subset.mask(table))))
    return found if told is None else [*found, told]


def confounding(table: pa.Table) -> str | None:
    """A sentence where, of rows with `survey` and `class`, the survey tells the class."""
    frame = table.select(["survey", "class"]).to_pandas().dropna()
    surveys, classes = frame["survey"], frame["class"]
    if surveys.nunique() < 2 or classes.nunique() < 2:
        return None
    counted = crosstab(surveys.to_numpy(), classes.to_numpy())
    if association(counted.count, method="cramer") < CONFOUNDED:
        return None
    parts = [
        f"{survey}: {', '.join(f'{n} {label}' for label, n in zip(labels, row, strict=True) if n)}"
        for labels in [counted.elements[1]]
        for survey, row in zip(counted.elements[0], np.asarray(counted.count), strict=True)
    ]
    return (
        "survey and class are confounded in the train split, so that the network may have learned "
        f"to tell the surveys apart ({'; '.join(parts)})"
    )


def doubts_after(best: Mapping[str, float | None], counts: Mapping[str, list[int]]) -> list[str]:
    """What the best epoch's validation figures say: one label predicted where several occur."""
    return [
        f"validation predicts one label of the task {task} for every spectrum: nothing was "
        "learned; lower train.lr, or train longer"
        for task, of_label in counts.items()
        if best.get(f"{task}_labels_predicted") == 1 and sum(n > 0 for n in of_label) > 1
    ]
