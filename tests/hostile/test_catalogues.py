"""Damaged catalogues are refused in words, or give the columns that astropy finds in them."""

from __future__ import annotations

import gzip
import io
import os
import random
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from damage import ALONE, COMPARED, REFUSED, UNCOMPARED, Became
from hostile_catalogues import catalogues
from limits import little_memory, no_hang
from mutate import FITS, PLAIN, TEXT, damage_gzip

from specvit.catalog.select import select
from specvit.catalog.survey import write_survey_table
from specvit.config import validate
from specvit.errors import DataError
from specvit.surveys.catalogue import SurveyCatalogue
from specvit.surveys.lamost.catalogue import LamostCatalogue
from specvit.surveys.sdss.catalogue import SdssCatalogue

FILES = 20  # of each kind, in one round
KINDS = tuple(catalogues())
ALL: dict[str, Any] = {"min_snr": None, "z_range": None}


def open_kind(kind: str, folder: Path, data: bytes) -> tuple[SurveyCatalogue, Any]:
    """Write and open a catalogue with a selection that looks at all its columns."""
    path = folder / "catalogue"
    path.write_bytes(data)
    if kind.startswith(("specobj", "spall")):
        release = "dr17" if kind.startswith("specobj") else "dr19"
        wanted = {**ALL, "programs": ["legacy"], "primary_only": True}
        if release == "dr17":
            wanted |= {"surveys": ["legacy"], "science_only": True}
        sdss = validate({"surveys": {"sdss": {"release": release, "select": wanted}}}).surveys.sdss
        assert sdss is not None
        return SdssCatalogue(path, sdss), sdss.select
    settings: dict[str, Any] = {"stellar_parameters": True, "select": {**ALL, "classes": None}}
    if kind == "lamost_nightly":
        settings |= {"layout": "nightly", "base_url": "file:///"}
    lamost = validate({"surveys": {"lamost": settings}}).surveys.lamost
    assert lamost is not None
    other = folder / "other"
    other.write_bytes(catalogues()["lamost" if kind == "stellar" else "stellar"])
    general, stellar = (other, path) if kind == "stellar" else (path, other)
    return LamostCatalogue(general, lamost, stellar), lamost.select


def check(kind: str, folder: Path, data: bytes) -> tuple[int, str]:
    """Go from file to the survey's table, as the survey stage does; rows that are left.

    And what became of the file.
    """
    with no_hang():
        try:
            catalogue, wanted = open_kind(kind, folder, data)
            selection = select(catalogue, wanted, 1, kind)
            write_survey_table(folder / "t.parquet", catalogue, selection, kind, simulated=False)
        except DataError as error:
            check_sentence(str(error))
            return 0, REFUSED
    if not isinstance(catalogue, SdssCatalogue):
        return selection.rows, UNCOMPARED
    return selection.rows, check_columns(catalogue, data)


def check_sentence(text: str) -> None:
    assert 5 < len(text) < 600
    assert text.isprintable()


def check_columns(catalogue: SdssCatalogue, data: bytes) -> str:
    """Numbers are those that astropy reads, where it reads the table."""
    plain = gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with fits.open(io.BytesIO(plain), memmap=False) as hdus:
                table = next(hdu for hdu in hdus if isinstance(hdu, fits.BinTableHDU))
                names = [(column or "").upper() for column in table.columns.names]
                read = [np.array(table.data.field(n)) for n in range(len(names))]
        except Exception:
            return ALONE
    for piece in catalogue.table.pieces():
        for name, values in piece.items():
            if values.dtype.kind != "S":
                np.testing.assert_array_equal(values, read[names.index(name)], err_msg=name)
    return COMPARED


@pytest.mark.parametrize("kind", KINDS)
def test_sound_catalogues_are_read(kind: str, tmp_path: Path) -> None:
    assert check(kind, tmp_path, catalogues()[kind])[0] > 5


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_catalogues(kind: str, round_: int, tmp_path: Path, became: Became) -> None:
    whole = catalogues()[kind]
    mutators = [*PLAIN, *TEXT, damage_gzip] if kind[:2] in ("la", "st") else FITS
    zipped = kind.endswith("_gz")
    with little_memory():
        for seed in range(round_ * FILES, (round_ + 1) * FILES):
            rng = random.Random(f"{kind} {seed}")
            mutator = rng.choice(mutators)
            try:
                if zipped and rng.random() < 0.7:  # the table itself, and packed again
                    data = gzip.compress(mutator(rng, gzip.decompress(whole)), 1)
                else:
                    data = mutator(rng, whole)
                became(check(kind, tmp_path, data)[1])
            except BaseException as error:
                error.add_note(f"{kind}, seed {seed}, {mutator.__name__}")
                raise


@cache
def _zeros() -> bytes:
    return gzip.compress(bytes(2**28), 1, mtime=0)


def bomb(start: bytes) -> bytes:
    """A few MB that unpack to gigabytes."""
    return gzip.compress(start, 9, mtime=0) + 3 * _zeros()


def header_of(kind: str) -> bytes:
    with fits.open(io.BytesIO(catalogues()[kind])) as hdus:
        hdus[1].header["NAXIS2"] = 10**8
        return hdus[0].header.tostring().encode() + hdus[1].header.tostring().encode()


@pytest.mark.parametrize(
    ("kind", "start"),
    [
        ("specobj", header_of("specobj")),
        ("specobj", b"SIMPLE  =                    T".ljust(80)),
        ("lamost", catalogues()["lamost"]),
        ("lamost", b""),
        ("stellar", b"obsid,teff,logg,feh"),
    ],
)
def test_a_little_gzip_that_unpacks_to_gigabytes(kind: str, start: bytes, tmp_path: Path) -> None:
    data = bomb(start)
    assert len(data) < 4 * 2**20
    with little_memory():
        assert check(kind, tmp_path, data) == (0, REFUSED)


@pytest.mark.parametrize("kind", ["specobj", "lamost"])
def test_a_pipe_or_a_device_is_no_catalogue(kind: str, tmp_path: Path) -> None:
    catalogue, _ = open_kind(kind, tmp_path, catalogues()[kind])
    assert isinstance(catalogue, SdssCatalogue | LamostCatalogue)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, Path("/dev/zero"), tmp_path):
        with pytest.raises(DataError, match="not a regular file"):
            type(catalogue)(path, catalogue.settings)  # type: ignore[arg-type]
