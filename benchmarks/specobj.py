"""A made-up specObj: the columns and row width of DR17's, any number of rows, random content.

Columns and types as in the data model of SPECTRO_REDUX/specObj for DR17. Not a simulated sky: for
measuring and testing readers of big tables only.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from specvit.io import atomic_path
from specvit.logs import progress

DR17_ROWS = 5_801_200
BLOCK_ROWS = 50_000
PAD = 2880

DATA_MODEL = """
SURVEY 6A INSTRUMENT 4A CHUNK 16A PROGRAMNAME 27A PLATERUN 16A PLATEQUALITY 8A PLATESN2 E
DEREDSN2 E LAMBDA_EFF E BLUEFIBER J ZOFFSET E SNTURNOFF E NTURNOFF J SPECPRIMARY B SPECSDSS B
SPECLEGACY B SPECSEGUE B SPECSEGUE1 B SPECSEGUE2 B SPECBOSS B BOSS_SPECOBJ_ID J SPECOBJID 22A
FLUXOBJID 19A BESTOBJID 19A TARGETOBJID 22A PLATEID 20A NSPECOBS I FIRSTRELEASE 4A RUN2D 7A
RUN1D 7A DESIGNID J CX D CY D CZ D XFOCAL E YFOCAL E SOURCETYPE 25A TARGETTYPE 8A
THING_ID_TARGETING K THING_ID J PRIMTARGET J SECTARGET J LEGACY_TARGET1 J LEGACY_TARGET2 J
SPECIAL_TARGET1 K SPECIAL_TARGET2 K SEGUE1_TARGET1 J SEGUE1_TARGET2 J SEGUE2_TARGET1 J
SEGUE2_TARGET2 J MARVELS_TARGET1 J MARVELS_TARGET2 J BOSS_TARGET1 K BOSS_TARGET2 K
EBOSS_TARGET0 K EBOSS_TARGET1 K EBOSS_TARGET2 K EBOSS_TARGET_ID K ANCILLARY_TARGET1 K
ANCILLARY_TARGET2 K SPECTROGRAPHID I PLATE J TILE J MJD J FIBERID J OBJID 5J PLUG_RA D
PLUG_DEC D CLASS 6A SUBCLASS 21A Z E Z_ERR E RCHI2 E DOF J RCHI2DIFF E TFILE 24A TCOLUMN 10J
NPOLY J THETA 10E VDISP E VDISP_ERR E VDISPZ E VDISPZ_ERR E VDISPCHI2 E VDISPNPIX E VDISPDOF J
WAVEMIN E WAVEMAX E WCOVERAGE E ZWARNING J SN_MEDIAN_ALL E SN_MEDIAN 5E CHI68P E FRACNSIGMA 10E
FRACNSIGHI 10E FRACNSIGLO 10E SPECTROFLUX 5E SPECTROFLUX_IVAR 5E SPECTROSYNFLUX 5E
SPECTROSYNFLUX_IVAR 5E SPECTROSKYFLUX 5E ANYANDMASK J ANYORMASK J SPEC1_G E SPEC1_R E SPEC1_I E
SPEC2_G E SPEC2_R E SPEC2_I E ELODIE_FILENAME 25A ELODIE_OBJECT 21A ELODIE_SPTYPE 12A
ELODIE_BV E ELODIE_TEFF E ELODIE_LOGG E ELODIE_FEH E ELODIE_Z E ELODIE_Z_ERR E
ELODIE_Z_MODELERR E ELODIE_RCHI2 E ELODIE_DOF J Z_NOQSO E Z_ERR_NOQSO E ZWARNING_NOQSO J
CLASS_NOQSO 6A SUBCLASS_NOQSO 21A RCHI2DIFF_NOQSO E Z_PERSON E CLASS_PERSON J Z_CONF_PERSON J
COMMENTS_PERSON A CALIBFLUX 5E CALIBFLUX_IVAR 5E
"""
NAMES, FORMATS = DATA_MODEL.split()[::2], DATA_MODEL.split()[1::2]

# Share, SURVEY, RUN2D and first plate of each part of the table; no plate is in two parts.
PARTS = (
    (0.32, b"sdss", b"26", 266),
    (0.08, b"segue1", b"103", 11_000),
    (0.05, b"segue2", b"104", 13_000),
    (0.40, b"boss", b"v5_13_2", 3586),
    (0.15, b"eboss", b"v5_13_2", 8000),
)
STAR_TYPES = [b"A0", b"F5", b"F9", b"G2", b"K1", b"K5", b"M0", b"M3", b"WD", b"OB"]


def write_specobj(path: Path, rows: int, seed: int = 0) -> None:
    """Write the table, a block of rows at a time; 6.7 GB at the real size."""
    columns = fits.ColDefs(
        [fits.Column(name=n, format=f) for n, f in zip(NAMES, FORMATS, strict=True)]
    )
    header = fits.BinTableHDU.from_columns(columns).header
    header["NAXIS2"] = rows
    dtype = columns.dtype.newbyteorder(">")
    # What a selection does not read is noise: zeros would make a sparse, quick file.
    noise = np.random.default_rng(seed).bytes(min(rows, BLOCK_ROWS) * dtype.itemsize)
    with atomic_path(path) as temporary, temporary.open("wb") as handle:
        handle.write(fits.PrimaryHDU().header.tostring().encode())
        handle.write(header.tostring().encode())
        with progress("specObj", rows, "rows") as tick:
            for first in range(0, rows, BLOCK_ROWS):
                count = min(BLOCK_ROWS, rows - first)
                block = np.frombuffer(noise, dtype)[:count].copy()
                _fill(block, np.random.default_rng([seed, first]), first, rows)
                handle.write(block.tobytes())
                tick.advance(count)
        handle.write(b"\0" * (-rows * dtype.itemsize % PAD))


def _fill(table: NDArray[np.void], random: np.random.Generator, first: int, rows: int) -> None:
    count = len(table)
    index = np.arange(first, first + count)
    ends = np.cumsum([share for share, *_ in PARTS])
    part = np.minimum(np.searchsorted(ends, index / rows, side="right"), len(PARTS) - 1)
    for name, column in (("SURVEY", 1), ("RUN2D", 2)):
        table[name] = np.array([entry[column] for entry in PARTS])[part]
    starts = np.ceil(np.concatenate([[0], ends[:-1]]) * rows).astype(np.int64)
    within = index - starts[part]
    fibers = np.where(part < 3, 640, 1000)
    table["PLATE"] = np.array([entry[3] for entry in PARTS])[part] + within // fibers
    table["FIBERID"] = within % fibers + 1
    table["MJD"] = 51_600 + table["PLATE"] % 7000
    table["PROGRAMNAME"] = np.where(part == 0, b"legacy", table["SURVEY"])
    table["TARGETTYPE"] = random.choice([b"SCIENCE ", b"STANDARD"], count, p=[0.95, 0.05])
    table["SPECPRIMARY"] = random.random(count) < 0.9
    table["ZWARNING"] = np.where(random.random(count) < 0.92, 0, 4)
    table["CLASS"] = random.choice([b"STAR", b"GALAXY", b"QSO"], count, p=[0.2, 0.55, 0.25])
    star = table["CLASS"] == b"STAR"
    table["SUBCLASS"] = np.where(star, random.choice(STAR_TYPES, count), b"")
    spread = np.where(star, 3e-4, np.where(table["CLASS"] == b"QSO", 1.2, 0.25))
    table["Z"] = np.abs(random.normal(0, spread))
    table["Z_ERR"] = np.abs(random.normal(0, 1e-4, count))
    table["SN_MEDIAN_ALL"] = random.lognormal(1.8, 0.9, count)
    table["PLUG_RA"] = random.uniform(0, 360, count)
    table["PLUG_DEC"] = np.degrees(np.arcsin(random.uniform(-0.3, 0.99, count)))
    # Identifiers above 2**53, right-aligned as in the real file; some objects are seen twice.
    objects = 1_237_648_720_142_401_611 + np.where(random.random(count) < 0.1, index - 1, index)
    table["BESTOBJID"] = [b"%19d" % number for number in objects.tolist()]
    table["SPECOBJID"] = [b"%22d" % (299_489_676_975_171_584 + 2048 * n) for n in index.tolist()]
