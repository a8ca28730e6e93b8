"""`specvit bench shards`: FITS bytes in a tar to a finished WebDataset shard."""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import click

from specvit.bench.common import BenchResult, available_cores, json_option, peak_rss_mb
from specvit.bench.pictures import spectra_option
from specvit.config.data import Grid, Render
from specvit.errors import DataError, SpectrumError

GZIP = b"\x1f\x8b"
REPEATS = 3  # of each measurement; the best counts, since other work on the machine only delays
REFERENCE_SPECTRA = 24
RENDERS = (
    Render(mode="line"),
    Render(mode="overlap"),
    Render(mode="stacked"),
    Render(mode="map"),
    Render(mode="map", rows=56, derivatives=2, name="map-derivatives-224"),
    Render(mode="line", scale="continuum", name="line-continuum-224"),
)
SHARDS = ("train-000000", "train-000001")


@click.command("shards")
@spectra_option
@click.option("--count", default=600, show_default=True, help="Spectra in each of two shards.")
@click.option("--scaling/--no-scaling", default=True, help="Also measure two processes beside one.")
@json_option
def command(spectra: Path | None, count: int, scaling: bool, json_path: Path | None) -> None:
    """Draw spectra into shards on one core, beside astropy, matplotlib and one PNG a file."""
    files = list(islice(_readable(spectra), count))
    if not files:
        raise DataError(f"no spectrum below {spectra} can be read")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        _write_inputs(root, files, count)
        _rate(root, RENDERS[0])  # the first shard also loads libraries and fills caches
        rates = {render.label: max(_rates(root, render)) for render in RENDERS}
        memory = peak_rss_mb()
        extra: dict[str, Any] = {
            "modes": {label: round(rate, 1) for label, rate in rates.items()},
            "cpu_rate": round(max(_rates(root, RENDERS[0], time.process_time)), 1),
            "distinct": len(files),
            "peak_rss_mb": memory,
        }
        if scaling:
            extra["two_processes_over_one"] = round(_scaling(root), 2)
        reference = max(_reference_rates(root / "reference", files))
    size = sum(map(len, files)) / len(files) / 1e3
    BenchResult(
        name="shards",
        what=f"{count} {'simulated' if spectra is None else 'real'} files of {size:.0f} kB "
        "in a tar to a shard of 224 x 224 pictures, flux arrays and rows",
        unit="spectra",
        rate=rates["line-224"],
        reference="astropy table to list, matplotlib figure, savefig, one PNG a file",
        reference_rate=reference,
        cores=1,
        extra=extra,
    ).show(json_path)


def _readable(spectra: Path | None) -> Iterator[bytes]:
    """Yield files that can be drawn; a folder of real ones has some that no run would have."""
    from specvit.bench.pictures import DISTINCT
    from specvit.spectrum import read_spectrum

    if spectra is None:
        from specvit.config.surveys import Simulated
        from specvit.surveys.simulated import SimulatedSky

        sky = SimulatedSky(Simulated())
        contents: Iterable[bytes] = (sky.sdss_file(number) for number in range(DISTINCT))
    else:
        paths = sorted([*spectra.rglob("*.fits"), *spectra.rglob("*.fits.gz")])
        # Every tenth after every tenth: a part of the folder is then a fair sample of it.
        contents = (path.read_bytes() for first in range(10) for path in paths[first::10])
    for data in contents:
        try:
            read_spectrum(data)
        except SpectrumError:
            continue
        yield data


def _write_inputs(root: Path, files: list[bytes], count: int) -> None:
    """Write catalogue, tars and ledgers as catalogue and download would leave them."""
    import pandas as pd

    from specvit.catalog.schema import CATALOG_SCHEMA, as_table
    from specvit.download.archive import write_archive
    from specvit.download.ledger import Entry, ledger_table
    from specvit.io import write_parquet
    from specvit.paths import RunPaths

    paths = RunPaths(root)
    rows = []
    for shard in SHARDS:
        ids = [f"{shard}-{number:06d}" for number in range(count)]
        contents = dict(zip(ids, cycle(files), strict=False))
        write_archive(paths.spectra(shard), ids, contents.__getitem__)
        hashes = {name: hashlib.sha256(data).hexdigest() for name, data in contents.items()}
        ledger = [Entry(n, "", "ok", None, len(contents[n]), hashes[n], 1) for n in ids]
        write_parquet(paths.ledger(shard), ledger_table(ledger))
        common = {"survey": "sdss", "class": "GALAXY", "z": 0.1, "simulated": True}
        places = {"split": "train", "shard": shard}
        rows += [{"spectrum_id": n, "object_id": n, **common, **places} for n in ids]
    frame = pd.DataFrame(rows, columns=CATALOG_SCHEMA.names)
    write_parquet(paths.catalog, as_table(frame, CATALOG_SCHEMA))


def _job(root: Path, render: Render, shard: str) -> Any:
    from specvit.paths import RunPaths
    from specvit.shards import ShardJob

    return ShardJob(RunPaths(root), shard, render, Grid(), seed=1)


def _rate(root: Path, render: Render, clock: Callable[[], float] = time.perf_counter) -> float:
    from specvit.shards import make_shard

    start = clock()
    stats = make_shard(_job(root, render, SHARDS[0]))
    return float(stats["rows"] / (clock() - start))


def _rates(
    root: Path, render: Render, clock: Callable[[], float] = time.perf_counter
) -> Iterator[float]:
    for _ in range(REPEATS):
        yield _rate(root, render, clock)


def _scaling(root: Path) -> float:
    """Time of one process over that of two, the start of the processes included."""
    from specvit.shards import make_shards

    if available_cores() < 2:
        return 1.0
    renders = [RENDERS[0].model_copy(update={"name": f"line-{i}"}) for i in range(4)]
    jobs = [_job(root, render, shard) for render in renders for shard in SHARDS]
    best: dict[int, float] = {}
    for _ in range(REPEATS):
        for processes in (1, 2):
            start = time.perf_counter()
            make_shards(jobs, processes)
            best[processes] = min(time.perf_counter() - start, best.get(processes, 1e9))
    return best[1] / best[2]


def _reference_rates(folder: Path, files: list[bytes]) -> Iterator[float]:
    folder.mkdir()
    paths = []
    for number, data in enumerate(files[:REFERENCE_SPECTRA]):
        paths.append(folder / (f"{number}.fits.gz" if data.startswith(GZIP) else f"{number}.fits"))
        paths[-1].write_bytes(data)
    _reference(paths[0])
    for _ in range(REPEATS):
        start = time.perf_counter()
        for path in paths:
            _reference(path)
        yield len(paths) / (time.perf_counter() - start)


def _reference(path: Path) -> None:
    """Draw one spectrum the way that a first script would."""
    import warnings

    import matplotlib.pyplot as plt
    import numpy as np
    from astropy.io import fits
    from astropy.table import Table

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        header = fits.getheader(path)
        if header["NAXIS"] == 2:
            start, step = header["COEFF0"], header["COEFF1"]
            image = fits.getdata(path)
            table = Table({"flux": image[0], "loglam": start + step * np.arange(image.shape[1])})
        else:
            table = Table.read(path, hdu=1)
    columns = {name.lower(): name for name in table.colnames}
    flux = np.ravel(table[columns["flux"]]).tolist()
    if "loglam" in columns:
        wave = [10**value for value in table[columns["loglam"]].tolist()]
    else:
        wave = np.ravel(table[columns["wavelength"]]).tolist()
    figure, axes = plt.subplots(figsize=(2.24, 2.24), dpi=100)
    axes.plot(wave, flux, "k", lw=0.7)
    axes.set_xlim(3800, 9200)
    axes.axis("off")
    figure.savefig(path.with_suffix(".png"))
    plt.close(figure)
