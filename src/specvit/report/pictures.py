"""Plots and flux of some spectra, as the models saw them, read from the finished shards."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from specvit.config.models import Config
from specvit.plot.gallery import gallery_items
from specvit.shards.index import place_columns, read_index
from specvit.shards.npy import parse_npy


@dataclass(frozen=True)
class Example:
    """One spectrum of the gallery."""

    label: str
    """Object class."""
    subclass: str
    numbers: str
    """Redshift and signal-to-noise ratio."""
    picture: bytes

    snr: float


def examples(config: Config, label: str) -> list[Example]:
    """Plots of each class of one set, from low to high signal-to-noise ratio."""
    items = gallery_items(config, config.renders[label])
    return [
        Example(i["class"], i["subclass"] or "", _numbers(i), i["png"], i["snr"] or 0.0)
        for i in items
    ]


def _numbers(item: Mapping[str, Any]) -> str:
    parts = []
    if item["z"] is not None:
        # Adding 0 turns -0.0 into 0.0.
        parts.append(f"z = {round(item['z'], 4) + 0.0:.4f}".replace("-", "\N{MINUS SIGN}"))
    if item["snr"] is not None:
        parts.append(f"S/N {item['snr']:.0f}")
    return ", ".join(parts)


@dataclass(frozen=True)
class Drawn:
    """What a shard holds of one spectrum."""

    picture: bytes
    flux: NDArray[np.float16]
    """On the common grid, relative; nan where there is none."""


def read_drawn(config: Config, render: str, wanted: Mapping[str, str]) -> dict[str, Drawn]:
    """Plot and flux of some spectra, given the shard of each (`wanted`: spectrum_id to shard).

    Spectra that were dropped when drawn are absent from the answer. Raises DataError for a shard
    that cannot be read.
    """
    by_shard: dict[str, set[str]] = defaultdict(set)
    for spectrum_id, shard in wanted.items():
        by_shard[shard].add(spectrum_id)
    found: dict[str, Drawn] = {}
    for shard, names in by_shard.items():
        tar = config.paths.shard(render, shard)
        columns = ["spectrum_id", *place_columns("png"), *place_columns("npy")]
        index = read_index([tar], columns)
        ids = index.table["spectrum_id"].to_pylist()
        rows = [row for row, name in enumerate(ids) if name in names]
        each = zip(rows, index.contents("png", rows), index.contents("npy", rows), strict=True)
        found |= {ids[row]: Drawn(png, parse_npy(npy, tar)) for row, png, npy in each}
    return found
