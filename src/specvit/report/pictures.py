"""The plots of some spectra, as the models saw them, read from the finished shards."""

from __future__ import annotations

import tarfile
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from specvit.config.models import Config
from specvit.errors import DataError
from specvit.tasks import CLASSES


@dataclass(frozen=True)
class Example:
    """One spectrum of the gallery."""

    spectrum_id: str
    label: str
    subclass: str
    short: str
    """Redshift and signal-to-noise ratio."""
    picture: bytes

    @property
    def detail(self) -> str:
        """Subclass, redshift and signal-to-noise ratio."""
        return ", ".join(part for part in (self.subclass, self.short) if part)


def read_pictures(config: Config, render: str, wanted: Mapping[str, str]) -> dict[str, bytes]:
    """PNG bytes of some spectra, given the shard of each (`wanted`: spectrum_id to shard).

    Spectra that were dropped when drawn are absent from the answer. Raises DataError for a shard
    that cannot be read.
    """
    by_shard: dict[str, set[str]] = defaultdict(set)
    for spectrum_id, shard in wanted.items():
        by_shard[shard].add(f"{spectrum_id}.png")
    found = {}
    for shard, names in by_shard.items():
        path = config.paths.shard(render, shard)
        try:
            with tarfile.open(path) as tar:
                for member in tar:
                    handle = tar.extractfile(member) if member.name in names else None
                    if handle is not None:
                        found[member.name.removesuffix(".png")] = handle.read()
                        names.discard(member.name)
                    if not names:
                        break
        except (OSError, tarfile.TarError) as error:
            raise DataError(f"{path} cannot be read: {error}") from error
    return found


def choose_examples(frame: pd.DataFrame, per_class: int) -> pd.DataFrame:
    """Up to `per_class` test spectra of each class, spread over signal-to-noise ratio.

    `frame` is the catalogue; the same rows are chosen every time.
    """
    test = frame[frame["split"] == "test"].sort_values(["snr", "spectrum_id"])
    chosen = []
    for name in CLASSES:
        mine = test[test["class"] == name]
        count = min(per_class, len(mine))
        # The middle of each of `count` equal parts: neither the best nor the worst only.
        places = [int((i + 0.5) * len(mine) / count) for i in range(count)]
        chosen.append(mine.iloc[places])
    return pd.concat(chosen)


def examples(config: Config, render: str, rows: pd.DataFrame) -> list[Example]:
    """The chosen spectra with their plots of one set; those without a plot are left out."""
    wanted = dict(zip(rows["spectrum_id"], rows["shard"], strict=True))
    pictures = read_pictures(config, render, wanted)
    return [
        Example(
            row["spectrum_id"],
            row["class"],
            row["subclass"] if isinstance(row["subclass"], str) else "",
            _numbers(row),
            pictures[row["spectrum_id"]],
        )
        for row in rows.to_dict("records")
        if row["spectrum_id"] in pictures
    ]


def _numbers(row: Mapping[str, Any]) -> str:
    parts = []
    if pd.notna(row["z"]):
        parts.append(f"z = {row['z']:.4f}".replace("-", "\N{MINUS SIGN}"))
    if pd.notna(row["snr"]):
        parts.append(f"S/N {row['snr']:.0f}")
    return ", ".join(parts)
