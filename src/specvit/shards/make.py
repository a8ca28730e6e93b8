"""From a shard's downloaded files to a WebDataset shard: one pass, in constant memory."""

from __future__ import annotations

import multiprocessing
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from typing import Any

from specvit.config.data import Grid, Render
from specvit.errors import DataError, MachineError, SpectrumError
from specvit.io import atomic_path, sha256_file, write_json
from specvit.logs import Ticker, progress
from specvit.paths import RunPaths
from specvit.shards.draws import redraw
from specvit.shards.inputs import Input, ShardInputs
from specvit.shards.sample import Drawing
from specvit.shards.tar import TarWriter
from specvit.surveys.read import read_spectrum


@dataclass(frozen=True)
class ShardJob:
    """All that one shard of plots depends on."""

    paths: RunPaths
    shard: str
    render: Render
    grid: Grid
    seed: int

    @property
    def split(self) -> str:
        """The split that the shard belongs to."""
        return self.shard.rpartition("-")[0]

    @property
    def draws(self) -> int:
        """Extra noise realisations of each spectrum: the train split's only."""
        return self.render.draws if self.split == "train" else 0


@dataclass
class _Counts:
    spectra: int = 0
    draws: int = 0
    classes: Counter[str] = field(default_factory=Counter)
    dropped: list[dict[str, str]] = field(default_factory=list)
    simulated: bool = False


def make_shard(job: ShardJob, tick: Ticker | None = None) -> dict[str, Any]:
    """Draw the spectra of one shard; write its tar and, beside it, `<shard>.stats.json`.

    A spectrum that cannot be used is dropped with its reason. Returns the statistics. Raises
    DataError where catalogue, ledger and tar do not belong together.
    """
    inputs = ShardInputs.of(job.paths, job.shard)
    drawing = Drawing(job.render, job.grid)
    counts = _Counts()
    path = job.paths.shard(job.render.label, job.shard)
    # Statistics of an older tar must not stand beside a newer one.
    job.paths.shard_stats(job.render.label, job.shard).unlink(missing_ok=True)
    with atomic_path(path) as temporary:
        with temporary.open("wb") as handle:
            writer = TarWriter(handle)
            for entry in inputs:
                _write(entry, job, drawing, writer, counts)
                if tick is not None:
                    tick.advance(note=f"{len(counts.dropped)} dropped" if counts.dropped else "")
            writer.close()
        sha256, size = sha256_file(temporary), temporary.stat().st_size
    if counts.spectra + len(counts.dropped) != len(inputs):
        raise DataError(f"{path}: {len(inputs)} rows came in, {counts} went out")
    stats = {
        "shard": job.shard,
        "split": job.split,
        "render": drawing.hash,
        "seed": job.seed if job.draws else None,
        "sha256": sha256,
        "bytes": size,
        "rows": len(inputs),
        "spectra": counts.spectra,
        "draws": counts.draws,
        "samples": counts.spectra + counts.draws,
        "classes": dict(counts.classes),
        "dropped": counts.dropped,
        "simulated": counts.simulated,
    }
    write_json(job.paths.shard_stats(job.render.label, job.shard), stats)
    return stats


def _write(
    entry: Input, job: ShardJob, drawing: Drawing, writer: TarWriter, counts: _Counts
) -> None:
    counts.simulated |= bool(entry.row["simulated"])
    try:
        if entry.data is None:
            raise SpectrumError(entry.reason)
        spectrum = read_spectrum(entry.data)
        samples = [drawing.sample(spectrum, entry.row)]
        for number in range(1, job.draws + 1):
            changed, row = redraw(spectrum, entry.row, job.seed, number)
            samples.append(drawing.sample(changed, row, number))
    except SpectrumError as error:
        reason = {"spectrum_id": entry.row["spectrum_id"], "reason": str(error)}
        counts.dropped.append(reason)
        return
    for sample in samples:
        for name, data in sample.members():
            writer.add(name, data)
    counts.spectra += 1
    counts.draws += job.draws
    counts.classes[entry.row["class"] or "unknown"] += 1


def make_shards(jobs: Iterable[ShardJob], processes: int = 1) -> None:
    """Make several shards, each in one of `processes`; the bytes do not depend on how many.

    Raises what the first failing shard raised; shards that are done stay.
    """
    jobs = list(jobs)
    if processes == 1 or len(jobs) == 1:
        for job in jobs:
            with progress(f"{job.render.label}/{job.shard}") as tick:
                make_shard(job, tick)
        return
    # Not forked: threads of this process (pyarrow has some) would not live on in a copy of it.
    context = multiprocessing.get_context("spawn")
    with (
        ProcessPoolExecutor(min(processes, len(jobs)), mp_context=context) as pool,
        progress("shards", len(jobs), "shards") as tick,
    ):
        futures = [pool.submit(make_shard, job) for job in jobs]
        try:
            for future in as_completed(futures):
                stats = future.result()
                tick.advance(note=f"{stats['spectra']} spectra in {stats['shard']}")
        except BrokenProcessPool as error:
            raise MachineError(
                "a process that made a shard was killed (out of memory?): use fewer --processes"
            ) from error
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
