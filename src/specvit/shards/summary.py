"""`shards.json`: all shards of one set of plots, with what they hold and what is missing, why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from specvit.config.data import Grid, Render, Split
from specvit.errors import DataError
from specvit.io import read_json, write_json
from specvit.logs import get_logger
from specvit.paths import SPLITS, RunPaths
from specvit.plan import KEY, Plan, one_plan
from specvit.plot import render_hash
from specvit.spectrum import bin_centres

COUNTS = ("rows", "spectra")
FILES = ("sha256", "bytes", "index_sha256", "index_bytes")


def write_summary(
    paths: RunPaths, render: Render, grid: Grid, dealt: Split, shards: Iterable[str]
) -> dict[str, Any]:
    """Gather the statistics of all shards of a set of plots and write `shards.json`.

    Raises DataError where a shard is missing or was made with other settings, where counts do not
    add up, and where a split has nothing to show.
    """
    drawn = render_hash(render, grid)
    stats = [_stats(paths, render.label, shard, drawn) for shard in shards]
    plan = one_plan(
        (path, Plan.of(one.get(KEY), path))
        for one in stats
        if (path := paths.shard_stats(render.label, one["shard"]))
    )
    plan.check_settings(dealt, paths.shard_stats(render.label, stats[0]["shard"]))
    splits = {split: _total(s for s in stats if s["split"] == split) for split in SPLITS}
    total = _total(stats)
    for split, sums in splits.items():
        if sums["shards"] and not sums["spectra"]:
            raise DataError(f"split {split} has no spectrum to show: {_reasons(stats, split)}")
    loglam = bin_centres(grid, grid.pixels)
    summary = {
        "label": render.label,
        "render": render.model_dump(mode="json"),
        "render_hash": drawn,
        KEY: dict(plan.values),
        "channels": render.channels,
        "grid": {
            **grid.model_dump(mode="json"),
            "loglam_first": loglam[0],
            "loglam_step": (loglam[-1] - loglam[0]) / (grid.pixels - 1),
        },
        "simulated": any(s["simulated"] for s in stats),
        "counts": total,
        "splits": splits,
        "shards": [{key: s[key] for key in ("shard", "split", *FILES, *COUNTS)} for s in stats],
        "dropped": [{**row, "shard": s["shard"]} for s in stats for row in s["dropped"]],
    }
    write_json(paths.shards_summary(render.label), summary)
    get_logger(__name__).info(
        "%s: %d spectra in %d shards, %d dropped",
        *(render.label, total["spectra"], total["shards"], total["dropped"]),
    )
    return summary


def _stats(paths: RunPaths, label: str, shard: str, drawn: str) -> dict[str, Any]:
    path = paths.shard_stats(label, shard)
    stats: dict[str, Any] = read_json(path)
    if stats["render"] != drawn:
        raise DataError(f"{path} was made with other settings of grid or render: make it again")
    if stats["rows"] != stats["spectra"] + len(stats["dropped"]):
        raise DataError(
            f"{path}: {stats['rows']} rows, but {stats['spectra']} spectra and "
            f"{len(stats['dropped'])} dropped"
        )
    return stats


def _total(stats: Iterable[dict[str, Any]]) -> dict[str, Any]:
    stats = list(stats)
    classes: Counter[str] = Counter()
    for one in stats:
        classes.update(one["classes"])
    return {
        "shards": len(stats),
        **{key: sum(one[key] for one in stats) for key in COUNTS},
        "dropped": sum(len(one["dropped"]) for one in stats),
        "classes": dict(classes),
    }


def _reasons(stats: list[dict[str, Any]], split: str) -> str:
    reasons = Counter(row["reason"] for s in stats if s["split"] == split for row in s["dropped"])
    found = [f"{count} x {reason}" for reason, count in reasons.most_common(3)]
    return "; ".join(found) or "the catalogue has no rows in it"
