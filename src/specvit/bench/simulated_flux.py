"""Simulated spectra as the shards hold them, made at will for benchmarks."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context
from typing import Any

import numpy as np
from numpy.typing import NDArray

from specvit.baselines.rows import Rows, label_table
from specvit.bench.common import available_cores
from specvit.config.data import Grid
from specvit.config.surveys import Simulated
from specvit.logs import progress
from specvit.shards.sample import scaled_flux
from specvit.spectrum import read_spectrum, to_grid
from specvit.surveys.simulated import SimulatedSky

PIECE = 250  # spectra of one job


def simulated_rows(count: int, grid: Grid, seed: int = 1) -> Rows:
    """Observe, read and resample the first `count` spectra of a simulated SDSS."""
    jobs = [
        (count, seed, start, min(start + PIECE, count), grid) for start in range(0, count, PIECE)
    ]
    values: list[dict[str, Any]] = []
    flux = np.empty((count, grid.pixels), dtype=np.float16)
    context = get_context("spawn")
    with (
        ProcessPoolExecutor(available_cores(), mp_context=context) as pool,
        progress("simulated spectra", count) as tick,
    ):
        for (_, _, start, stop, _), (some, rows) in zip(jobs, pool.map(_piece, jobs), strict=True):
            flux[start:stop] = rows
            values += some
            tick.advance(stop - start)
    return Rows(label_table(values), flux)


@cache
def _sky(count: int, seed: int) -> SimulatedSky:
    return SimulatedSky(Simulated(seed=seed, sdss_spectra=count, lamost_spectra=1))


def _piece(job: tuple[int, int, int, int, Grid]) -> tuple[list[dict[str, Any]], NDArray[Any]]:
    count, seed, start, stop, grid = job
    values, rows = [], []
    for number in range(start, stop):
        spectrum = read_spectrum(_sky(count, seed).sdss_file(number))
        header = spectrum.header
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
    return values, np.stack(rows)
