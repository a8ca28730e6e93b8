"""Is what is called relevant what the answer rests on? Take it away and see."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from specvit.errors import SpectrumError
from specvit.explain.answer import METHODS, along_wavelength, answers, chosen_of, odds, pictures_of
from specvit.explain.axis import Floats, stretch_edges
from specvit.explain.mask import HOW, in_windows, with_data, without
from specvit.explain.relevance import explained
from specvit.metrics.values import OUTLIERS
from specvit.models import SpecViT
from specvit.models.heads import Columns
from specvit.spectrum import Spectrum
from specvit.tasks import Task

SHARE = 0.1
"""Of the windows with data that are taken away."""
RANDOM = "random"
DRAWS = 5  # of windows at random, for each spectrum


def faithfulness(
    network: SpecViT, spectra: Sequence[Spectrum], share: float = SHARE, seed: int = 0
) -> pd.DataFrame:
    """What the network answers without the windows that it is said to look at.

    One row for each spectrum, task, `how` they are taken (`specvit.explain.mask.HOW`) and `method`
    (of METHODS, or RANDOM, a mean over draws): `drop`, how much the log odds of the answer fell,
    and `changed`, whether it is another label, or another redshift (|dz| > 0.05). As many windows
    are taken at random as by relevance.
    """
    rng = np.random.default_rng(seed)
    rows = [
        row
        for number, spectrum in enumerate(spectra)
        for row in _of_one(network, spectrum, share, rng, number)
    ]
    return pd.DataFrame(rows, columns=["spectrum", "task", "how", "method", "drop", "changed"])


def _of_one(
    network: SpecViT, spectrum: Spectrum, share: float, rng: np.random.Generator, number: int
) -> Iterator[tuple[int, str, str, str, float, float]]:
    edges = stretch_edges(network.render, network.grid, spectrum.header.z)
    usable = with_data(spectrum, edges)
    count = max(round(share * len(usable)), 1)
    picture = pictures_of(network, [spectrum])
    outputs, columns = answers(network, picture)
    at_random = [rng.choice(usable, count, replace=False) for _ in range(DRAWS)]
    for task in explained(network):
        chosen = chosen_of(task, columns)
        before = odds(network, task, outputs, chosen)
        found = along_wavelength(network, [spectrum], task, chosen)
        taken = {m: [_highest(found[m], edges, usable, count)] for m in METHODS}
        taken[RANDOM] = at_random
        for how, (method, choices) in product(HOW, taken.items()):
            try:
                left = [without(spectrum, windows, edges, how) for windows in choices]
                masked, said = answers(network, pictures_of(network, left))
            except SpectrumError:
                continue  # nothing is left to draw
            after = odds(network, task, masked, chosen.expand(len(left)))
            changed = _changed(task, columns, said).mean()
            yield number, task.name, how, method, float((before - after).mean()), float(changed)


def _highest(
    relevance: Floats, edges: Floats, usable: NDArray[np.int64], count: int
) -> NDArray[np.int64]:
    order = np.argsort(-in_windows(relevance, edges)[0, usable], kind="stable")
    return usable[order[:count]]


def _changed(task: Task, before: Columns, after: Columns) -> NDArray[np.bool_]:
    was, now = before[f"{task.name}_pred"], after[f"{task.name}_pred"]
    if task.kind == "classification":
        return np.asarray(was != now)
    return np.asarray(np.abs(now - was) > OUTLIERS[1] * (1 + was))


def summary(rows: pd.DataFrame, samples: int = 2000, seed: int = 0) -> pd.DataFrame:
    """Means over spectra by task, `how` and method, beside those of windows at random.

    `gain` is by how much more the log odds fell than at random, with its 95 % interval (`gain_lo`,
    `gain_hi`) from a bootstrap over spectra; `better` the share of spectra where they fell more.
    """
    rng = np.random.default_rng(seed)
    table = []
    for (task, how), group in rows.groupby(["task", "how"], sort=False):
        drop, changed = (
            group.pivot(index="spectrum", columns="method", values=value).dropna()
            for value in ("drop", "changed")
        )
        drawn = rng.integers(len(drop), size=(samples, len(drop)))
        for method in METHODS:
            gain = (drop[method] - drop[RANDOM]).to_numpy()
            low, high = np.percentile(gain[drawn].mean(axis=1), (2.5, 97.5))
            table.append(
                {
                    **{"task": task, "how": how, "method": method, "spectra": len(drop)},
                    **{"drop": drop[method].mean(), "random": drop[RANDOM].mean()},
                    **{"gain": gain.mean(), "gain_lo": low, "gain_hi": high},
                    **{"better": (gain > 0).mean()},
                    **{"changed": changed[method].mean(), "changed_random": changed[RANDOM].mean()},
                }
            )
    return pd.DataFrame(table)
