"""What a model can be asked: object class, stellar type, redshift, or a number of the catalogue."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Literal

CLASSES = ("STAR", "GALAXY", "QSO")
NONE = "NONE"
"""The class of a spectrum of nothing: a sky fibre, one that was not plugged, a broken one."""
ALL_CLASSES = (*CLASSES, NONE)
STELLAR_TYPES = ("O", "B", "A", "F", "G", "K", "M")
# Numeric label columns that a catalogue may carry beside the contract's fixed columns.
REGRESSION_COLUMNS = ("teff", "logg", "feh")

Kind = Literal["classification", "redshift", "regression"]


@dataclass(frozen=True)
class Task:
    """One question: `column` holds its label in the catalogue and in a shard's json."""

    name: str
    kind: Kind
    column: str
    labels: tuple[str, ...] = ()


TASKS: dict[str, Task] = {
    "class": Task("class", "classification", "class", CLASSES),
    "stellar_type": Task("stellar_type", "classification", "stellar_type", STELLAR_TYPES),
    "redshift": Task("redshift", "redshift", "z"),
    **{name: Task(name, "regression", name) for name in REGRESSION_COLUMNS},
}


def tasks_of(
    names: Collection[str], labels: Mapping[str, Collection[str]] | None = None
) -> list[Task]:
    """Return the tasks of these names, in this order (names are validated by the configuration).

    `labels`: of each task; the class has NONE among its own where they name it.
    """
    asked = (labels or {}).get("class", ())
    with_none = replace(TASKS["class"], labels=ALL_CLASSES)
    return [with_none if name == "class" and NONE in asked else TASKS[name] for name in names]
