"""The one-dimensional network: convolutions on flux under the Vision Transformer's own heads.

Strided convolutions turn flux into features at places in log-wavelength, which take the part of
the patches in the heads; a fully connected layer over all places, which keeps where each feature
is, takes the part of the pooled token.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from specvit.config.data import Grid
from specvit.config.learning import RedshiftBins
from specvit.models.correlation import TokenLayout
from specvit.models.heads import (
    ClassificationHead,
    Head,
    RedshiftHead,
    RegressionHead,
    answers,
    windows_told,
)
from specvit.models.labels import LabelStats
from specvit.models.redshift import Bins
from specvit.tasks import Task, tasks_of

# (channels, kernel, stride) of each convolution: 3840 pixels become 128 channels at 60 places.
LAYERS = ((32, 15, 4), (48, 9, 4), (64, 7, 2), (128, 5, 2))
WIDTH = LAYERS[-1][0]  # of what the heads read, at each place and pooled
DROPOUT = 0.2


@dataclass(frozen=True)
class Description:
    """What a network is built from."""

    tasks: list[Task]
    grid: Grid
    redshift: RedshiftBins
    stats: LabelStats

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "tasks": [task.name for task in self.tasks],
            "labels": {task.name: list(task.labels) for task in self.tasks},
            "grid": self.grid.model_dump(mode="json"),
            "redshift": self.redshift.model_dump(mode="json"),
            "label_stats": self.stats.as_dict(),
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Description:
        """Read what `as_dict` gave."""
        return cls(
            tasks_of(values["tasks"], values.get("labels")),
            Grid.model_validate(values["grid"]),
            RedshiftBins.model_validate(values["redshift"]),
            LabelStats.from_dict(values["label_stats"]),
        )


class Headed(nn.Module, ABC):
    """A network on flux under the ViT's heads."""

    def add_heads(self, description: Description, width: int, edges: NDArray[np.float64]) -> None:
        """Add heads for places side by side between these edges in ln(Angstrom), (places + 1,)."""
        bins = Bins.of(description.redshift)
        layout, tasks = layout_of(edges, bins), description.tasks
        windows = windows_told(tasks, description.redshift)
        heads = {
            task.name: _head(task, width, layout, bins, description.stats, windows)
            for task in tasks
        }
        self.heads = nn.ModuleDict(cast(dict[str, nn.Module], heads))

    @abstractmethod
    def tokens(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """What the heads read: (n, width) pooled, and (n, places, width)."""

    def head(self, task: Task) -> Head:
        """The head of a task."""
        return cast(Head, self.heads[task.name])

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Raw outputs of each head."""
        return answers(cast(Mapping[str, Head], self.heads), *self.tokens(x))


class Network(Headed):
    """Convolutions and heads; input (n, 2, pixels), output one tensor a task."""

    def __init__(self, description: Description) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels, places = 2, description.grid.pixels
        for out, kernel, stride in LAYERS:
            layers += [
                nn.Conv1d(channels, out, kernel, stride, padding=kernel // 2, bias=False),
                nn.BatchNorm1d(out),
                nn.ReLU(),
            ]
            channels, places = out, (places - 1) // stride + 1
        self.trunk = nn.Sequential(*layers)
        self.pool = nn.Sequential(
            *(nn.Conv1d(WIDTH, 32, 1), nn.ReLU(), nn.Flatten(), nn.Dropout(DROPOUT)),
            *(nn.Linear(32 * places, WIDTH), nn.ReLU(), nn.Dropout(DROPOUT)),
        )
        first, last = np.log([description.grid.wave_min, description.grid.wave_max])
        self.add_heads(description, WIDTH, np.linspace(first, last, places + 1))

    def tokens(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """See Headed."""
        places = self.trunk(x)
        return self.pool(places), places.transpose(1, 2)


def layout_of(edges: NDArray[np.float64], bins: Bins) -> TokenLayout:
    """Layout of places side by side between these edges in ln(Angstrom), (places + 1,)."""
    places = len(edges) - 1
    edges = (edges - edges[0]) / bins.width  # in bins of ln(1+z)
    parts = math.ceil(np.diff(edges).max())  # no finer than the bins
    edges = np.interp(np.arange(places * parts + 1) / parts, np.arange(places + 1), edges)
    cell = np.arange(math.ceil(edges[-1]))
    overlap = np.minimum(edges[1:, None], cell + 1) - np.maximum(edges[:-1, None], cell)
    cells = torch.from_numpy(np.clip(overlap, 0, None)).float()
    return TokenLayout(1, places, 1, parts, torch.ones(1, 1, 1), cells)


def _head(
    task: Task, width: int, layout: TokenLayout, bins: Bins, stats: LabelStats, windows: int
) -> Head:
    if task.kind == "classification":
        return ClassificationHead(task, width, stats.counts[task.name], windows)
    if task.kind == "redshift":
        return RedshiftHead(task, width, layout, bins)
    return RegressionHead(task, width, stats.mean[task.name], stats.std[task.name])
