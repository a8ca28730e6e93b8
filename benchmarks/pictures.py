"""Shards of real plots for the benchmarks of loader and training."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import click

from specvit.config.data import Grid, Render, Split
from specvit.errors import DataError, SpectrumError
from specvit.spectrum import Header

DISTINCT = 512  # different simulated spectra; more samples repeat them

spectra_option = click.option(
    "--spectra",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Draw the FITS files below this folder; default: simulated ones.",
)


def write_shards(
    paths: Sequence[Path],
    samples: int,
    render: Render,
    spectra: Path | None,
    split: Split | None = None,
) -> tuple[str, int]:
    """Deal this many plots to these shards; return what they are of and the bytes of a PNG.

    Spectra are repeated, under other identifiers, when there are fewer.
    """
    from dataclasses import replace

    from specvit.plan import Plan
    from specvit.shards.make import ShardWriter
    from specvit.shards.sample import Drawing

    drawing, plan = Drawing(render, Grid()), Plan.dealt(split or Split(), ())
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
        writer.index.write(path, path.stat().st_size, drawing.hash, plan)
    list_shards(paths[0].parent)
    size = sum(len(sample.png) for sample in drawn) // len(drawn)
    kind = f"{len(drawn)} {'simulated' if spectra is None else 'real'} spectra"
    return f"{samples} {render.mode} plots of {render.size} x {render.size} from {kind}", size


def list_shards(folder: Path) -> None:
    """Write which shards are in a folder, as far as training looks into `shards.json`."""
    import pyarrow.parquet as pq

    from specvit.io import sha256_file, write_json
    from specvit.shards.index import SUMMARY, index_path

    listed = [
        {
            "shard": tar.stem,
            "spectra": pq.read_metadata(index_path(tar)).num_rows,
            "bytes": tar.stat().st_size,
            "index_sha256": sha256_file(index_path(tar)),
        }
        for tar in sorted(folder.glob("*.tar"))
    ]
    write_json(folder / SUMMARY, {"shards": listed})


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
        yield sky.sdss.lite(number)


def _sample(drawing: Any, data: bytes, number: int) -> Any:
    from specvit.surveys.read import read_spectrum

    spectrum = read_spectrum(data)
    return drawing.sample(spectrum, catalogue_row(spectrum.header, f"s{number}"))


def catalogue_row(header: Header, name: str) -> dict[str, Any]:
    """A row of the catalogue from what a file says of itself; redshift 0 where it says none."""
    from specvit.catalog.schema import CATALOG_SCHEMA
    from specvit.tasks import CLASSES

    return dict.fromkeys(CATALOG_SCHEMA.names) | {
        "spectrum_id": name,
        "object_id": name,
        "survey": header.survey,
        "class": header.class_ if header.class_ in CLASSES else None,
        "z": header.z if header.z is not None else 0.0,
    }
