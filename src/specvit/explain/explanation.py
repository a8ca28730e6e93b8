"""One spectrum explained: its answer, and the relevance of each wavelength for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from specvit.explain.answer import METHODS, along_wavelength, answers, chosen_of, pictures_of
from specvit.explain.axis import Floats, stretch_edges
from specvit.explain.lines import lines_between
from specvit.explain.mask import in_windows, window_edges
from specvit.explain.relevance import explained
from specvit.models import SpecViT
from specvit.spectrum import Spectrum
from specvit.tasks import Task


@dataclass(frozen=True)
class Explanation:
    """Where a network looked in one spectrum."""

    spectrum: Spectrum
    answer: Mapping[str, Any]
    """The spectrum's row of `Model.predict`."""
    edges: Floats
    """Edges of the stretches of wavelength, observed Angstrom, (stretches + 1,)."""
    relevance: Mapping[str, Mapping[str, Floats]]
    """By task (`class`, `redshift`, ...) and method (`rollout`, `gradient`): (stretches,), adding
    up to 1."""

    @property
    def redshifts(self) -> list[float]:
        """The predicted redshift and that of the runner-up peak, where there are such."""
        values = (self.answer.get(name) for name in ("z", "z_second"))
        return [float(z) for z in values if z is not None and np.isfinite(z)]

    @property
    def table(self) -> pd.DataFrame:
        """Ends of each stretch (`low`, `high`, Angstrom) and a column for each task and method."""
        columns = {"low": self.edges[:-1], "high": self.edges[1:]}
        for task, methods in self.relevance.items():
            columns |= {f"{task}_{method}": values for method, values in methods.items()}
        return pd.DataFrame(columns)

    def most(self, task: str, method: str = METHODS[-1], count: int = 5) -> pd.DataFrame:
        """The windows with most relevance: `low`, `high` (Angstrom), `share`, and `lines` in them.

        Windows are 1/64 of the range; lines are the strong ones at the predicted redshift.
        """
        at = window_edges(self.edges)
        shares = in_windows(self.relevance[task][method][None], self.edges)[0]
        chosen = np.argsort(-shares, kind="stable")[:count]
        z = self.redshifts[:1]
        names = [
            ", ".join(name for one in z for name, _ in lines_between(at[i], at[i + 1], one))
            for i in chosen
        ]
        return pd.DataFrame(
            {"low": at[chosen], "high": at[chosen + 1], "share": shares[chosen], "lines": names}
        )

    def plot(self) -> Any:
        """A matplotlib figure: the spectrum with its strong lines, relevance below it."""
        from specvit.explain.figure import figure_of

        return figure_of(self)

    def write(self, path: str | Path) -> None:
        """Write that figure; the ending says the format (png, pdf, svg)."""
        from specvit.explain.figure import write_figure

        write_figure(self.plot, Path(path))


def explain_one(network: SpecViT, spectrum: Spectrum, answer: Mapping[str, Any]) -> Explanation:
    """Explain what a network answers to a spectrum: `answer` is its row.

    Raises SpectrumError where there is nothing to draw, DataError where the network's attention
    cannot be seen.
    """
    _, columns = answers(network, pictures_of(network, [spectrum]))
    found = {}
    for task in tasks_to_explain(network, answer):
        by_method = along_wavelength(network, [spectrum], task, chosen_of(task, columns))
        found[task.name] = {method: values[0] for method, values in by_method.items()}
    edges = stretch_edges(network.render, network.grid, spectrum.header.z)
    return Explanation(spectrum, answer, edges, found)


def tasks_to_explain(network: SpecViT, answer: Mapping[str, Any]) -> list[Task]:
    """What a spectrum was asked and has an answer to: no stellar type of what is no star."""
    return [task for task in explained(network) if answer.get(task.column) is not None]
