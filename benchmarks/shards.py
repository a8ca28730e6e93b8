"""FITS bytes in a tar to a finished WebDataset shard."""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from typing import Any, NamedTuple

import click

from benchmarks.common import BenchResult, json_option
from benchmarks.pictures import spectra_option
from specvit.config.data import Grid, Render, Split
from specvit.errors import DataError, SpectrumError
from specvit.machine import available_cores, peak_rss_mb

GZIP = b"\x1f\x8b"
REPEATS = 3  # of each measurement; the best counts, since other work on the machine only delays
REFERENCE_SPECTRA = 24
SCALING_S = 60.0  # of one process: a real run is long beside the start of its processes
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
    """Draw spectra into shards on one core, beside astropy, matplotlib and one PNG a file.

    Rates are by the clock; `cpu_rate` counts only the time that the process had a core, which is
    the fairer figure on a machine that is busy with other work.
    """
    files = list(islice(_readable(spectra), count))
    if not files:
        raise DataError(f"no spectrum below {spectra} can be read")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        _write_inputs(root, files, count)
        _best(lambda: _make(root, RENDERS[0]))  # also loads libraries and fills caches
        rates = {render.label: _best(partial(_make, root, render)) for render in RENDERS}
        memory = peak_rss_mb()  # before the reference loads its libraries
        ours = rates[RENDERS[0].label]
        reference = _best(_reference_on(root / "reference", files))
        bare = _best(_reference_on(root / "bare", files, axes=False))
        extra: dict[str, Any] = {
            "cpu_rate": round(ours.cpu, 1),
            "reference_cpu_rate": round(reference.cpu, 1),
            "cpu_ratio": round(ours.cpu / reference.cpu, 2),
            "reference_without_axes": round(bare.wall, 1),
            "ratio_without_axes": round(ours.wall / bare.wall, 2),
            "modes": {label: round(rate.wall, 1) for label, rate in rates.items()},
            "modes_cpu": {label: round(rate.cpu, 1) for label, rate in rates.items()},
            "distinct": len(files),
            "peak_rss_mb": memory,
        }
        if scaling:
            extra["two_processes_over_one"] = round(_scaling(root, ours.wall, count), 2)
    size = sum(map(len, files)) / len(files) / 1e3
    BenchResult(
        name="shards",
        what=f"{count} {'simulated' if spectra is None else 'real'} files of {size:.0f} kB "
        "in a tar to a shard of 224 x 224 pictures, flux arrays and rows",
        unit="spectra",
        rate=ours.wall,
        reference="astropy table to list, matplotlib figure, savefig, one PNG a file",
        reference_rate=reference.wall,
        cores=1,
        extra=extra,
    ).show(json_path)


class _Rate(NamedTuple):
    """Items a second by the clock and by the processor's time."""

    wall: float
    cpu: float


def _best(work: Callable[[], int]) -> _Rate:
    """Best rates of some repeats of work that returns the number of items it did."""
    rates = []
    for _ in range(REPEATS):
        wall, cpu = time.perf_counter(), time.process_time()
        items = work()
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        rates.append(_Rate(items / wall, items / cpu))
    return _Rate(max(rate.wall for rate in rates), max(rate.cpu for rate in rates))


def _readable(spectra: Path | None) -> Iterator[bytes]:
    """Yield files that can be drawn; a folder of real ones has some that no run would have."""
    from benchmarks.pictures import DISTINCT
    from specvit.surveys.read import read_spectrum

    if spectra is None:
        from specvit.config.surveys import Simulated
        from specvit.surveys.simulated import SimulatedSky

        sky = SimulatedSky(Simulated())
        contents: Iterable[bytes] = (sky.sdss.lite(number) for number in range(DISTINCT))
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
    from specvit.plan import Plan

    paths, plan = RunPaths(root), Plan.dealt(Split(), ())
    rows = []
    for shard in SHARDS:
        ids = [f"{shard}-{number:06d}" for number in range(count)]
        contents = dict(zip(ids, cycle(files), strict=False))
        write_archive(paths.spectra(shard), ids, contents.__getitem__)
        hashes = {name: hashlib.sha256(data).hexdigest() for name, data in contents.items()}
        ledger = [Entry(n, "", "ok", None, len(contents[n]), hashes[n], 1) for n in ids]
        write_parquet(paths.ledger(shard), ledger_table(ledger), plan.metadata)
        common = {"survey": "sdss", "class": "GALAXY", "z": 0.1, "simulated": True}
        places = {"split": "train", "shard": shard}
        rows += [{"spectrum_id": n, "object_id": n, **common, **places} for n in ids]
    frame = pd.DataFrame(rows, columns=CATALOG_SCHEMA.names)
    write_parquet(paths.catalog, as_table(frame, CATALOG_SCHEMA), plan.metadata)


def _job(root: Path, render: Render, shard: str) -> Any:
    from specvit.paths import RunPaths
    from specvit.shards import ShardJob

    return ShardJob(RunPaths(root), shard, render, Grid(), Split())


def _make(root: Path, render: Render) -> int:
    from specvit.shards import make_shard

    return int(make_shard(_job(root, render, SHARDS[0]))["rows"])


def _scaling(root: Path, rate: float, count: int) -> float:
    """Time of one process over that of two, the start of the processes included."""
    from specvit.shards import make_shards

    if available_cores() < 2:
        return 1.0
    pairs = max(1, round(SCALING_S * rate / count / len(SHARDS)))
    renders = [RENDERS[0].model_copy(update={"name": f"line-{i}"}) for i in range(pairs)]
    jobs = [_job(root, render, shard) for render in renders for shard in SHARDS]
    took = {}
    for processes in (1, 2):
        start = time.perf_counter()
        make_shards(jobs, processes)
        took[processes] = time.perf_counter() - start
    return took[1] / took[2]


def _reference_on(folder: Path, files: list[bytes], axes: bool = True) -> Callable[[], int]:
    folder.mkdir()
    paths = []
    for number, data in enumerate(files[:REFERENCE_SPECTRA]):
        paths.append(folder / (f"{number}.fits.gz" if data.startswith(GZIP) else f"{number}.fits"))
        paths[-1].write_bytes(data)

    def draw_all() -> int:
        for path in paths:
            _reference(path, axes)
        return len(paths)

    draw_all()
    return draw_all


def _reference(path: Path, axes: bool) -> None:
    """Draw one spectrum the way that a first script would, or a second one without axes."""
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
    flux = list(np.ravel(table[columns["flux"]]))
    if "loglam" in columns:
        wave = [10**value for value in table[columns["loglam"]]]
    else:
        wave = list(np.ravel(table[columns["wavelength"]]))
    figure = plt.figure()
    plt.plot(wave, flux)
    plt.xlim(3800, 9200)
    if not axes:
        plt.axis("off")
    plt.savefig(path.with_suffix(".png"))
    plt.close(figure)
