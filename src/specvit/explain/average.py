"""Where a network looks on average: relevance by predicted class, observed and at rest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from specvit.errors import SpectrumError
from specvit.explain.answer import along_wavelength, answers, chosen_of, pictures_of
from specvit.explain.axis import Floats, stretch_edges
from specvit.explain.mask import WINDOWS, in_windows, window_edges
from specvit.explain.relevance import explained
from specvit.models import SpecViT
from specvit.spectrum import Spectrum
from specvit.tasks import Task

BATCH = 32
FRAMES = ("observed", "rest")
ENOUGH = 5
"""Spectra that cover a wavelength, for a mean there."""


@dataclass
class _Mean:
    """Sums over spectra on windows of observed or rest wavelength."""

    total: Floats
    covered: NDArray[np.int64]

    def add(self, first: int, values: Floats) -> None:
        """Add relevance of neighbouring windows from `first` on, as far as there are such."""
        start, end = max(first, 0), min(first + len(values), len(self.total))
        if start < end:
            self.total[start:end] += values[start - first : end - first]
            self.covered[start:end] += 1


@dataclass
class Average:
    """Mean relevance (`gradient`) of windows, by predicted class, task and frame."""

    edges: Floats
    """Edges (Angstrom) of windows of one width in log-wavelength, from far below the range to its
    end, (n + 1,): the last WINDOWS are the network's range."""
    counts: Counter[str] = field(default_factory=Counter)
    """Spectra of each predicted class; of all, where the network answers none."""
    refused: Counter[str] = field(default_factory=Counter)
    """Spectra that could not be read or drawn, by the reason."""
    means: dict[tuple[str, str, str], _Mean] = field(default_factory=dict)

    def add(self, label: str, task: str, windows: Floats, z: float) -> None:
        """Add one spectrum's relevance (WINDOWS,), adding up to 1."""
        count = len(self.edges) - 1
        shift = round(np.log(1 + z) / np.log(self.edges[1] / self.edges[0]))
        for frame, back in zip(FRAMES, (0, shift), strict=True):
            key = (label, task, frame)
            if key not in self.means:
                self.means[key] = _Mean(np.zeros(count), np.zeros(count, np.int64))
            self.means[key].add(count - WINDOWS - back, windows)

    @property
    def table(self) -> pd.DataFrame:
        """A row for each class, task, frame and window that ENOUGH spectra cover.

        `low`, `high` (Angstrom), `spectra` and `relevance`, the mean over them: 1 is what each
        window would have if all were alike.
        """
        rows = []
        for (label, task, frame), mean in sorted(self.means.items()):
            for i in np.flatnonzero(mean.covered >= ENOUGH):
                value = WINDOWS * mean.total[i] / mean.covered[i]
                ends = (float(self.edges[i]), float(self.edges[i + 1]))
                rows.append((label, task, frame, *ends, int(mean.covered[i]), float(value)))
        names = ["class", "task", "frame", "low", "high", "spectra", "relevance"]
        return pd.DataFrame(rows, columns=names)

    def plot(self) -> Any:
        """A matplotlib figure: a row for each class, observed and at rest."""
        from specvit.explain.figure import average_figure

        return average_figure(self)

    def write(self, path: str | Path) -> None:
        """Write that figure; the ending says the format (png, pdf, svg)."""
        from specvit.explain.figure import write_figure

        write_figure(self.plot, Path(path))


def average(network: SpecViT, spectra: Iterable[Spectrum | SpectrumError]) -> Average:
    """Explain many spectra and keep the means; what cannot be drawn is counted.

    Spectra go to the frame at rest by the redshift that the network gives them.
    """
    edges = stretch_edges(network.render, network.grid)
    at, step = window_edges(edges), np.log(edges[-1] / edges[0]) / WINDOWS
    most = max((task_range(network, task) for task in network.tasks), default=0.0)
    further = int(np.ceil(np.log1p(most) / step))
    below = at[0] * np.exp(step * np.arange(-further, 0))
    found = Average(np.concatenate([below, at]))
    remaining = iter(spectra)
    while batch := list(islice(remaining, BATCH)):
        _add(found, network, batch)
    return found


def task_range(network: SpecViT, task: Task) -> float:
    """The largest redshift that a task can answer."""
    return network.settings.redshift.z_max if task.kind == "redshift" else 0.0


def _add(found: Average, network: SpecViT, batch: list[Spectrum | SpectrumError]) -> None:
    drawn = []
    for one in batch:
        try:
            if isinstance(one, SpectrumError):
                raise one
            pictures_of(network, [one])
            drawn.append(one)
        except SpectrumError as error:
            found.refused[str(error)] += 1
    if not drawn:
        return
    _, columns = answers(network, pictures_of(network, drawn))
    labels = columns.get("class_pred", np.array(["all"] * len(drawn), object))
    redshifts = columns.get("redshift_pred", np.zeros(len(drawn)))
    found.counts.update(map(str, labels))
    edges = stretch_edges(network.render, network.grid)
    for task in (task for task in explained(network) if task.name != "stellar_type"):
        relevance = along_wavelength(network, drawn, task, chosen_of(task, columns))["gradient"]
        for label, windows, z in zip(labels, in_windows(relevance, edges), redshifts, strict=True):
            found.add(str(label), task.name, windows, float(z))
