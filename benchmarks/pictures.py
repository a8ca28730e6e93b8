"""Shards of real plots for the benchmarks of loader and training."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import click

from specvit.config.data import Grid, Render
from specvit.errors import DataError, SpectrumError

DISTINCT = 512  # different simulated spectra; more samples repeat them

spectra_option = click.option(
    "--spectra",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Draw the FITS files below this folder; default: simulated ones.",
)


def write_shards(
    paths: Sequence[Path], samples: int, render: Render, spectra: Path | None
) -> tuple[str, int]:
    """Deal this many plots to these shards; return what they are of and the bytes of a PNG.

    Spectra are repeated, under other identifiers, when there are fewer.
    """
    from dataclasses import replace

    from specvit.config.data import Split
    from specvit.plan import Plan
    from specvit.shards.make import ShardWriter
    from specvit.shards.sample import Drawing

    drawing = Drawing(render, Grid())
    drawn = []
    for number, data in enumerate(_fits(samples, spectra)):
        try:
            drawn.append(_sample(drawing, data, number))
        except SpectrumError:
            continue  # a folder of real files has some that no survey would have served
    if not drawn:
        raise DataError(f"no spectrum below {spectra} can be read")
    numbered = enumerate(islice(cycle(drawn), samples))
    by_shard: list[list[tuple[int, Any]]] = [[] for _ in paths]
    for number, sample in numbered:
        by_shard[number % len(paths)].append((number, sample))
    for path, chosen in zip(paths, by_shard, strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as handle:
            writer = ShardWriter(handle)
            for number, sample in chosen:
                row = sample.row | {"spectrum_id": f"s{number:07d}"}
                writer.add(replace(sample, row=row))
            writer.close()
        writer.index.write(path, path.stat().st_size, drawing.hash, Plan.dealt(Split(), ()))
    size = sum(len(sample.png) for sample in drawn) // len(drawn)
    kind = f"{len(drawn)} {'simulated' if spectra is None else 'real'} spectra"
    return f"{samples} {render.mode} plots of {render.size} x {render.size} from {kind}", size


def _fits(samples: int, spectra: Path | None) -> Iterator[bytes]:
    if spectra is not None:
        files = [*spectra.rglob("*.fits"), *spectra.rglob("*.fits.gz")]
        for path in sorted(files)[:samples]:
            yield path.read_bytes()
        return
    from specvit.config.surveys import Simulated
    from specvit.surveys.simulated import SimulatedSky

    sky = SimulatedSky(Simulated())
    for number in range(min(samples, DISTINCT)):
        yield sky.sdss_file(number)


def _sample(drawing: Any, data: bytes, number: int) -> Any:
    from specvit.catalog.schema import CATALOG_SCHEMA
    from specvit.surveys.read import read_spectrum
    from specvit.tasks import CLASSES

    spectrum = read_spectrum(data)
    header = spectrum.header
    row = dict.fromkeys(CATALOG_SCHEMA.names) | {
        "spectrum_id": f"s{number}",
        "object_id": f"s{number}",
        "class": header.class_ if header.class_ in CLASSES else None,
        "z": header.z if header.z is not None else 0.0,
    }
    return drawing.sample(spectrum, row)
