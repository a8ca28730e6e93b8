"""What the user names, as single spectra: files, folders, tars, globs, addresses, lists."""

from __future__ import annotations

import csv
import glob
import gzip
import re
import sys
import tarfile
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.parquet as pq

from specvit.errors import SpectrumError, on_one_line
from specvit.logs import get_logger
from specvit.paths import folder_of
from specvit.surveys.files.find import files_below, printable
from specvit.surveys.read import MAX_BYTES, open_shared
from specvit.tables.names import has_spectrum
from specvit.tables.text import column_names
from specvit.tar import Member

TARS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
ENDINGS = ("fits", "fit", "csv", "tsv", "ecsv", "txt", "dat", "asc", "ascii", "spec", "vot")
NAMES = re.compile(rf".*\.({'|'.join(ENDINGS)})(\.gz)?", re.IGNORECASE | re.DOTALL)
"""What is taken from folders and tars; a file that is named itself may be called anything."""
PATH_COLUMNS = ("path", "file", "filename", "file_name", "filepath", "url")
MANY = (*TARS, ".parquet", ".csv", ".csv.gz")
"""Endings of files that may hold many spectra, or name them."""
STDIN = "-"
BATCH = 4096  # rows of a catalogue in memory
HEAD = 65536  # bytes of a CSV file that are looked at to tell a catalogue from a spectrum
SHOWN = 5

log = get_logger(__name__)


@dataclass(frozen=True)
class Item:
    """One spectrum, as yet unread."""

    name: str
    """What its row calls it."""
    place: str | None = None
    """Path or address to read it from."""
    data: bytes | None = None
    """The file's bytes, where they are at hand."""
    thing: Any = None
    """What Python holds as a spectrum."""
    reason: str | None = None
    """Why there is nothing to read."""


def items(inputs: Iterable[Any]) -> Iterator[Item]:
    """Single spectra, in order, found as they are asked for.

    Whatever cannot be found, opened or listed is an item with its reason: nothing is left out.
    """
    for number, given in enumerate(inputs):
        if isinstance(given, str | Path):
            yield from _named(str(given))
        else:
            yield Item(f"{type(given).__name__} {number}", thing=given)


def count_of(inputs: Iterable[str]) -> int | None:
    """Number of spectra, where a look at each is enough: files of one and addresses alone."""
    texts = list(inputs)
    plain = [text for text in texts if is_address(text) or Path(text).is_file()]
    plain = [text for text in plain if not text.lower().endswith(MANY)]
    plain = [text for text in plain if is_address(text) or open_shared(Path(text)) is None]
    return len(texts) if len(plain) == len(texts) else None


def is_address(text: str) -> bool:
    """Whether it is an http or https URL."""
    return text.lower().startswith(("http://", "https://"))


def _named(text: str, *, within_list: bool = False) -> Iterator[Item]:
    if text == STDIN and not within_list:
        yield from _listed(sys.stdin)
        return
    if is_address(text):
        yield _address(text)
        return
    if text.startswith("file:/"):
        text = str(folder_of(text))
    if "\0" in text:
        yield Item(printable(text), reason="no path")
        return
    path, low = Path(text), text.lower()
    if path.is_dir():
        yield from _in_folder(path)
    elif low.endswith(TARS):
        yield from _in_tar(path)
    elif low.endswith(".parquet"):
        yield from _in_parquet(path)
    elif low.endswith((".csv", ".csv.gz")) and (column := _path_column(path)) is not None:
        yield from _in_csv(path, column)
    elif glob.has_magic(text) and not path.exists():
        yield from _matching(text)
    else:
        yield from _in_file(text)


def _in_file(place: str) -> Iterator[Item]:
    """A file's spectrum, or each of those that a survey's file of many holds."""
    name = printable(place)
    many = open_shared(Path(place))
    if many is None:
        yield Item(name, place=place)
        return
    try:
        with many as opened:
            if len(opened.identities) == 1:
                yield Item(name, place=place)
                return
            for row, identity in enumerate(opened.identities):
                inside = f"{name}/{identity or f'row {row}'}"
                try:
                    yield Item(inside, data=opened.cut(row))
                except SpectrumError as error:
                    yield Item(inside, reason=str(error))
    except SpectrumError as error:
        yield Item(name, reason=str(error))


def _address(url: str) -> Item:
    try:
        if urlsplit(url).password is not None:
            return Item("a URL with a password", reason="refused: it would be in every output")
    except ValueError as error:
        return Item(printable(url), reason=f"no address: {on_one_line(error, 80)}")
    return Item(printable(url), place=url)


def _listed(lines: Iterable[str]) -> Iterator[Item]:
    """One input a line; empty lines and comments (#) are no inputs."""
    for line in lines:
        text = line.strip()
        if text and not text.startswith("#"):
            yield from _named(text, within_list=True)


def _matching(pattern: str) -> Iterator[Item]:
    found = sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207 (of any root)
    for path in found:
        yield from _named(path, within_list=True)
    if not found:
        yield Item(printable(pattern), reason="no file matches")


def _in_folder(root: Path) -> Iterator[Item]:
    refused: list[tuple[str, str]] = []
    passed_over: Counter[str] = Counter()
    count = 0
    for path in files_below(root, refused):
        if path.lower().endswith(".tar"):
            yield from _in_tar(root / path)
        elif NAMES.fullmatch(path):
            yield from _in_file(str(root / path))
        else:
            passed_over[PurePosixPath(path).suffix or "no ending"] += 1
            continue
        count += 1
    for name, reason in refused:
        yield Item(f"{printable(str(root))}/{name}", reason=reason)
    yield from _none_of(str(root), "folder", count + len(refused), passed_over)


def _none_of(where: str, kind: str, count: int, passed_over: Counter[str]) -> Iterator[Item]:
    """Tell of what was passed over; an item where nothing else was there."""
    named = ", ".join(f"{n} {printable(end)}" for end, n in passed_over.most_common(SHOWN))
    if count and passed_over:
        log.info("%s: %d other files passed over (%s)", where, passed_over.total(), named)
    if not count:
        has = f"it has {named}" if passed_over else "it is empty"
        yield Item(printable(where), reason=f"no file of a spectrum in this {kind} ({has})")


def _in_tar(path: Path) -> Iterator[Item]:
    name = printable(str(path))
    passed_over: Counter[str] = Counter()
    count = 0
    try:
        with tarfile.open(path, "r|*", tarinfo=Member) as tar:
            for member in tar:
                inside = f"{name}/{printable(member.name)}"
                if not member.isfile():
                    continue
                if not NAMES.fullmatch(member.name) or PurePosixPath(member.name).name[0] == ".":
                    passed_over[PurePosixPath(member.name).suffix or "no ending"] += 1
                    continue
                count += 1
                if member.size > MAX_BYTES:
                    yield Item(inside, reason=f"{member.size} bytes, which no spectrum has")
                    continue
                handle = tar.extractfile(member)
                yield Item(inside, data=handle.read() if handle else b"")
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        said = getattr(error, "strerror", None) or on_one_line(error, 80)
        yield Item(name, reason=f"no tar that can be read{' on' if count else ''}: {said}")
        return
    yield from _none_of(str(path), "tar", count, passed_over)


def _in_parquet(path: Path) -> Iterator[Item]:
    name = printable(str(path))
    try:
        with pq.ParquetFile(path) as file:
            column = _path_of(file.schema_arrow.names)
            if column is None:
                shown = ", ".join(file.schema_arrow.names[:SHOWN])
                yield Item(name, reason=f"no column {' or '.join(PATH_COLUMNS)} (it has {shown})")
                return
            for batch in file.iter_batches(BATCH, columns=[column]):
                for value in batch.column(0).to_pylist():
                    yield from _row(value, path)
    except (pa.ArrowException, OSError) as error:
        said = getattr(error, "strerror", None) or on_one_line(error, 80)
        yield Item(name, reason=f"no parquet file that can be read: {said}")


def _path_of(names: Iterable[str]) -> str | None:
    by_name = {str(name).strip().lower(): str(name) for name in reversed(list(names))}
    return next((by_name[name] for name in PATH_COLUMNS if name in by_name), None)


def _path_column(path: Path) -> str | None:
    """The column of a CSV catalogue that has the paths; None where it is a spectrum, or no file."""
    try:
        if not path.is_file():
            return None
        with _opened(path) as handle:
            names = column_names(handle.read(HEAD))
    except (OSError, EOFError, zlib.error, UnicodeError):
        return None
    return None if has_spectrum(names) else _path_of(names)


def _in_csv(path: Path, column: str) -> Iterator[Item]:
    try:
        with _opened(path) as handle:
            for row in csv.DictReader(handle, skipinitialspace=True):
                values = {str(key).strip(): value for key, value in row.items()}
                yield from _row(values.get(column), path)
    except (OSError, EOFError, zlib.error, UnicodeError, csv.Error) as error:
        reason = f"no CSV file that can be read on: {on_one_line(error, 80)}"
        yield Item(printable(str(path)), reason=reason)


def _opened(path: Path) -> Any:
    opener = gzip.open if path.suffix.lower() == ".gz" else open
    return opener(path, "rt", encoding="utf-8-sig", newline="")


def _row(value: Any, catalogue: Path) -> Iterator[Item]:
    """One row of a catalogue: an address, or a path below the catalogue's folder or this one."""
    text = "" if value is None else str(value).strip()
    if not text:
        yield Item(printable(str(catalogue)), reason="a row without a path")
        return
    beside = catalogue.parent / text
    if not is_address(text) and "\0" not in text and beside.exists():
        text = str(beside)
    yield from _named(text, within_list=True)
