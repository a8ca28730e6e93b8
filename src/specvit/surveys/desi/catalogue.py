"""DESI's redshift catalogue of all healpix coadds, zall-pix: one row a target of each programme.

Columns after the data model (desidatamodel, zcatalog/zpix-SURVEY-PROGRAM); DR1's has 28 million
rows in 20.8 GB, of which `FitsTable` holds some 40 MB at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from specvit.spectrum.fits_table import Columns, FitsTable
from specvit.surveys.catalogue import (
    Cut,
    Found,
    SurveyCatalogue,
    either,
    find_by,
    is_int64,
    labelled,
    numbers,
)
from specvit.surveys.desi import DesiSettings, coadd_path

TEXT, WHOLE, NUMBER = "A", "BIJK", "BIJKED"
# Letters of the TFORM that each column may have: what is made of it holds for no other.
CODES = {
    **dict.fromkeys(("SURVEY", "PROGRAM", "SPECTYPE", "SUBTYPE", "OBJTYPE"), TEXT),
    **dict.fromkeys(("TARGETID", "HEALPIX", "ZWARN"), WHOLE),
    **dict.fromkeys(("Z", "ZERR", "TARGET_RA", "TARGET_DEC"), NUMBER),
    **dict.fromkeys(("FIBERFLUX_R", "TSNR2_LRG_R"), NUMBER),
    "ZCAT_PRIMARY": "L",
}
ALWAYS = tuple(name for name in CODES if name not in ("OBJTYPE", "ZWARN", "ZCAT_PRIMARY"))

# Flux density (1e-17 erg/s/cm2/A) at 6400 A of one nanomaggie, 3.631e-29 erg/s/cm2/Hz.
FLUX_OF_NANOMAGGIE = 0.266
# Inverse variance of a pixel of the R camera over TSNR2_LRG_R, in spectra of faint targets: 0.34
# and 0.39 in two public coadds of 3 and 7 hours.
IVAR_OF_TSNR2 = 0.37
# The dark sky of r = 20.9 a square arcsec (AB) through a fiber of 1.5 arcsec, in nanomaggies.
SKY_FIBERFLUX = 7.6


def expected_snr(fiberflux: NDArray[Any], tsnr2: NDArray[Any]) -> NDArray[np.float64]:
    """Estimate of the median S/N of a pixel of the R camera, any shape; nan where none is known.

    From the flux through the fiber in r (FIBERFLUX_R, nanomaggies) and the depth of the exposures
    (TSNR2_LRG_R, which knows nothing of the target): signal over the noise of sky and target.
    """
    flux, depth = np.asarray(fiberflux, np.float64), np.asarray(tsnr2, np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        noise2 = (1 + flux / SKY_FIBERFLUX) / (IVAR_OF_TSNR2 * depth)
        snr = FLUX_OF_NANOMAGGIE * flux / np.sqrt(noise2)
        known = (flux > 0) & (depth > 0) & np.isfinite(snr)
    return np.where(known, snr, np.nan)


class DesiCatalogue(SurveyCatalogue):
    """Zall-pix: rows are named by survey, programme, healpix and target."""

    kept = ("survey", "program", "healpix", "targetid")

    def __init__(self, path: Path, settings: DesiSettings) -> None:
        self.settings = settings
        select = settings.select
        asked = {
            "OBJTYPE": select.science_only or select.takes_nothing,
            "ZWARN": select.zwarning_zero,
            "ZCAT_PRIMARY": select.primary_only,
        }
        self.table = FitsTable(path, [*ALWAYS, *(name for name, needed in asked.items() if needed)])
        self.table.check_codes(CODES)

    @property
    def rows(self) -> int:
        """Number of rows of the table."""
        return self.table.rows

    def pieces(self) -> Iterator[Columns]:
        """Yield the table; S/N is estimated."""
        for piece in self.table.pieces():
            columns: Columns = {
                "survey": np.strings.lower(piece["SURVEY"]),
                "program": np.strings.lower(piece["PROGRAM"]),
                "healpix": piece["HEALPIX"].astype(np.int32),
                "targetid": piece["TARGETID"].astype(np.int64),
                "z": numbers(piece["Z"]),
                "z_err": numbers(piece["ZERR"]),
                "ra": numbers(piece["TARGET_RA"]),
                "dec": numbers(piece["TARGET_DEC"]),
                "snr": expected_snr(piece["FIBERFLUX_R"], piece["TSNR2_LRG_R"]),
            }
            for name in ("OBJTYPE", "ZWARN", "ZCAT_PRIMARY"):
                if name in piece:
                    columns[name.lower()] = piece[name]
            nothing = piece["OBJTYPE"] == b"SKY" if self.settings.select.takes_nothing else None
            yield labelled(columns, piece["SPECTYPE"], piece["SUBTYPE"], nothing)

    def own_cuts(self) -> list[Cut]:
        """Targets, parts of the survey, programmes, OBJTYPE, ZCAT_PRIMARY, ZWARN."""
        select = self.settings.select
        # Fibers of broken positioners have negative numbers, which are not unique.
        cuts = [Cut("has a target", lambda columns: columns["targetid"] > 0)]
        for column, wanted in (("survey", select.surveys), ("program", select.programs)):
            if wanted is not None:
                cuts.append(_one_of(column, wanted))
        if select.science_only:
            cuts.append(Cut("science target", lambda c: c["objtype"] == b"TGT", of_objects=True))
        if select.primary_only:
            cuts.append(Cut("ZCAT_PRIMARY", lambda c: c["zcat_primary"] == b"T", of_objects=True))
        if select.zwarning_zero:
            cuts.append(Cut("ZWARN = 0", lambda c: c["zwarn"] == 0, of_objects=True))
        return cuts

    def find(self, columns: Columns, wanted: frozenset[str]) -> Found:
        """By TARGETID (all its rows), or spectrum_id."""
        targets = {name: int(name) for name in wanted if is_int64(name)}
        ids = {name: name for name in wanted if name.startswith("desi-")}
        named = np.array(self.spectrum_ids(columns) if ids else [], dtype=np.str_)
        by_id = [find_by(ids, named)] if ids else []
        return either(find_by(targets, columns["targetid"]), *by_id)

    def sort_keys(self, columns: Columns) -> tuple[NDArray[Any], ...]:
        """Survey, programme, healpix, target."""
        return tuple(columns[name] for name in self.kept)

    def group_keys(self, columns: Columns) -> list[NDArray[np.int64]]:
        """TARGETID, which programmes share."""
        return [columns["targetid"]]

    def spectrum_ids(self, columns: Columns) -> list[str]:
        """Numbers are padded, so that text sorts as they do: rows of one coadd are neighbours."""
        return [
            f"desi-{survey}-{program}-{healpix:05d}-{target:019d}"
            for survey, program, healpix, target in self._rows(columns)
        ]

    def describe(self, columns: Columns) -> Mapping[str, Any]:
        """Path of the coadd, which rows share, and the TARGETID that tells them apart."""
        rows = list(self._rows(columns))
        return {
            "survey": "desi",
            "release": self.settings.release,
            "path": [coadd_path(*row[:3]) for row in rows],
            "identity": [str(target) for *_, target in rows],
        }

    def _rows(self, columns: Columns) -> Iterator[tuple[str, str, int, int]]:
        texts = (columns[name].astype("U").tolist() for name in ("survey", "program"))
        whole = (columns[name].tolist() for name in ("healpix", "targetid"))
        return zip(*texts, *whole, strict=True)


def _one_of(column: str, allowed: tuple[str, ...]) -> Cut:
    values = tuple(name.encode() for name in allowed)
    label = "programme" if column == "program" else column
    return Cut(
        f"{label} is {' or '.join(allowed)}", lambda columns: np.isin(columns[column], values)
    )
