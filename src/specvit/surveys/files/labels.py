"""Labels of one's own: a table beside a folder of spectra, which wins over the files' headers."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pacsv
from numpy.typing import NDArray

from specvit.config.select import STELLAR_LABELS
from specvit.errors import DataError, on_one_line
from specvit.io import UNREADABLE, read_parquet
from specvit.logs import get_logger
from specvit.spectrum.fits_table import Columns
from specvit.surveys.catalogue import SAID_NOTHING, numbers
from specvit.tasks import ALL_CLASSES, NONE

KEYS = ("path", "spectrum_id", "identity")
TEXTS = ("class", "subclass")
NUMBERS = ("z", "z_err", "snr", "ra", "dec", *STELLAR_LABELS)
RANGES = {"z": (-1, 20), "ra": (0, 360), "dec": (-90, 90)}
"""What a number can be at all: columns in a wrong order often are beyond."""
SHOWN = 5  # names of files that are not there

log = get_logger(__name__)


class Labels:
    """The rows of a table, each of which says of one file what its header does not, or gets wrong.

    Raises DataError, which names the column, the file and how many there are, for what is wrong.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        table = _read(path)
        self._key = _key_of(table, path)
        texts = {name: _texts(cells) for name, cells in table.items()}
        names = texts.pop(self._key)
        if self._key == "path":
            names = names.map(lambda text: PurePosixPath(text).as_posix() if text else text)
        for wrong, why in ((names == "", "are empty"), (names.duplicated(), "are there twice")):
            if wrong.any():
                first = on_one_line(names[wrong].iloc[0])
                raise DataError(
                    f"{path}: {wrong.sum()} of {len(names)} cells of column {self._key} {why}, the "
                    f"first: {first!r}"
                )
        self._names = pd.Index(names)
        self._nothing = np.zeros(len(names), np.bool_)
        self._values = {str(name): self._checked(str(name), cells) for name, cells in texts.items()}
        self._used = np.zeros(len(names), np.bool_)
        self._without = 0
        self._first: str | None = None

    def _checked(self, name: str, texts: pd.Series[str]) -> NDArray[Any]:
        """The values of a column; empty text or nan where its cells are empty."""
        if name in NUMBERS:
            values = pd.to_numeric(texts, errors="coerce").to_numpy(np.float64)
            self._refuse(name, texts, (texts != "") & ~np.isfinite(values), "a number")
            known = numbers(values)
            low, high = RANGES.get(name, (-np.inf, np.inf))
            wrong = (texts != "") & ((known < low) | (known > high))
            self._refuse(name, texts, wrong, f"between {low:g} and {high:g}")
            return known
        if name == "class":
            self._refuse(name, texts, ~texts.isin(("", *ALL_CLASSES)), ", ".join(ALL_CLASSES))
            self._nothing = (texts == NONE).to_numpy()
        found = np.array([text.encode("ascii", "replace") for text in texts])
        return np.where(self._nothing, SAID_NOTHING, found) if name == "class" else found

    def _refuse(self, name: str, texts: pd.Series[str], wrong: pd.Series[bool], right: str) -> None:
        if wrong.any():
            first = int(wrong.to_numpy().argmax())
            said, of = on_one_line(texts.iloc[first]), on_one_line(self._names[first])
            raise DataError(
                f"{self._path}: {name} = {said!r} of {of} must be {right}, or empty ({wrong.sum()} "
                f"of {len(texts)} rows are wrong)"
            )

    def over(self, columns: Columns) -> Columns:
        """Columns of the catalogue (`class` and `subclass` as text) with the table's laid over.

        Where the table says that there is nothing, subclass and redshift go.
        """
        keys = columns[self._key]
        rows = self._names.get_indexer(keys.astype(object))
        there = rows >= 0
        self._used[rows[there]] = True
        self._without += int(np.count_nonzero(~there))
        self._first = self._first or str(keys[0])
        found = dict(columns)
        for name, values in self._values.items():
            said = values[rows]
            given = there & (said != b"" if name in TEXTS else ~np.isnan(said))
            found[name] = np.where(given, said, columns.get(name, np.nan))
        nothing = there & self._nothing[rows]
        lost = (("subclass", b""), ("z", np.nan), ("z_err", np.nan))
        return found | {name: np.where(nothing, value, found[name]) for name, value in lost}

    def report(self, refused: Collection[str]) -> None:
        """Say what was used, once all files are read; `refused` are paths of those that cannot be.

        Raises DataError where no row is of a file that was read.
        """
        if self._first is None:
            return
        if not self._used.any():
            raise DataError(
                f"no row of {self._path} is of a file that can be read: the first row has the "
                f"{self._key} {on_one_line(self._names[0])}, the first file {self._first}"
            )
        log.info(
            "%s: %d of %d rows used; %d files have no row and keep what their headers say",
            *(self._path, self._used.sum(), len(self._used), self._without),
        )
        left = self._names[~self._used]
        known = left.isin(list(refused))
        for names, why in (
            (left[~known], "of no file that is read"),
            (left[known], "of files that are refused"),
        ):
            if len(names):
                shown = ", ".join(map(on_one_line, names[:SHOWN])) + ", ..." * (len(names) > SHOWN)
                log.warning("%s: %d rows are %s: %s", self._path, len(names), why, shown)


def _read(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise DataError(f"surveys.files.labels: there is no file {path}")
    if path.suffix == ".parquet":
        return read_parquet(path)
    # As text: an identity may start with zeros.
    kinds = dict.fromkeys((*KEYS, *TEXTS, *NUMBERS), pa.string())
    try:
        options = pacsv.ConvertOptions(column_types=kinds)
        return pacsv.read_csv(path, convert_options=options).to_pandas()
    except UNREADABLE as error:
        raise DataError(f"{path} is no CSV table: {on_one_line(error)}") from error


def _key_of(table: pd.DataFrame, path: Path) -> str:
    """The column that says which file a row is of. Raises DataError for unknown columns."""
    columns, known = list(table.columns), (*KEYS, *TEXTS, *NUMBERS)
    unknown = [name for name in columns if name not in known]
    if unknown:
        raise DataError(
            f"{path}: unknown column {on_one_line(', '.join(map(str, unknown)))}; known are "
            f"{', '.join(known)}"
        )
    keys = [name for name in KEYS if name in columns]
    if len(keys) != 1 or len(set(columns)) != len(columns) or len(columns) == 1:
        raise DataError(
            f"{path} must have one of the columns {', '.join(KEYS)}, and labels beside it, each "
            f"column once; it has {on_one_line(', '.join(columns))}"
        )
    if table.empty:
        raise DataError(f"{path} has no rows")
    return keys[0]


def _texts(cells: pd.Series[Any]) -> pd.Series[str]:
    """Cells as text without padding; empty where there is nothing."""
    texts = cells.astype("str").fillna("").str.strip()
    return texts.mask(texts.str.lower() == "nan", "")
