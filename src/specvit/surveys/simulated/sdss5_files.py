"""SDSS-V's layouts: spAll-lite, lite files and BossNet's table of stars, of the simulated SDSS.

The same spectra as in DR17's layouts, all taken with the BOSS spectrographs; plates are fields.
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from specvit.spectrum.fits_write import card, table, table_header
from specvit.surveys.sdss.paths import RELEASES, Release
from specvit.surveys.simulated.exposure import Exposure
from specvit.surveys.simulated.lamost_files import gzipped
from specvit.surveys.simulated.objects import STAR, Structured
from specvit.surveys.simulated.observations import Universe
from specvit.surveys.simulated.sdss_files import (
    coadd_table,
    columns_of,
    filled,
    line_table,
    primary_header,
    values_of,
)

SDSS5 = tuple(release for release in RELEASES.values() if release.has_fields)
_FIRST_FIELD, _FIRST_TARGET = 100_000, 27_021_597_000_000_000
_SPECTRUM = re.compile(r"/spec-(\d+)-(\d+)-(\d+)\.fits")
# Bits of result_flags: fe_h (or what it rests on) out of bounds, and [Fe/H] of dwarfs below 3900 K.
_UNRELIABLE_FE_H, _SUSPICIOUS_FE_H = 8, 16


class Sdss5Files:
    """Writes the files of SDSS-V's releases."""

    def __init__(self, universe: Universe) -> None:
        self.universe = universe

    def summary(self, path: str) -> bytes | None:
        """The catalogue or the table of stars at this path, None where it is neither."""
        for release in SDSS5:
            if path == release.catalogue:
                plain = self._catalogue(release)
                return gzipped(plain) if path.endswith(".gz") else plain
            if path == release.stars:
                return gzipped(self._stars())
        return None

    def find(self, path: str) -> tuple[int, Release] | None:
        """Row and release of the lite file at this path, None where there is none."""
        match = _SPECTRUM.search(path)
        if match is None:
            return None
        field, mjd, target = (int(text) for text in match.groups())
        number = self._numbers.get((field, mjd, target))
        fitting = (r for r in SDSS5 if path == r.path(field, mjd, target, _run2d(r)))
        release = next(fitting, None)
        return None if number is None or release is None else (number, release)

    @cached_property
    def _numbers(self) -> dict[tuple[int, int, int], int]:
        rows = self.universe.sdss
        columns = (rows["plate"] + _FIRST_FIELD, rows["mjd"], rows["object"] + _FIRST_TARGET)
        names = zip(*(column.tolist() for column in columns), strict=True)
        return {name: number for number, name in enumerate(names)}

    def _catalogue(self, release: Release) -> bytes:
        rows = self._rows(self.universe.sdss, release)
        return table(
            primary_header() + table_header(columns_of("SPALL5"), len(rows), "SPALL"), rows
        )

    def _rows(self, rows: Structured, release: Release) -> Structured:
        """Rows of spAll-lite."""
        is_star = self.universe.objects["kind"][rows["object"]] == STAR
        target = rows["object"] + _FIRST_TARGET
        values = values_of(rows, self.universe) | {
            "FIELD": rows["plate"] + _FIRST_FIELD,
            "OBS": "APO",
            "RUN2D": _run2d(release),
            "RUN1D": _run2d(release),
            "PROGRAMNAME": np.where(is_star, "mwm", "bhm"),
            "SURVEY": np.where(is_star, "mwm", "bhm"),
            "CATALOGID": target,
            "CATALOGID_V1": target,
            "SDSS_ID": rows["object"] + 1,
            "RACAT": rows["ra"],
            "DECCAT": rows["dec"],
            "TOO_ID": -999,
        }
        return filled(columns_of("SPALL5"), values, len(rows))

    def lite(
        self, number: int, release: Release, exposure: Exposure, arrays: dict[str, NDArray[Any]]
    ) -> bytes:
        """Return a lite file: coadded spectrum, row of the catalogue, lines."""
        rows = self.universe.sdss[number : number + 1]
        row = self._rows(rows, release)
        head = table_header(columns_of("SPALL5"), 1, "SPALL")
        primary = primary_header(card("RUN2D", _run2d(release), "Spectro-2D reduction name"))
        coadd = coadd_table(True, exposure, arrays)
        return primary + coadd + table(head, row) + line_table(rows[0], True)

    def _stars(self) -> bytes:
        """BossNet's table: all stars but white dwarfs, and its flags by its own bounds."""
        best = np.full(len(self.universe.objects), -np.inf)
        np.maximum.at(best, self.universe.sdss["object"], self.universe.sdss["snr_all"])
        objects = self.universe.objects
        which = np.flatnonzero((objects["kind"] == STAR) & ~objects["white_dwarf"] & (best > 0))
        seen, error = objects[which], 1 + 20 / np.maximum(best[which], 1)
        wobble = np.sin(which * 78.233) * 0.9
        teff, logg = seen["teff"] + 40 * error * wobble, seen["logg"] + 0.06 * error * wobble
        bad = (teff < 3200) | (logg > 5)
        warned = bad | ((teff < 3900) & (logg > 3))
        values = {
            "sdss_id": which + 1,
            "telescope": "apo25m",
            "snr": best[which],
            "teff": teff,
            "e_teff": 40 * error,
            "logg": logg,
            "e_logg": 0.06 * error,
            "fe_h": seen["feh"] + 0.05 * error * wobble,
            "e_fe_h": 0.05 * error,
            "result_flags": _UNRELIABLE_FE_H * bad + _SUSPICIOUS_FE_H * (warned & ~bad),
            "flag_warn": np.where(warned, "T", "F"),
            "flag_bad": np.where(bad, "T", "F"),
        }
        columns = columns_of("BOSSNET")
        rows = filled(columns, values, len(which))
        return table(primary_header() + table_header(columns, len(rows), None), rows)


def _run2d(release: Release) -> str:
    return release.catalogue.split("/")[4]
