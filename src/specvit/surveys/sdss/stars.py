"""Teff, logg and [Fe/H] of SDSS-V's stars, as BossNet measured them (astra's astraAllStarBossNet).

BossNet: Sizemore et al. 2024, AJ 167, 173. The table's first HDU with rows is of BOSS spectra, one
row for each star and telescope.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from specvit.errors import DataError
from specvit.spectrum.fits_table import Columns, FitsTable
from specvit.surveys.catalogue import numbers
from specvit.tasks import CLASSES

# Name here -> column of the table.
PARAMETERS = {"teff": "TEFF", "logg": "LOGG", "feh": "FE_H"}
_NUMBERS = (*PARAMETERS.values(), "SNR")
CODES = {"SDSS_ID": "IJK", "FLAG_BAD": "LBIJK", **dict.fromkeys(_NUMBERS, "ED")}


def is_set(column: NDArray[Any]) -> NDArray[np.bool_]:
    """Whether each is true, as a logical (T, F) or as the number 1."""
    truth: NDArray[np.bool_] = column == (b"T" if column.dtype.kind == "S" else 1)
    return truth


class Stars:
    """The parameters of all stars, ordered by sdss_id.

    Those with flag_bad (a run-time error, or values beyond what BossNet was trained on) are
    unknown. Of a star's rows, that of the highest S/N counts among those that are not.
    Raises DataError where the file is no such table, or no row of it is good.
    """

    def __init__(self, path: Path) -> None:
        table = FitsTable(path, list(CODES))
        table.check_codes(CODES)
        pieces = list(table.pieces())
        if not pieces:
            raise DataError(f"{path} has no rows")
        every = {name: np.concatenate([piece[name] for piece in pieces]) for name in CODES}
        bad = is_set(every["FLAG_BAD"])
        self.sentence = (
            f"Teff, logg, [Fe/H] unknown where BossNet's flag_bad says so: {bad.sum()} of "
            f"{len(bad)} rows of its table"
        )
        snr = np.where(np.isfinite(every["SNR"]), every["SNR"], -np.inf)
        order = np.lexsort((-snr, every["SDSS_ID"]))
        order = order[~bad[order] & (every["SDSS_ID"][order] > 0)]
        if not len(order):
            raise DataError(f"{path} has no star whose parameters are not flagged as bad")
        self._ids, first = np.unique(every["SDSS_ID"][order], return_index=True)
        self._values = {
            name: numbers(every[column][order][first].astype(np.float32), (-9999.0, -999.0))
            for name, column in PARAMETERS.items()
        }

    def join(self, columns: Columns) -> Columns:
        """Columns teff (K), logg, feh of shape (rows,): nan for what is not known or no star."""
        is_star = columns["class"] == CLASSES.index("STAR")
        place = np.minimum(np.searchsorted(self._ids, columns["sdss_id"]), len(self._ids) - 1)
        there = is_star & (self._ids[place] == columns["sdss_id"])
        unknown = np.float32(np.nan)
        return {n: np.where(there, values[place], unknown) for n, values in self._values.items()}
