"""A page of real pictures from finished shards, each class and set of plots, pixel for pixel."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from specvit import __version__
from specvit.config import Config
from specvit.config.data import Render
from specvit.io import read_json, write_text
from specvit.paths import EXAMPLE_SHARDS
from specvit.plot import render_hash
from specvit.plot.axes import picture_svg
from specvit.shards.index import Index, place_columns, read_index
from specvit.tasks import ALL_CLASSES

SHOWN_SIZE = 256  # small pictures are enlarged by whole pixels up to about this
KEPT = ("spectrum_id", "survey", "class", "subclass", "z", "snr", "simulated")


def gallery_items(config: Config, render: Render) -> list[dict[str, Any]]:
    """Up to `report.examples` pictures of each class of one set of plots, spread over S/N.

    The pictures come from the first shard of the test split (then of val and train, where it has
    too few of a class); the same ones every time. Each item has `png` (bytes as in the shard),
    `mode`, `label`, `size`, `spectrum_id`, `survey`, `class`, `subclass`, `z`, `snr` and
    `simulated`. Raises DataError where shards are missing or damaged, or were made with other
    settings than these.
    """
    per_class, plots = config.report.examples, render_hash(render, config.grid)
    summary = read_json(config.paths.shards_summary(render.label))
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in ALL_CLASSES}
    lacking = {name for name in ALL_CLASSES if summary["counts"]["classes"].get(name)}
    indexes: dict[str, Index] = {}
    for shard in EXAMPLE_SHARDS:
        lacking = {name for name in lacking if len(found[name]) < per_class}
        if not lacking:
            break
        tar = config.paths.shard(render.label, shard)
        indexes[shard] = read_index([tar], [*KEPT, *place_columns("png")])
        indexes[shard].check(config.split, plots)
        for number, row in enumerate(indexes[shard].table.select(KEPT).to_pylist()):
            if row["class"] in lacking:
                found[row["class"]].append({**row, "place": (shard, number)})
    common = {"mode": render.mode, "label": render.label, "size": render.size}
    chosen = [item for items in found.values() for item in _spread(items, per_class)]
    for item in chosen:
        shard, number = item.pop("place")
        item["png"] = next(indexes[shard].contents("png", [number]))
    return [{**item, **common} for item in chosen]


def _spread(items: list[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    """Return the middle of each of `count` equal parts in order of S/N."""
    ordered = sorted(items, key=lambda item: (item["snr"] or 0.0, item["spectrum_id"]))
    count = min(count, len(ordered))
    return [ordered[int((i + 0.5) * len(ordered) / count)] for i in range(count)]


def write_gallery(config: Config, renders: Iterable[Render]) -> None:
    """Write `gallery.html` from these sets of plots of the run; one self-contained page."""
    environment = Environment(
        loader=PackageLoader("specvit.plot"), autoescape=True, undefined=StrictUndefined
    )
    parts = [_part(config, render) for render in renders]
    page = environment.get_template("gallery.html").render(
        run=config.run,
        version=__version__,
        simulated=any(part["index"]["simulated"] for part in parts),
        parts=parts,
    )
    write_text(config.paths.gallery, page + "\n")


def _part(config: Config, render: Render) -> dict[str, Any]:
    index = read_json(config.paths.shards_summary(render.label))
    items = gallery_items(config, render)
    # The one that has least noise shows best what is drawn.
    best = max(items, key=lambda item: item["snr"] or 0.0, default=None)
    with_axes = picture_svg(best["png"], render, config.grid) if best else ""
    for item in items:
        item["source"] = "data:image/png;base64," + base64.b64encode(item.pop("png")).decode()
    return {
        "index": index,
        "zoom": max(1, SHOWN_SIZE // index["render"]["size"]),
        "classes": [
            (name, [item for item in items if item["class"] == name])
            for name in ALL_CLASSES
            if any(item["class"] == name for item in items)
        ],
        "with_axes": with_axes,
        "grey": render.channels == 1,
        "about": _about(index["render"], index["grid"]),
    }


def _about(render: dict[str, Any], grid: dict[str, Any]) -> str:
    span = f"{grid['wave_min']:g} to {grid['wave_max']:g} Å"
    pixels = f"{render['size']} x {render['size']} pixels"
    mode = {
        "line": f"one curve over {span}",
        "overlap": f"the thirds of {span} over each other in red, green and blue",
        "stacked": f"{span} in {render['rows']} rows, one below the other",
        "map": f"flux as brightness, {span} in {render['rows']} rows",
    }[render["mode"]]
    slopes = " and its derivatives in green and blue" if render["derivatives"] else ""
    return f"{pixels}: {mode}{slopes}; {render['frame']} frame, vacuum wavelength, even in log."
