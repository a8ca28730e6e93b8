"""What a model can be asked: object class, stellar type, redshift, or a number of the catalogue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

CLASSES = ("STAR", "GALAXY", "QSO")
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


def tasks_of(names: tuple[str, ...] | list[str]) -> list[Task]:
    """Return the tasks of these names, in this order (names are validated by the configuration)."""
    return [TASKS[name] for name in names]
