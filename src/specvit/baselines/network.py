"""The one-dimensional network: convolutions on flux under the Vision Transformer's own heads.

Strided convolutions turn flux into features at places in log-wavelength, which take the part of
the patches in the heads; a fully connected layer over all places, which keeps where each feature
is, takes the part of the pooled token.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from specvit.config.data import Grid
from specvit.config.learning import RedshiftBins
from specvit.models.correlation import TokenLayout
from specvit.models.heads import ClassificationHead, Head, RedshiftHead, RegressionHead
from specvit.models.labels import LabelStats
from specvit.models.redshift import Bins
from specvit.tasks import Task, tasks_of

# (channels, kernel, stride) of each convolution: 3840 pixels become 128 channels at 60 places.
LAYERS = ((32, 15, 4), (48, 9, 4), (64, 7, 2), (128, 5, 2))
WIDTH = LAYERS[-1][0]  # of what the heads read, at each place and pooled
DROPOUT = 0.2


class Network(nn.Module):
    """Convolutions and heads; input (n, 2, pixels), output one tensor a task."""

    def __init__(self, tasks: list[Task], grid: Grid, bins: Bins, stats: LabelStats) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels, places = 2, grid.pixels
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
        layout = _layout(grid, places, bins)
        self.heads = nn.ModuleDict(
            {task.name: cast(nn.Module, _head(task, layout, bins, stats)) for task in tasks}
        )

    def head(self, task: Task) -> Head:
        """The head of a task."""
        return cast(Head, self.heads[task.name])

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Raw outputs of each head."""
        places = self.trunk(x)
        pooled = self.pool(places)
        return {name: head(pooled, places.transpose(1, 2)) for name, head in self.heads.items()}


def _layout(grid: Grid, places: int, bins: Bins) -> TokenLayout:
    """Say where the places lie in log-wavelength: one row of stretches of equal width, in order."""
    span = math.log(grid.wave_max / grid.wave_min) / bins.width  # in bins of ln(1+z)
    parts = math.ceil(span / places)  # no finer than the bins
    edges = np.linspace(0, span, places * parts + 1)
    cell = np.arange(math.ceil(span))
    overlap = np.minimum(edges[1:, None], cell + 1) - np.maximum(edges[:-1, None], cell)
    cells = torch.from_numpy(np.clip(overlap, 0, None)).float()
    return TokenLayout(1, places, 1, parts, torch.ones(1, 1, 1), cells)


def _head(task: Task, layout: TokenLayout, bins: Bins, stats: LabelStats) -> Head:
    if task.kind == "classification":
        return ClassificationHead(task, WIDTH, stats.counts[task.name])
    if task.kind == "redshift":
        return RedshiftHead(task, WIDTH, layout, bins)
    return RegressionHead(task, WIDTH, stats.mean[task.name], stats.std[task.name])


@dataclass(frozen=True)
class Description:
    """What a network is built from."""

    tasks: list[Task]
    grid: Grid
    redshift: RedshiftBins
    stats: LabelStats

    def network(self) -> Network:
        """Build a network with new weights."""
        return Network(self.tasks, self.grid, Bins.of(self.redshift), self.stats)

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
