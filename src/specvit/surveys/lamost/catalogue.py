"""LAMOST low-resolution catalogues: the general one, and the stellar one joined on obsid.

Column names differ between releases (www.lamost.org/dr10/v2.0/doc/lr-data-production-description
and the same page of the others), so each quantity has a list of names, of which the first that is
there counts. Older releases separate columns by `|`, newer ones by a comma.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pacsv
from numpy.typing import NDArray

from specvit.errors import DataError, on_one_line
from specvit.spectrum.fits_table import ANEW, Columns, ascii_only, open_plain
from specvit.surveys.catalogue import (
    Cut,
    Found,
    SurveyCatalogue,
    find_by,
    is_int64,
    is_nothing,
    labelled,
    numbers,
)
from specvit.surveys.lamost import LamostSettings

BLOCK_BYTES = 4 << 20  # the reader holds some thirty blocks at a time
STELLAR_COLUMNS = ("teff", "logg", "feh")
# Text as bytes: some release has a name with a letter that is not ASCII, in whatever encoding.
_TEXT, _FLOAT, _INT = pa.binary(), pa.float64(), pa.int64()
# Quantity -> (type, names it has had, whether it must be there).
GENERAL: dict[str, tuple[pa.DataType, tuple[str, ...], bool]] = {
    "obsid": (_INT, ("obsid",), True),
    "class": (_TEXT, ("class",), True),
    "subclass": (_TEXT, ("subclass",), True),
    "z": (_FLOAT, ("z",), True),
    "z_err": (_FLOAT, ("z_err",), False),
    "snr": (_FLOAT, ("snrr",), True),
    "ra": (_FLOAT, ("ra", "ra_obs", "objra"), True),
    "dec": (_FLOAT, ("dec", "dec_obs", "objdec"), True),
    "uid": (_TEXT, ("uid",), False),
    "gp_id": (_TEXT, ("gp_id",), False),
}
NIGHTLY: dict[str, tuple[pa.DataType, tuple[str, ...], bool]] = {
    "obsdate": (_TEXT, ("obsdate",), True),
    "lmjd": (_INT, ("lmjd",), True),
    "planid": (_TEXT, ("planid",), True),
    "spid": (_INT, ("spid",), True),
    "fiberid": (_INT, ("fiberid",), True),
}
STELLAR: dict[str, tuple[pa.DataType, tuple[str, ...], bool]] = {
    "obsid": (_INT, ("obsid",), True),
    **{name: (_FLOAT, (name,), True) for name in STELLAR_COLUMNS},
}


class CsvTable:
    """A catalogue as CSV, plain or gzipped, streamed in blocks.

    Raises DataError where it is no table, or a quantity that must be there is not.
    """

    def __init__(
        self, path: Path, quantities: Mapping[str, tuple[pa.DataType, tuple[str, ...], bool]]
    ) -> None:
        self.path = path
        self.delimiter, self.header, self.quote = _first_line(path)
        by_name = {name.strip().lower(): name for name in self.header}
        self.names: dict[str, str] = {}
        self.types: dict[str, pa.DataType] = {}
        for quantity, (kind, names, needed) in quantities.items():
            found = next((by_name[name] for name in names if name in by_name), None)
            if found is not None:
                self.names[quantity], self.types[found] = found, kind
            elif needed:
                raise DataError(f"{path} has no column {' or '.join(names)}")

    def pieces(self) -> Iterator[Columns]:
        """Yield arrays of consecutive rows by quantity; text as bytes, missing numbers as nan."""
        try:
            with open_plain(self.path) as stream:
                reader = pacsv.open_csv(
                    pa.PythonFile(stream, "r"),
                    # The names as they were understood here, quoted or not.
                    read_options=pacsv.ReadOptions(
                        block_size=BLOCK_BYTES, column_names=self.header, skip_rows=1
                    ),
                    parse_options=pacsv.ParseOptions(
                        delimiter=self.delimiter, quote_char=self.quote
                    ),
                    convert_options=pacsv.ConvertOptions(
                        include_columns=list(self.types), column_types=self.types
                    ),
                )
                for batch in reader:
                    yield {
                        quantity: _array(batch.column(name))
                        for quantity, name in self.names.items()
                    }
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"{self.path} is broken ({on_one_line(error)}); {ANEW}") from error


def _first_line(path: Path) -> tuple[str, list[str], str | bool]:
    """Delimiter, names of columns, and what quotes cells (False: nothing)."""
    with open_plain(path) as stream:
        line = stream.readline(100_000).decode("utf-8", "replace").strip("\ufeff\r\n")
    delimiter = max("|,", key=line.count)
    names = [name.strip('"') for name in line.split(delimiter)]
    if len(names) < 2:
        raise DataError(f"{path} is no CSV table (starts with {line[:40]!r})")
    # Comments in |-separated catalogues hold quotes of their own, unless all cells are quoted.
    return delimiter, names, '"' if delimiter == "," or '"' in line else False


def _array(column: pa.Array) -> NDArray[Any]:
    if column.type == _TEXT:
        coded = column.fill_null(b"").dictionary_encode()  # most columns repeat a few words
        words = ascii_only(np.array(coded.dictionary.to_pylist() or [b""]))
        texts: NDArray[Any] = np.strings.strip(words)[np.asarray(coded.indices)]
        return texts
    if column.type == pa.int64():
        return np.asarray(column.fill_null(0))
    return np.asarray(column.to_numpy(zero_copy_only=False), np.float64)


class LamostCatalogue(SurveyCatalogue):
    """The general catalogue, with Teff, logg and [Fe/H] of the stellar one where it is given."""

    def __init__(self, path: Path, settings: LamostSettings, stellar: Path | None = None) -> None:
        self.settings = settings
        nightly = settings.layout == "nightly"
        self.table = CsvTable(path, GENERAL | NIGHTLY if nightly else GENERAL)
        self.kept = ("obsid", "uid", "gp_id", *(NIGHTLY if nightly else ()))
        self.parameters = None if stellar is None else _stellar_parameters(stellar)

    def pieces(self) -> Iterator[Columns]:
        """Yield the catalogue; S/N is the r band's, as in the header of the files."""
        for piece in self.table.pieces():
            rows = len(piece["obsid"])
            columns = {name: piece[name] for name in ("obsid", *NIGHTLY) if name in piece}
            for name in ("z", "z_err", "snr", "ra", "dec"):
                values = piece.get(name, np.full(rows, np.nan))
                columns[name] = numbers(values, sentinels=(-9999.0, -999.0))
            for name in ("uid", "gp_id"):
                columns[name] = _key(piece[name]) if name in piece else np.zeros(rows, np.int64)
            columns |= self._joined(piece["obsid"])
            nothing = is_nothing(piece["class"]) if self.settings.select.takes_nothing else None
            yield labelled(columns, piece["class"], piece["subclass"], nothing)

    def _joined(self, obsid: NDArray[np.int64]) -> Columns:
        if self.parameters is None:
            return {}
        known = self.parameters["obsid"]
        places = np.minimum(np.searchsorted(known, obsid), len(known) - 1)
        there = known[places] == obsid
        return {
            name: np.where(there, self.parameters[name][places], np.float32(np.nan))
            for name in STELLAR_COLUMNS
        }

    def own_cuts(self) -> list[Cut]:
        """Rows without an obsid name no file."""
        return [Cut("has an obsid", lambda columns: columns["obsid"] > 0)]

    def find(self, columns: Columns, wanted: frozenset[str]) -> Found:
        """By obsid or spectrum_id."""
        texts = {name: name.removeprefix("lamost-") for name in wanted}
        obsids = {name: int(text) for name, text in texts.items() if is_int64(text)}
        return find_by(obsids, columns["obsid"])

    def sort_keys(self, columns: Columns) -> tuple[NDArray[Any], ...]:
        """Obsid."""
        return (columns["obsid"],)

    def group_keys(self, columns: Columns) -> list[NDArray[np.int64]]:
        """The survey's own groups: uid and gp_id."""
        return [columns["uid"], columns["gp_id"]]

    def spectrum_ids(self, columns: Columns) -> list[str]:
        """Obsids are padded to ten digits, so that text sorts as numbers do."""
        return [f"lamost-{obsid:010d}" for obsid in columns["obsid"].tolist()]

    def describe(self, columns: Columns) -> Mapping[str, Any]:
        """Path on the server or below the nightly tars, and obsid."""
        release = f"{self.settings.release}/{self.settings.version}"
        return {
            "survey": "lamost",
            "release": release.replace("/", " "),
            "path": self._paths(columns, release),
            "identity": [str(obsid) for obsid in columns["obsid"].tolist()],
        }

    def _paths(self, columns: Columns, release: str) -> list[str]:
        if self.settings.layout == "server":
            return [f"{release}/spectrum/fits/{obsid}" for obsid in columns["obsid"].tolist()]
        nights = [text.replace("-", "") for text in columns["obsdate"].astype("U").tolist()]
        plans = columns["planid"].astype("U").tolist()
        fibers = (columns[name].tolist() for name in ("lmjd", "spid", "fiberid"))
        return [
            f"{night}/{plan}/spec-{lmjd}-{plan}_sp{spid:02d}-{fiber:03d}.fits.gz"
            for night, plan, lmjd, spid, fiber in zip(nights, plans, *fibers, strict=True)
        ]


def _key(texts: NDArray[np.bytes_]) -> NDArray[np.int64]:
    """A number for each text, equal for equal texts; 0 where there is none.

    A hash of 63 bits: among 10 million identifiers, two share one by accident with a chance of
    1e-5, and would then be taken for one object.
    """
    hashed = pd.util.hash_array(texts.astype("U").astype(object), categorize=False)
    values: NDArray[np.int64] = (hashed >> np.uint64(1)).astype(np.int64)
    values[np.isin(texts, (b"", b"-", b"-9999", b"null", b"NULL"))] = 0
    return values


def _stellar_parameters(path: Path) -> Columns:
    """Teff (K), logg and [Fe/H] of all stars, ordered by obsid; nan for sentinels."""
    parts: dict[str, list[NDArray[Any]]] = {name: [] for name in STELLAR}
    for piece in CsvTable(path, STELLAR).pieces():
        parts["obsid"].append(piece["obsid"])
        for name in STELLAR_COLUMNS:
            values = numbers(piece[name], sentinels=(-9999.0, -999.0)).astype(np.float32)
            parts[name].append(values)
    table = {name: _concatenate(arrays) for name, arrays in parts.items()}
    if not len(table["obsid"]):
        raise DataError(f"{path} has no rows")
    order = np.argsort(table["obsid"], kind="stable")
    return {name: values[order] for name, values in table.items()}


def _concatenate(arrays: Sequence[NDArray[Any]]) -> NDArray[Any]:
    return np.concatenate(arrays) if arrays else np.empty(0)
