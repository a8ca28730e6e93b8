"""From a shard's downloaded files to a WebDataset shard: one pass, in constant memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from concurrent.futures import as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from specvit.config.data import Grid, Render, Split
from specvit.errors import DataError, MachineError, SpectrumError, blamed_on_the_file
from specvit.io import atomic_path, sha256_file, write_json
from specvit.locks import writing
from specvit.logs import Ticker, progress
from specvit.machine import worker_processes
from specvit.paths import RunPaths
from specvit.plan import KEY
from specvit.shards.index import IndexWriter, index_path
from specvit.shards.inputs import Input, ShardInputs
from specvit.shards.sample import Drawing, Sample
from specvit.surveys.read import read_spectrum
from specvit.tar import TarWriter


@dataclass(frozen=True)
class ShardJob:
    """All that one shard of plots depends on."""

    paths: RunPaths
    shard: str
    render: Render
    grid: Grid
    dealt: Split
    """What the catalogue must have been dealt by."""

    @property
    def split(self) -> str:
        """The split that the shard belongs to."""
        return self.shard.rpartition("-")[0]


@dataclass
class _Counts:
    spectra: int = 0
    classes: Counter[str] = field(default_factory=Counter)
    dropped: list[dict[str, str]] = field(default_factory=list)
    simulated: bool = False


class ShardWriter:
    """Writes samples to an open tar, and where they lie to the shard's index."""

    def __init__(self, handle: IO[bytes]) -> None:
        self._tar, self.index = TarWriter(handle), IndexWriter()

    def add(self, sample: Sample) -> None:
        """Append a sample."""
        members = {
            kind: (self._tar.add(f"{sample.key}.{kind}", data), data)
            for kind, data in sample.members().items()
        }
        self.index.add(sample.row, members)

    def close(self) -> None:
        """End the tar."""
        self._tar.close()


def make_shard(job: ShardJob, tick: Ticker | None = None) -> dict[str, Any]:
    """Draw the spectra of one shard; write its tar and, beside it, its index and statistics.

    A spectrum that cannot be used is dropped with its reason. Returns the statistics. Raises
    DataError where catalogue, ledger and tar do not belong together.
    """
    with writing(job.paths, f"shards/{job.render.label}/{job.shard}"):
        return _make_shard(job, tick)


def _make_shard(job: ShardJob, tick: Ticker | None) -> dict[str, Any]:
    inputs = ShardInputs.of(job.paths, job.shard, job.dealt)
    drawing = Drawing(job.render, job.grid)
    counts = _Counts()
    path = job.paths.shard(job.render.label, job.shard)
    # What an older tar had must not stand beside a newer one.
    for old in (job.paths.shard_stats(job.render.label, job.shard), index_path(path)):
        old.unlink(missing_ok=True)
    with atomic_path(path) as temporary:
        with temporary.open("wb") as handle:
            writer = ShardWriter(handle)
            for entry in inputs:
                _write(entry, drawing, writer, counts)
                if tick is not None:
                    tick.advance(note=f"{len(counts.dropped)} dropped" if counts.dropped else "")
            writer.close()
        size = temporary.stat().st_size
    if counts.spectra + len(counts.dropped) != len(inputs):
        raise DataError(f"{path}: {len(inputs)} rows came in, {counts} went out")
    writer.index.write(path, size, drawing.hash, inputs.plan)
    stats = {
        "shard": job.shard,
        "split": job.split,
        "render": drawing.hash,
        KEY: dict(inputs.plan.values),
        **recorded(path),
        "rows": len(inputs),
        "spectra": counts.spectra,
        "classes": dict(counts.classes),
        "dropped": counts.dropped,
        "simulated": counts.simulated,
    }
    write_json(job.paths.shard_stats(job.render.label, job.shard), stats)
    return stats


def recorded(path: Path) -> dict[str, Any]:
    """What a shard's statistics say of its tar and its index: hashes and sizes."""
    index = index_path(path)
    return {
        "sha256": sha256_file(path),
        "bytes": path.stat().st_size,
        "index_sha256": sha256_file(index),
        "index_bytes": index.stat().st_size,
    }


def _write(entry: Input, drawing: Drawing, writer: ShardWriter, counts: _Counts) -> None:
    counts.simulated |= bool(entry.row["simulated"])
    try:
        with blamed_on_the_file():
            if entry.data is None:
                raise SpectrumError(entry.reason)
            sample = drawing.sample(read_spectrum(entry.data), entry.row)
    except SpectrumError as error:
        reason = {"spectrum_id": entry.row["spectrum_id"], "reason": str(error)}
        counts.dropped.append(reason)
        return
    writer.add(sample)
    counts.spectra += 1
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
    with (
        worker_processes(min(processes, len(jobs))) as pool,
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
