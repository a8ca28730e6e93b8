"""Small sound catalogues of every kind, to be damaged."""

from __future__ import annotations

import gzip
import io
from functools import cache

import numpy as np
from astropy.table import Table

ROWS = 40
COMMON = {
    "CLASS": (["STAR  ", "GALAXY", "QSO   "] * ROWS)[:ROWS],
    "SUBCLASS": (["F5", "AGN BROADLINE", "", "WD"] * ROWS)[:ROWS],
    "Z": np.linspace(-1e-4, 3, ROWS, dtype=np.float32),
    "Z_ERR": np.full(ROWS, 1e-5, np.float32),
    "ZWARNING": np.zeros(ROWS, np.int32),
    "SN_MEDIAN_ALL": np.linspace(1, 50, ROWS, dtype=np.float32),
    "PLUG_RA": np.linspace(0, 359, ROWS),
    "PLUG_DEC": np.linspace(-80, 80, ROWS),
    "SPECPRIMARY": np.ones(ROWS, np.uint8),
    "PROGRAMNAME": ["legacy"] * ROWS,
}
SPECOBJ = COMMON | {
    "PLATE": np.arange(266, 266 + ROWS, dtype=np.int32),
    "MJD": np.arange(51602, 51602 + ROWS, dtype=np.int32),
    "FIBERID": np.arange(1, 1 + ROWS, dtype=np.int32),
    "RUN2D": (["26     ", "v5_13_2"] * ROWS)[:ROWS],
    "SURVEY": ["sdss  "] * ROWS,
    "TARGETTYPE": ["SCIENCE "] * ROWS,
    "BESTOBJID": [str(1237648720142401611 + n // 2) for n in range(ROWS)],
    "SPECOBJID": [str(299489676975171584 + n) for n in range(ROWS)],
}
SPALL = COMMON | {
    "FIELD": np.arange(15000, 15000 + ROWS),
    "MJD": np.arange(59146, 59146 + ROWS),
    "CATALOGID": np.arange(4375786564, 4375786564 + ROWS),
    "SDSS_ID": np.arange(54321, 54321 + ROWS),
    "RUN2D": ["v6_1_3"] * ROWS,
    "RACAT": np.linspace(0, 359, ROWS),
    "DECCAT": np.linspace(-80, 80, ROWS),
}
GENERAL = "obsid,uid,gp_id,designation,obsdate,lmjd,mjd,planid,spid,fiberid,ra,dec,snrr,class,"
GENERAL += "subclass,z,z_err"
STELLAR = "obsid,teff,logg,feh"


def _fits(columns: dict[str, object]) -> bytes:
    buffer = io.BytesIO()
    Table(columns).write(buffer, format="fits")
    return buffer.getvalue()


def _general(delimiter: str) -> bytes:
    lines = [GENERAL] + [
        f"{101000 + n},G{n // 2},{10**16 + n},LAMOST J{n},2011-10-24,55859,55858,F5902,1,{n},"
        f"{n / 7:.5f},{n / 9:.5f},{n}.5,{'STAR' if n % 2 else 'QSO'},{'G7' if n % 3 else 'Non'},"
        f"{n / 40},{1e-5 if n % 5 else -9999.0}"
        for n in range(ROWS)
    ]
    return ("\n".join(lines) + "\n").replace(",", delimiter).encode()


@cache
def catalogues() -> dict[str, bytes]:
    """A catalogue of each kind."""
    stars = [STELLAR, *(f"{101000 + n},{5000 + n}.5,4.3,-0.1" for n in range(ROWS)), ""]
    return {
        "specobj": _fits(SPECOBJ),
        "specobj_gz": gzip.compress(_fits(SPECOBJ), 1, mtime=0),
        "spall": _fits(SPALL),
        "spall_gz": gzip.compress(_fits(SPALL), 1, mtime=0),
        "lamost": _general(","),
        "lamost_old": _general("|"),
        "lamost_gz": gzip.compress(_general(","), 1, mtime=0),
        "lamost_nightly": _general(","),
        "stellar": "\n".join(stars).encode(),
    }
