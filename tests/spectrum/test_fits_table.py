"""Big FITS tables in pieces: the same values as astropy; broken files refused in words."""

from __future__ import annotations

import gzip
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.specobj import write_specobj
from specvit.errors import DataError
from specvit.spectrum.fits_table import FitsTable

ROWS = 257


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    random = np.random.default_rng(3)
    path = tmp_path_factory.mktemp("table") / "t.fits"
    columns = [
        fits.Column("flag", "L", array=random.random(ROWS) < 0.5),
        fits.Column("bits", "11X", array=random.random((ROWS, 11)) < 0.5),
        fits.Column("byte", "B", array=random.integers(0, 256, ROWS, np.uint8)),
        fits.Column("short", "I", array=random.integers(-(2**15), 2**15, ROWS, np.int16)),
        fits.Column("int", "J", array=random.integers(-(2**31), 2**31, ROWS, np.int32)),
        fits.Column("long", "K", array=random.integers(-(2**63), 2**63 - 1, ROWS, np.int64)),
        fits.Column("scaled", "E", bscale=0.5, bzero=3, array=random.random(ROWS).astype("f4")),
        fits.Column("small", "I", bzero=2**15, array=random.integers(0, 2**16, ROWS, np.uint16)),
        fits.Column("id", "K", bzero=2**63, array=random.integers(0, 2**64, ROWS, np.uint64)),
        fits.Column("name", "9A", array=[f" a b{i}  " for i in range(ROWS)]),
        fits.Column("float", "E", array=random.normal(size=ROWS).astype(np.float32)),
        fits.Column("vector", "5E", array=random.normal(size=(ROWS, 5)).astype(np.float32)),
        fits.Column("double", "D", array=random.normal(size=ROWS)),
    ]
    hdus = [fits.PrimaryHDU(np.zeros((7, 11))), fits.ImageHDU(np.zeros(3000))]
    fits.HDUList([*hdus, fits.BinTableHDU.from_columns(columns)]).writeto(path)
    return path


NAMES = ("DOUBLE", "BYTE", "SHORT", "INT", "LONG", "NAME", "FLOAT", "VECTOR", "SMALL", "ID")


@given(rows=st.integers(1, 2 * ROWS))
@settings(max_examples=20, deadline=None)
def test_pieces_hold_what_astropy_reads(table: Path, rows: int) -> None:
    expected = Table.read(table)
    pieces = list(FitsTable(table, NAMES).pieces(rows))
    assert sum(len(piece["INT"]) for piece in pieces) == ROWS
    for name in NAMES:
        values = np.concatenate([piece[name] for piece in pieces])
        wanted = np.asarray(expected[name.lower()])
        if name == "NAME":
            wanted = np.strings.strip(wanted.astype("S"))
        assert values.dtype.isnative
        np.testing.assert_array_equal(values, wanted)


def test_a_gzipped_table_reads_the_same(table: Path, tmp_path: Path) -> None:
    path = tmp_path / "t.fits.gz"
    path.write_bytes(gzip.compress(table.read_bytes()))
    plain, zipped = (next(FitsTable(p, NAMES).pieces(ROWS)) for p in (table, path))
    for name in NAMES:
        np.testing.assert_array_equal(plain[name], zipped[name])


def test_columns_that_are_absent_or_scaled_are_named(table: Path) -> None:
    with pytest.raises(DataError, match=r"has no column SCALED, MASS$"):
        FitsTable(table, ["INT", "SCALED", "MASS"])


@pytest.mark.parametrize("zipped", [False, True])
def test_a_table_that_is_cut_off_says_after_which_row(
    table: Path, tmp_path: Path, zipped: bool
) -> None:
    data = table.read_bytes()
    layout = FitsTable(table, NAMES).layout
    end = len(data) - (-ROWS * layout.row_bytes % 2880)
    path = tmp_path / "cut.fits"
    cut = data[: end - 3 * layout.row_bytes - 1]
    path.write_bytes(gzip.compress(cut) if zipped else cut)
    with pytest.raises(DataError, match=f"cut off: {ROWS - 4} of {ROWS} rows"):
        list(FitsTable(path, NAMES).pieces(50))


def test_broken_files_are_refused_in_words(table: Path, tmp_path: Path) -> None:
    half = gzip.compress(table.read_bytes())
    cases = {
        "page": (b"<html>not found</html>" * 200, "not a FITS file"),
        "short": (table.read_bytes()[:2000], "cut off in a header"),
        "half": (half[: len(half) // 2], "broken gzip|cut off"),
        "image": (fits.PrimaryHDU(np.zeros(3)).header.tostring().encode(), "no binary table"),
    }
    for name, (data, words) in cases.items():
        path = tmp_path / name
        path.write_bytes(data)
        with pytest.raises(DataError, match=words):
            list(FitsTable(path, ["INT"]).pieces())
    with pytest.raises(DataError, match="No such file"):
        FitsTable(tmp_path / "none", ["INT"])


def test_memory_does_not_grow_with_the_table(tmp_path: Path) -> None:
    peaks = []
    for rows in (4000, 16000):
        path = tmp_path / f"{rows}.fits"
        write_specobj(path, rows)
        table = FitsTable(path, ["PLATE", "CLASS", "Z"])
        tracemalloc.start()
        total = sum(len(piece["Z"]) for piece in table.pieces(1000))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert total == rows
    assert peaks[1] < 1.1 * peaks[0]
    assert peaks[1] < 2_000_000  # the larger file has 18 MB


def test_the_made_up_specobj_is_what_astropy_reads(tmp_path: Path) -> None:
    path = tmp_path / "specobj.fits"
    write_specobj(path, 700)
    expected = Table.read(path, hdu=1)
    assert expected["BESTOBJID"][0].strip() == "1237648720142401611"
    names = ["PLATE", "MJD", "FIBERID", "CLASS", "BESTOBJID", "PLUG_RA", "SN_MEDIAN_ALL"]
    piece = next(FitsTable(path, names).pieces())
    for name in names:
        wanted = np.asarray(expected[name])
        if wanted.dtype.kind in "SU":
            wanted = np.strings.strip(wanted.astype("S"))
        np.testing.assert_array_equal(piece[name], wanted)


def test_unsigned_ids_beside_the_project_are_exact(cases: Path) -> None:
    path = cases / "specObj_uint64_ids.fits"
    expected = Table.read(path, hdu=1)
    (piece,) = FitsTable(path, ["BESTOBJID", "SPECOBJID"]).pieces()
    for name in ("BESTOBJID", "SPECOBJID"):
        np.testing.assert_array_equal(piece[name], np.asarray(expected[name]))
    assert piece["SPECOBJID"][0] == 11997690149582688256
