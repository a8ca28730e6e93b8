"""From single spectra to what a model sees of them, in several processes, in order."""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from specvit.config.data import Grid, Render
from specvit.errors import MachineError, SpectrumError, blamed_on_the_file
from specvit.machine import worker_processes
from specvit.plot import draw
from specvit.predict.fetch import fetch
from specvit.predict.sources import Item, is_address
from specvit.shards.sample import scaled_flux
from specvit.spectrum import Spectrum, to_grid
from specvit.surveys.read import read_bytes
from specvit.tables.arrays import Reading
from specvit.tables.objects import spectrum_of
from specvit.tables.read import read_any

CHUNK = 32  # spectra that a process is given at a time
AHEAD = 3  # chunks that wait for each process
CONNECTIONS = 4  # open connections of a process


@dataclass(frozen=True)
class Wanted:
    """What a model sees of a spectrum, and what the user says of tables."""

    kind: Literal["picture", "flux"]
    render: Render
    grid: Grid
    reading: Reading


@dataclass(frozen=True)
class Prepared:
    """One spectrum's row as far as it is known before any model is asked."""

    path: str
    survey: str | None = None
    identity: str | None = None
    snr: float | None = None
    covered: float = 0.0
    """Share of the grid's pixels that have data."""
    notes: tuple[str, ...] = ()
    reason: str | None = None
    """Why it cannot be predicted."""
    array: NDArray[Any] | None = None
    """uint8 picture, or float16 flux on the grid; None where there is a reason."""


def read_item(item: Item, reading: Reading) -> Spectrum:
    """Read one spectrum, wherever it is. Raises SpectrumError."""
    if item.reason is not None:
        raise SpectrumError(item.reason)
    if item.thing is not None:
        return spectrum_of(item.thing, reading)
    data = item.data
    if data is None:
        assert item.place is not None, "an item has bytes, a place, a thing or a reason"
        data = fetch(item.place) if is_address(item.place) else read_bytes(Path(item.place))
    return read_any(data, reading, _stem(item.name))


def prepare_one(item: Item, wanted: Wanted) -> Prepared:
    """What a model sees of one spectrum; whatever is wrong with it is its reason."""
    try:
        with blamed_on_the_file():
            return prepared(item.name, read_item(item, wanted.reading), wanted)
    except SpectrumError as error:
        return Prepared(item.name, reason=str(error))


def prepared(name: str, spectrum: Spectrum, wanted: Wanted) -> Prepared:
    """What a model sees of a spectrum. Raises SpectrumError where it has nothing to show.

    Pictures and fluxes are the very ones that shards hold.
    """
    header = spectrum.header
    flux = to_grid(spectrum, wanted.grid)
    if wanted.kind == "picture":
        array: NDArray[Any] = draw(spectrum, wanted.render, wanted.grid, header.z)
    else:
        low, high = wanted.grid.wave_min, wanted.grid.wave_max
        if np.isnan(flux).all():
            raise SpectrumError(f"no data between {low:g} and {high:g} A")
        array, _ = scaled_flux(flux)
    return Prepared(
        path=name,
        survey=header.survey,
        identity=header.identity or None,
        snr=header.snr if header.snr is not None else measured_snr(spectrum),
        covered=float(np.isfinite(flux).mean()),
        notes=spectrum.notes,
        array=array,
    )


def measured_snr(spectrum: Spectrum) -> float | None:
    """Median S/N of the pixels with data, for a survey's file that does not say it."""
    from specvit.tables.arrays import NO_SCATTER

    if NO_SCATTER in spectrum.notes:
        return None
    good = spectrum.good
    return float(np.median(spectrum.flux[good] * np.sqrt(spectrum.ivar[good])))


def prepare(items: Iterable[Item], wanted: Wanted, processes: int = 1) -> Iterator[Prepared]:
    """Prepare spectra in their order, `processes` at a time, a few chunks ahead of the reader.

    A single chunk, or one process, is done here. Raises MachineError where a process was killed.
    """
    chunks = _chunks(items)
    first = next(chunks, ())
    second = next(chunks, None) if processes > 1 else None
    everything = chain([first], [second] if second else (), chunks)
    if second is None:
        for chunk in everything:
            yield from _prepare_chunk(chunk, wanted)
        return
    with worker_processes(processes, _deaf) as pool:
        try:
            yield from _in_turn(pool, everything, wanted, AHEAD * processes)
        except BrokenProcessPool as error:
            raise MachineError(
                "a process that read spectra was killed (out of memory?): use fewer --processes"
            ) from error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _deaf() -> None:
    """Not ended by Ctrl-C before the process that it works for."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _chunks(items: Iterable[Item]) -> Iterator[tuple[Item, ...]]:
    iterator = iter(items)
    while chunk := tuple(islice(iterator, CHUNK)):
        yield chunk


def _in_turn(
    pool: ProcessPoolExecutor, chunks: Iterable[tuple[Item, ...]], wanted: Wanted, ahead: int
) -> Iterator[Prepared]:
    waiting: deque[Future[list[Prepared]]] = deque()
    for chunk in chunks:
        waiting.append(pool.submit(_prepare_chunk, chunk, wanted))
        if len(waiting) > ahead:
            yield from waiting.popleft().result()
    while waiting:
        yield from waiting.popleft().result()


def _prepare_chunk(chunk: tuple[Item, ...], wanted: Wanted) -> list[Prepared]:
    """Prepare a few spectra; those on the web come over several connections."""
    one = partial(prepare_one, wanted=wanted)
    if not any(item.place and is_address(item.place) for item in chunk):
        return [one(item) for item in chunk]
    with ThreadPoolExecutor(CONNECTIONS) as threads:
        return list(threads.map(one, chunk))


def _stem(name: str) -> str:
    """The file's name without folders and endings."""
    base = PurePosixPath(name).name.removesuffix(".gz")
    return base.rpartition(".")[0] or base
