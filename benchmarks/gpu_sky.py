"""Many simulated spectra drawn at once: shards of one set of plots, without a pipeline's files."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.pictures import catalogue_row, list_shards
from specvit.config import Config
from specvit.config.data import Grid, Render, Split
from specvit.config.surveys import Simulated
from specvit.errors import SpectrumError
from specvit.machine import worker_processes
from specvit.plan import Plan

SDSS_SHARE = 0.6
"""Of the spectra: SDSS's, as in the default run."""
MOST_VAL = 2000
"""Spectra of the validation split, which each epoch goes through."""
Rows = np.ndarray[Any, Any]


@dataclass(frozen=True)
class SkyShard:
    """One shard to be drawn: its rows of the simulated sky, until the time is up."""

    path: Path
    sky: Simulated
    rows: Rows
    """Rows of SDSS; from `sky.sdss_spectra` on those of LAMOST."""
    render: Render
    grid: Grid
    split: Split
    end: float
    """Second (time.time) after which no spectrum is begun."""


def draw_sky(config: Config, spectra: int, seconds: float) -> dict[str, Any]:
    """Simulate and draw so many spectra of as many objects, or what the time allows.

    One process draws each of the shards that `config.split.shards` names. Returns what was drawn.
    """
    sdss = round(SDSS_SHARE * spectra)
    sky = Simulated(
        seed=config.simulated.seed,
        sdss_spectra=sdss,
        lamost_spectra=spectra - sdss,
        repeat_fraction=0.0,  # no object twice, so that none is on both sides of the split
    )
    order = np.random.default_rng(config.split.seed).permutation(spectra)
    parts = np.split(order, [min(MOST_VAL, spectra // 10)])
    begun = time.time()
    shards = [
        SkyShard(path, sky, rows, config.render[0], config.grid, config.split, begun + seconds)
        for split, part in zip(("val", "train"), parts, strict=True)
        for path, rows in _dealt(config, split, part)
    ]
    with worker_processes(len(shards)) as pool:
        counts = list(pool.map(draw_shard, shards))
    list_shards(shards[0].path.parent)
    drawn = [sum(column) for column in zip(*counts, strict=True)]
    return {
        "spectra": int(drawn[0]),
        "processor_seconds": round(drawn[1], 1),
        "seconds": round(time.time() - begun, 1),
        "processes": len(shards),
        "by_shard": {s.path.stem: n for s, (n, _) in zip(shards, counts, strict=True)},
    }


def _dealt(config: Config, split: str, rows: Rows) -> Iterator[tuple[Path, Rows]]:
    """The shards of a split, each with its share of the rows."""
    names = config.shard_names(split)
    for name, share in zip(names, np.array_split(rows, len(names)), strict=True):
        yield config.paths.shard(config.render[0].label, name), share


def draw_shard(shard: SkyShard) -> tuple[int, float]:
    """Draw a shard; return its samples and the processor's seconds."""
    import cv2

    from specvit.shards.make import ShardWriter
    from specvit.shards.sample import Drawing

    cv2.setNumThreads(1)
    begun = time.process_time()
    drawing = Drawing(shard.render, shard.grid)
    shard.path.parent.mkdir(parents=True, exist_ok=True)
    with shard.path.open("wb") as handle:
        writer = ShardWriter(handle)
        for row, spectrum in _spectra(shard):
            try:
                writer.add(drawing.sample(spectrum, row))
            except SpectrumError:
                continue
        writer.close()
    plan = Plan.dealt(shard.split, ())
    writer.index.write(shard.path, shard.path.stat().st_size, drawing.hash, plan)
    return len(writer.index.rows), time.process_time() - begun


def _spectra(shard: SkyShard) -> Iterator[tuple[dict[str, Any], Any]]:
    """Catalogue rows and spectra of a shard: of those with a class and a good redshift."""
    from specvit.surveys.read import read_spectrum
    from specvit.surveys.simulated import SimulatedSky

    sky = SimulatedSky(shard.sky)
    for number in shard.rows.tolist():
        if time.time() > shard.end:
            return
        lamost = number - shard.sky.sdss_spectra
        data = sky.sdss.lite(number) if lamost < 0 else sky.lamost.spectrum(lamost, "dr10")
        try:
            spectrum = read_spectrum(data)
        except SpectrumError:
            continue
        row = catalogue_row(spectrum.header, f"s{number:07d}")
        if row["class"] is not None and not spectrum.header.zwarning:
            yield row, spectrum
