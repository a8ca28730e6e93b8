"""Spectra written as text: CSV, ECSV, columns between blanks, with a line of names or without."""

from __future__ import annotations

import io
import re
import warnings
from typing import Any

from specvit.errors import SpectrumError, on_one_line
from specvit.tables.names import has_spectrum

COMMENT = ("#", "%", "!", ";")
# What astropy's guessing must not be let loose on: a page of HTML is a server's answer.
HTML = re.compile(r"\s*<(!doctype|html|head|body)", re.IGNORECASE)
VOTABLE = re.compile(r"\s*<(\?xml|votable)", re.IGNORECASE)
SNIFFED = 50  # lines
BLANKS = re.compile(r"[\s,;|]+")
POSITIONS = ("wave", "flux", "error")
BY_POSITION = "columns by position"


def read_text(data: bytes) -> tuple[Any, tuple[str, ...]]:
    """Read a text table: an astropy Table, and notes on what was assumed.

    Without a line of names the columns are wavelength, flux and error. Raises SpectrumError for
    what is no table.
    """
    text = _decoded(data)
    if HTML.match(text):
        raise SpectrumError("a page of HTML, not a spectrum")
    from astropy.io import ascii as tables
    from astropy.table import Table

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            if VOTABLE.match(text):
                return Table.read(io.BytesIO(data), format="votable"), ()
            if text.startswith("# %ECSV"):
                return Table.read(text, format="ascii.ecsv"), ()
            return _sniffed(text, tables)
        except SpectrumError:
            raise
        except Exception as error:  # astropy raises nearly anything for what is no table
            said = on_one_line(error, 100)
            raise SpectrumError(f"no table that can be read: {said}") from error


def column_names(start: str) -> list[str]:
    """Names in the first line of a CSV file; empty where it holds numbers."""
    lines = _lines(start)
    words = _words(lines[0], ",") if lines else []
    return [] if all(map(_is_number, words)) else words


def _sniffed(text: str, tables: Any) -> tuple[Any, tuple[str, ...]]:
    lines = _lines(text)
    if not lines:
        raise SpectrumError("a text without data")
    delimiter = next((d for d in (",", "\t", ";", "|") if d in lines[0]), None)
    words = _words(lines[0], delimiter)
    options: dict[str, Any] = {"delimiter": delimiter or " ", "guess": False}
    # astropy knows one kind of comment at a time.
    body = "\n".join(line for line in text.splitlines() if not _is_comment(line))
    if not all(map(_is_number, words)):
        kind = "fast_csv" if delimiter else "fast_basic"
        return tables.read(body, format=kind, **options), ()
    names = _names_in_comments(text, len(words), delimiter)
    if names is not None:
        return tables.read(body, format="fast_no_header", names=names, **options), ()
    if len(words) < 2:
        raise SpectrumError("a text with one column of numbers: no wavelength and flux")
    names = [*POSITIONS, *(f"column {i}" for i in range(4, len(words) + 1))][: len(words)]
    return tables.read(body, format="fast_no_header", names=names, **options), (BY_POSITION,)


def _names_in_comments(text: str, count: int, delimiter: str | None) -> list[str] | None:
    """The last comment before the numbers that names the columns of a spectrum."""
    found = None
    for line in text.splitlines()[:SNIFFED]:
        if not _is_comment(line):
            if line.strip():
                break
            continue
        plain = line.lstrip("".join(COMMENT) + " \t")
        for words in (_words(plain, delimiter), BLANKS.split(plain.strip())):
            if len(words) == count and has_spectrum(words):
                found = words
    return found


def _decoded(data: bytes) -> str:
    """Text; SpectrumError for bytes that are none."""
    if b"\0" in data[:4096]:
        raise SpectrumError("neither FITS nor text")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _lines(text: str) -> list[str]:
    """The first lines that are neither empty nor comments."""
    found = []
    for line in text.splitlines():
        if line.strip() and not _is_comment(line):
            found.append(line)
            if len(found) == SNIFFED:
                break
    return found


def _is_comment(line: str) -> bool:
    return line.lstrip().startswith(COMMENT)


def _words(line: str, delimiter: str | None) -> list[str]:
    return [word.strip().strip('"') for word in line.strip().split(delimiter)]


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
