"""Labels as tensors, and what the train split says of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch

from specvit.errors import DataError
from specvit.tasks import Task

NO_CLASS = -1
"""Class index of a spectrum without a label; a number without a label is nan."""


def encode(task: Task, values: Iterable[Any]) -> torch.Tensor:
    """Labels of one task, a column of the catalogue or plain values, as a tensor of shape (n,).

    Classification: int64 index into `task.labels`, -1 for null. Redshift and regression: float64,
    nan for null. Raises DataError for a label that the task does not have.
    """
    is_class = task.kind == "classification"
    kind = pa.string() if is_class else pa.float64()
    is_column = isinstance(values, pa.ChunkedArray)
    column: Any = values if is_column else pa.array(values, kind, from_pandas=True)
    if not is_class:
        return torch.from_numpy(np.asarray(column).astype(np.float64))
    found = pc.index_in(column, pa.array(task.labels, pa.string()))
    unknown = column.filter(pc.and_(found.is_null(), column.is_valid()))
    if len(unknown):
        raise DataError(
            f"label {unknown[0].as_py()!r} of task {task.name} is not one of "
            f"{', '.join(task.labels)}"
        )
    return torch.from_numpy(np.asarray(found.fill_null(NO_CLASS)).astype(np.int64))


def decode_classes(task: Task, indices: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Class indices as text, None where there is no label."""
    names = np.array([*task.labels, None], dtype=object)
    return np.asarray(names[indices])


@dataclass(frozen=True)
class LabelStats:
    """Label statistics of the train split, and of no other; they live in the checkpoint."""

    counts: dict[str, list[int]] = field(default_factory=dict)
    """Spectra of each label, by classification task."""
    mean: dict[str, float] = field(default_factory=dict)
    """Mean of the labels, by redshift or regression task."""
    std: dict[str, float] = field(default_factory=dict)
    """Their standard deviation."""
    range: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Smallest and largest of them."""
    known: dict[str, int] = field(default_factory=dict)
    """Spectra with a label, by task."""

    @classmethod
    def measure(cls, tasks: Iterable[Task], labels: Mapping[str, torch.Tensor]) -> LabelStats:
        """Statistics of the train split's labels (as `encode` gives them), null ones left out.

        Raises DataError for a task that no spectrum has a label for: it cannot be learned.
        """
        stats = cls()
        for task in tasks:
            values = labels[task.name].numpy()
            if task.kind == "classification":
                values = values[values != NO_CLASS]
                stats.counts[task.name] = np.bincount(values, minlength=len(task.labels)).tolist()
            else:
                values = values[np.isfinite(values)].astype(np.float64)
                if len(values):
                    stats.mean[task.name] = float(values.mean())
                    stats.std[task.name] = float(values.std())
                    stats.range[task.name] = (float(values.min()), float(values.max()))
            stats.known[task.name] = len(values)
            if not len(values):
                raise DataError(
                    f"no spectrum of the train split has a label for the task {task.name} "
                    f"(column {task.column}): drop it from tasks"
                )
        return stats

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> LabelStats:
        """The statistics that `as_dict` gave."""
        ranges = {name: (float(low), float(high)) for name, (low, high) in values["range"].items()}
        return cls(**{**values, "range": ranges})
