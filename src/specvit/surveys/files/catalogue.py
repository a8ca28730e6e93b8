"""The catalogue of a folder of spectra: what the files' headers say, and a table of labels."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from specvit.errors import SpectrumError
from specvit.io import as_text
from specvit.logs import progress
from specvit.spectrum import Header
from specvit.spectrum.fits_table import Columns
from specvit.surveys.catalogue import (
    SAID_NOTHING,
    Cut,
    Found,
    SurveyCatalogue,
    either,
    find_by,
    is_nothing,
    labelled,
    without_placeholders,
)
from specvit.surveys.files import FilesSettings
from specvit.surveys.files.find import find_spectra
from specvit.surveys.files.labels import Labels
from specvit.surveys.read import read_bytes, read_header

FILES_A_PIECE = 5000
TEXTS = ("survey", "release", "path", "identity", "object_name", "spectrum_id")


def file_spectrum_id(survey: str, identity: str, path: str) -> str:
    """An identifier that stays when files are added: two files never share one."""
    name = re.sub(r"[^a-z0-9_-]", "_", identity.lower())
    return f"files-{survey}-{name}-{hashlib.sha256(path.encode()).hexdigest()[:8]}"


class FilesCatalogue(SurveyCatalogue):
    """Headers of all files below a folder; one that cannot be read is listed with its reason."""

    listed = "files found"

    def __init__(self, root: Path, settings: FilesSettings) -> None:
        self.root = root
        self.settings = settings
        self.kept = TEXTS
        self._found = find_spectra(root)
        self.refused: list[tuple[str, str]] = []

    @property
    def rows(self) -> int:
        """Number of files, readable or not."""
        return len(self._found.paths) + len(self._found.refused)

    def pieces(self) -> Iterator[Columns]:
        """Yield what can be read, each spectrum once; the rest is in `refused` when this ends."""
        table = self.settings.tables.get("labels")
        labels = None if table is None else Labels(table)
        self.refused = list(self._found.refused)
        seen: dict[tuple[object, ...], str] = {}
        paths = self._found.paths
        with progress("headers", len(paths), "files") as tick:
            for first in range(0, len(paths), FILES_A_PIECE):
                headers = {}
                for path in paths[first : first + FILES_A_PIECE]:
                    try:
                        header = read_header(read_bytes(self.root / path))
                        original = seen.setdefault(_observation(header), path)
                        if original != path:
                            raise SpectrumError(f"a copy of {as_text(original)}")
                        headers[as_text(path)] = header
                    except SpectrumError as error:
                        self.refused.append((as_text(path), str(error)))
                    tick.advance()
                if headers:
                    yield _columns(headers, labels, self.settings.select.takes_nothing)
        if labels is not None:
            labels.report([path for path, _ in self.refused])

    def own_cuts(self) -> list[Cut]:
        """ZWARNING, where the header has it."""
        if not self.settings.select.zwarning_zero:
            return []
        return [Cut("ZWARNING = 0 or none", lambda c: ~(c["zwarning"] > 0), of_objects=True)]

    def find(self, columns: Columns, wanted: frozenset[str]) -> Found:
        """By spectrum_id, path below the folder, or the survey's identity."""
        names = {name: name for name in wanted}
        keys = ("spectrum_id", "path", "identity")
        return either(*(find_by(names, columns[key]) for key in keys))

    def sort_keys(self, columns: Columns) -> tuple[NDArray[Any], ...]:
        """The spectrum_id itself."""
        return (columns["spectrum_id"],)

    def group_keys(self, columns: Columns) -> list[NDArray[np.int64]]:
        """The survey's name of the object."""
        return [_key(columns["survey"], columns["object_name"])]

    def spectrum_ids(self, columns: Columns) -> list[str]:
        """Survey, identity and a hash of the path."""
        ids: list[str] = columns["spectrum_id"].tolist()
        return ids

    def describe(self, columns: Columns) -> Mapping[str, Any]:
        """Text as the headers have it; a file that names no release has none."""
        names = ("survey", "release", "path", "identity")
        texts = {name: columns[name].astype(object) for name in names}
        texts["release"][columns["release"] == ""] = None
        return texts


def _observation(header: Header) -> tuple[object, ...]:
    """What only copies of one spectrum share.

    With the position to a hundredth of a degree: some identities are placeholders.
    """
    place = (None if angle is None else round(angle, 2) for angle in (header.ra, header.dec))
    return header.survey, header.identity, *place


def _columns(headers: dict[str, Header], labels: Labels | None, takes_nothing: bool) -> Columns:
    rows = [
        (h.survey, h.release or "", path, h.identity, h.object_name or "")
        for path, h in headers.items()
    ]
    by_column = zip(*rows, strict=True)
    texts = {name: np.array(column) for name, column in zip(TEXTS, by_column, strict=False)}
    ids = [file_spectrum_id(survey, identity, path) for survey, _, path, identity, _ in rows]
    columns: Columns = {**texts, "spectrum_id": np.array(ids)}
    for name in ("z", "z_err", "snr", "ra", "dec", "zwarning"):
        values = [getattr(header, name) for header in headers.values()]
        columns[name] = np.array([np.nan if v is None else v for v in values], np.float64)
    class_text = _bytes([header.class_ for header in headers.values()])
    if takes_nothing:
        zwarning = np.nan_to_num(columns["zwarning"], nan=0).astype(np.int64)
        class_text = np.where(is_nothing(class_text, zwarning), SAID_NOTHING, class_text)
    columns["class"] = class_text
    columns["subclass"] = _bytes([header.subclass for header in headers.values()])
    if labels is not None:
        columns = labels.over(columns)
    class_text, subclass = columns["class"], without_placeholders(columns["subclass"])
    return labelled(
        columns, class_text, subclass, is_nothing(class_text) if takes_nothing else None
    )


def _bytes(texts: list[str | None]) -> NDArray[np.bytes_]:
    return np.array([(text or "").encode("ascii", "replace") for text in texts])


def _key(survey: NDArray[np.str_], text: NDArray[np.str_]) -> NDArray[np.int64]:
    joined = np.strings.add(np.strings.add(survey, " "), text).astype(object)
    hashed = pd.util.hash_array(joined, categorize=False) >> np.uint64(1)
    keys: NDArray[np.int64] = hashed.astype(np.int64)
    keys[text == ""] = 0
    return keys
