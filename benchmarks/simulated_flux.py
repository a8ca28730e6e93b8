"""Simulated spectra as the shards hold them, made at will for benchmarks."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from specvit.baselines.rows import Rows, label_table
from specvit.config.data import Grid
from specvit.config.surveys import Simulated
from specvit.errors import DataError, SpectrumError
from specvit.logs import progress
from specvit.machine import available_cores, worker_processes
from specvit.shards.sample import scaled_flux
from specvit.spectrum import to_grid
from specvit.surveys.read import read_spectrum
from specvit.surveys.simulated import SimulatedSky

PIECE = 100  # spectra of one job
SPARE = 1.2  # observed for each one wanted: some have no data or no certain redshift


def simulated_rows(count: int, grid: Grid, seed: int = 1) -> Rows:
    """Observe, read and resample a simulated SDSS: `count` usable spectra in random order.

    Usable as the default selection has it: with data, and without a redshift warning.
    """
    drawn = int(SPARE * count) + PIECE
    jobs = [
        (drawn, seed, start, min(start + PIECE, drawn), grid) for start in range(0, drawn, PIECE)
    ]
    values: list[dict[str, Any]] = []
    flux = np.empty((drawn, grid.pixels), dtype=np.float16)
    with (
        worker_processes(available_cores()) as pool,
        progress("simulated spectra", drawn) as tick,
    ):
        for job, (some, rows) in zip(jobs, pool.map(_piece, jobs), strict=True):
            flux[len(values) : len(values) + len(some)] = rows
            values += some
            tick.advance(job[3] - job[2])
    if len(values) < count:
        raise DataError(f"the simulated sky gave {len(values)} usable spectra, not {count}")
    # The survey's order is by plate, so by programme: any first part must be a fair sample.
    chosen = np.random.default_rng(seed).permutation(len(values))[:count]
    return Rows(label_table([values[i] for i in chosen]), flux[chosen])


@cache
def _sky(count: int, seed: int) -> SimulatedSky:
    return SimulatedSky(Simulated(seed=seed, sdss_spectra=count, lamost_spectra=1))


def _piece(job: tuple[int, int, int, int, Grid]) -> tuple[list[dict[str, Any]], NDArray[Any]]:
    count, seed, start, stop, grid = job
    values, rows = [], []
    for number in range(start, stop):
        try:
            spectrum = read_spectrum(_sky(count, seed).sdss.lite(number))
        except SpectrumError:
            continue
        header = spectrum.header
        if header.zwarning != 0:
            continue
        rows.append(scaled_flux(to_grid(spectrum, grid))[0])
        values.append(
            {
                "spectrum_id": f"simulated-{number}",
                "object_id": f"simulated-{number}",
                "survey": header.survey,
                "snr": header.snr,
                "class": header.class_,
                "subclass": header.subclass,
                "z": header.z,
            }
        )
    return values, np.array(rows, dtype=np.float16).reshape(len(rows), grid.pixels)
