"""Where a network looked when it was wrong and sure: relevance for the failures of a split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from specvit.explain.answer import chosen_of, gradient
from specvit.explain.axis import stretch_edges
from specvit.explain.kept import SCHEMA
from specvit.explain.mask import in_windows
from specvit.explain.relevance import explained
from specvit.metrics.answers import labelled, worst
from specvit.models import SpecViT
from specvit.models.precision import full_float32
from specvit.models.vit import as_pictures
from specvit.plot.draw import picture_of
from specvit.plot.modes import Picture
from specvit.plot.scale import continuum
from specvit.shards.index import place_columns, read_index
from specvit.shards.npy import parse_npy
from specvit.shards.sample import png_array
from specvit.spectrum import bin_centres

MOST = 6
"""Failures of each task that are explained: as many as the report shows unless told otherwise."""
Sample = tuple[Picture, NDArray[np.float16]]
"""A spectrum's picture, and its flux on the common grid."""


def explain_failures(
    network: SpecViT, shards: Sequence[Path], predictions: pd.DataFrame
) -> pd.DataFrame:
    """Relevance (`gradient`) of the MOST failures of each task that a network was most sure of.

    `predictions` are those of these shards; the answer has the columns of `kept.SCHEMA`. None in
    the rest frame: the flux that shards keep, of which the continuum is drawn, ends where the
    observed range does.
    """
    rows: list[tuple[str, str, float, float, list[float]]] = []
    tasks = explained(network) if network.render.frame == "observed" else []
    for task in tasks:
        failures = labelled(predictions, task).iloc[worst(predictions, task, MOST)]
        failures = failures[failures[f"{task.name}_pred"].notna()]
        if failures.empty:
            continue
        found = _read(shards, failures["spectrum_id"])
        samples = [found[name] for name in failures["spectrum_id"]]
        pictures = as_pictures(np.stack([picture for picture, _ in samples]))
        smooth = as_pictures(np.stack([_continuum(network, flux) for _, flux in samples]))
        chosen = chosen_of(task, {name: failures[name].to_numpy() for name in failures})
        with full_float32():
            relevance = gradient(network, pictures, smooth, task, chosen)
        edges = stretch_edges(network.render, network.grid)
        for name, share in zip(failures["spectrum_id"], in_windows(relevance, edges), strict=True):
            rows.append((name, task.name, edges[0], edges[-1], share))
    return pd.DataFrame(rows, columns=SCHEMA.names)


def _read(shards: Sequence[Path], names: pd.Series) -> Mapping[str, Sample]:
    columns = ["spectrum_id", *place_columns("png"), *place_columns("npy")]
    index = read_index(shards, columns)
    ids = index.table["spectrum_id"]
    rows = np.flatnonzero(pc.is_in(ids, pa.array(names, ids.type)))
    each = zip(rows, index.contents("png", rows), index.contents("npy", rows), strict=True)
    return {
        ids[row].as_py(): (png_array(png), parse_npy(npy, shards[0].parent))
        for row, png, npy in each
    }


def _continuum(network: SpecViT, stored: NDArray[np.float16]) -> Picture:
    """The picture of a spectrum without lines and noise."""
    loglam, flux = bin_centres(network.grid, len(stored)), stored.astype(np.float64)
    smooth = np.where(np.isnan(flux), np.nan, continuum(loglam, flux))
    return picture_of(loglam, smooth, network.render, network.grid)
