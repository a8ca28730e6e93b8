"""The plots of some spectra, as the models saw them, read from the finished shards."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from specvit.config.models import Config
from specvit.plot.gallery import gallery_items
from specvit.shards.index import place_columns, read_index


@dataclass(frozen=True)
class Example:
    """One spectrum of the gallery."""

    label: str
    """Object class."""
    subclass: str
    short: str
    """Redshift and signal-to-noise ratio."""
    picture: bytes

    @property
    def detail(self) -> str:
        """Subclass, redshift and signal-to-noise ratio."""
        return ", ".join(part for part in (self.subclass, self.short) if part)


def examples(config: Config, label: str) -> list[Example]:
    """Plots of each class of one set, from low to high signal-to-noise ratio."""
    items = gallery_items(config, config.renders[label])
    return [Example(i["class"], i["subclass"] or "", _numbers(i), i["png"]) for i in items]


def _numbers(item: Mapping[str, Any]) -> str:
    parts = []
    if item["z"] is not None:
        # Adding 0 turns -0.0 into 0.0.
        parts.append(f"z = {round(item['z'], 4) + 0.0:.4f}".replace("-", "\N{MINUS SIGN}"))
    if item["snr"] is not None:
        parts.append(f"S/N {item['snr']:.0f}")
    return ", ".join(parts)


def read_pictures(config: Config, render: str, wanted: Mapping[str, str]) -> dict[str, bytes]:
    """PNG bytes of some spectra, given the shard of each (`wanted`: spectrum_id to shard).

    Spectra that were dropped when drawn are absent from the answer. Raises DataError for a shard
    that cannot be read.
    """
    by_shard: dict[str, set[str]] = defaultdict(set)
    for spectrum_id, shard in wanted.items():
        by_shard[shard].add(spectrum_id)
    found: dict[str, bytes] = {}
    for shard, names in by_shard.items():
        tar = config.paths.shard(render, shard)
        index = read_index([tar], ["spectrum_id", *place_columns("png")])
        ids = index.table["spectrum_id"].to_pylist()
        rows = [row for row, name in enumerate(ids) if name in names]
        pictures = zip(rows, index.contents("png", rows), strict=True)
        found |= {ids[row]: png for row, png in pictures}
    return found
