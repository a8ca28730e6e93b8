"""Which rows of a survey's catalogue are taken: cut after cut, each counted, then a sample."""

from __future__ import annotations

import codecs
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from specvit.catalog.group import components, first_of, key_pairs, unit_vectors
from specvit.catalog.hashing import hashes
from specvit.catalog.ladder import Ladder
from specvit.config.select import Box, Cone, Select
from specvit.errors import DataError
from specvit.logs import get_logger, progress
from specvit.spectrum.fits_table import Columns
from specvit.surveys.catalogue import NOTHING, UNKNOWN, Cut, SurveyCatalogue
from specvit.tasks import ALL_CLASSES, CLASSES

ROWS_A_PIECE = 100_000
STANDARD = ("class", "stellar_type", "subclass", "z", "z_err", "snr", "ra", "dec")
PARAMETERS = ("teff", "logg", "feh")

log = get_logger(__name__)


@dataclass
class Selection:
    """Rows taken, in the order of their spectrum_id, and the object of each."""

    columns: Columns
    first: NDArray[np.int64]
    """For each row, the first row of the same object, by the survey's own grouping."""
    ladder: Ladder

    @property
    def rows(self) -> int:
        """Number of rows taken."""
        return len(self.first)


def select(catalogue: SurveyCatalogue, settings: Select, seed: int, label: str) -> Selection:
    """Apply the cuts piece by piece, then group repeats and draw the sample.

    Raises DataError when nothing is left, naming what each cut removed.
    """
    ladder = Ladder()
    columns = _cut(catalogue, settings, ladder, label)
    columns = _listed_once(catalogue, columns, ladder)
    keep = _sample(catalogue, columns, settings, seed, ladder)
    if keep is not None:
        _take(columns, keep)
    rows = len(columns["class"])
    if not rows:
        raise DataError(f"{label}: no spectrum is left after the selection ({ladder.sentence()})")
    pairs = [key_pairs(keys) for keys in catalogue.group_keys(columns)]
    return Selection(columns, first_of(components(rows, np.concatenate(pairs))), ladder)


def _cut(catalogue: SurveyCatalogue, settings: Select, ladder: Ladder, label: str) -> Columns:
    cuts = [*catalogue.own_cuts(), *common_cuts(settings, catalogue)]
    counts = np.zeros(len(cuts) + 1, np.int64)
    parts: dict[str, list[NDArray[Any]]] = {}
    with progress(f"catalogue of {label}", catalogue.rows, "rows") as tick:
        for piece in catalogue.pieces():
            keep = np.ones(len(piece["class"]), np.bool_)
            counts[0] += len(keep)
            for number, cut in enumerate(cuts, 1):
                stays = cut.keep(piece)
                keep &= stays | (piece["class"] == NOTHING) if cut.of_objects else stays
                counts[number] += np.count_nonzero(keep)
            for name in (*STANDARD, *PARAMETERS, *catalogue.kept):
                if name in piece:
                    parts.setdefault(name, []).append(piece[name][keep])
            tick.advance(len(keep))
    for cut in cuts:
        if isinstance(cut.keep, Wanted):
            cut.keep.report(label)
    total = int(counts[0]) if catalogue.rows is None else catalogue.rows
    ladder.add(catalogue.listed, total, total)
    if total != counts[0]:
        ladder.add("can be read", total, int(counts[0]))
    for number, cut in enumerate(cuts, 1):
        ladder.add(cut.name, int(counts[number - 1]), int(counts[number]))
    if not counts[-1]:
        raise DataError(f"{label}: no spectrum is left after the selection ({ladder.sentence()})")
    # Column by column, each list freed before the next is joined: one copy of the table at most.
    return {name: np.concatenate(parts.pop(name)) for name in list(parts)}


def _take(columns: Columns, rows: NDArray[Any]) -> None:
    for name in columns:
        columns[name] = columns[name][rows]


def _listed_once(catalogue: SurveyCatalogue, columns: Columns, ladder: Ladder) -> Columns:
    """Sort by spectrum_id; of rows that name the same spectrum, keep the first."""
    _take(columns, np.lexsort(catalogue.sort_keys(columns)[::-1]))
    keys = catalogue.sort_keys(columns)
    again = np.logical_and.reduce([key[1:] == key[:-1] for key in keys])
    if again.any():
        keep = np.concatenate([[True], ~again])
        ladder.add("listed once", len(keep), int(keep.sum()))
        _take(columns, keep)
    return columns


# --- cuts that every survey has


def common_cuts(settings: Select, catalogue: SurveyCatalogue) -> list[Cut]:
    """The cuts that these settings ask for, in the order of the settings."""
    cuts = []
    if settings.classes is not None:
        codes = [ALL_CLASSES.index(name) for name in settings.classes]
        name = f"class is {' or '.join(settings.classes)}"
        cuts.append(Cut(name, lambda columns: np.isin(columns["class"], codes)))
    for class_, patterns in settings.subclasses.items():
        cuts.append(Cut(f"subclass of {class_} matches", _subclass_cut(class_, patterns)))
    if settings.min_snr is not None:
        lowest = settings.min_snr
        name = f"S/N at least {lowest:g}"
        cuts.append(Cut(name, lambda columns: columns["snr"] >= lowest, of_objects=True))
    if settings.z_range is not None:
        low, high = settings.z_range
        name = f"redshift from {low:g} to {high:g}"
        cuts.append(Cut(name, lambda c: (c["z"] >= low) & (c["z"] <= high), of_objects=True))
    if settings.box is not None:
        cuts.append(_box_cut(settings.box))
    if settings.cone is not None:
        cuts.append(_cone_cut(settings.cone))
    if settings.ids is not None:
        wanted = Wanted(Path(os.path.expandvars(settings.ids)), catalogue)
        cuts.append(Cut(f"listed in {Path(settings.ids).name}", wanted))
    cuts += [Cut(f"has a label for {name}", _label_cut(name)) for name in settings.require]
    return cuts


def _subclass_cut(class_: str, patterns: tuple[str, ...]) -> Callable[[Columns], NDArray[np.bool_]]:
    pattern = "|".join(f"(?:{pattern})" for pattern in patterns)
    code = ALL_CLASSES.index(class_)

    def keep(columns: Columns) -> NDArray[np.bool_]:
        texts, places = np.unique(columns["subclass"], return_inverse=True)
        matches = pd.Series(texts.astype("U")).str.fullmatch(pattern).to_numpy(bool)
        result: NDArray[np.bool_] = (columns["class"] != code) | matches[places]
        return result

    return keep


def _box_cut(box: Box) -> Cut:
    (west, east), (low, high) = box.ra, box.dec

    def keep(columns: Columns) -> NDArray[np.bool_]:
        ra, dec = columns["ra"], columns["dec"]
        inside = (ra >= west) & (ra <= east) if west <= east else (ra >= west) | (ra <= east)
        result: NDArray[np.bool_] = inside & (dec >= low) & (dec <= high)
        return result

    return Cut(f"ra {west:g} to {east:g}, dec {low:g} to {high:g} deg", keep)


def _cone_cut(cone: Cone) -> Cut:
    centre = unit_vectors(np.array([cone.ra]), np.array([cone.dec]))[0]
    # The chord, not the cosine: exact to rounding for small radii too.
    chord = 2 * np.sin(np.radians(cone.radius) / 2)

    def keep(columns: Columns) -> NDArray[np.bool_]:
        vectors = unit_vectors(columns["ra"], columns["dec"])
        result: NDArray[np.bool_] = np.linalg.norm(vectors - centre, axis=1) <= chord
        return result

    return Cut(f"within {cone.radius:g} deg of ra {cone.ra:g}, dec {cone.dec:g}", keep)


def _label_cut(task: str) -> Callable[[Columns], NDArray[np.bool_]]:
    if task in ("class", "stellar_type"):
        return lambda columns: columns[task] != UNKNOWN
    column = "z" if task == "redshift" else task
    return lambda columns: np.isfinite(columns[column])


class Wanted:
    """The cut to the spectra of a list, which remembers what it has not found yet."""

    def __init__(self, path: Path, catalogue: SurveyCatalogue) -> None:
        self._path, self._catalogue = path, catalogue
        self._wanted = read_ids(path)
        self._left = set(self._wanted)

    def __call__(self, columns: Columns) -> NDArray[np.bool_]:
        """Whether each row is listed."""
        found = self._catalogue.find(columns, self._wanted)
        self._left -= found.names
        return found.rows

    def report(self, label: str) -> None:
        """Say what is in no row, once all rows have been seen."""
        if self._left:
            log.warning(
                "%s: %d of the %d ids in %s are not in the catalogue, the first: %s",
                *(label, len(self._left), len(self._wanted), self._path, min(self._left)),
            )


def read_ids(path: Path) -> frozenset[str]:
    """Identifiers of a list, one a line; blank lines and what follows # do not count.

    UTF-8 with or without a byte-order mark; comments may be in any encoding.
    """
    try:
        lines = path.read_bytes().removeprefix(codecs.BOM_UTF8).splitlines()
    except OSError as error:
        raise DataError(f"select.ids: {path}: {error.strerror}") from error
    # What is no UTF-8 is no id either, and so is reported as not found.
    texts = (line.split(b"#", 1)[0].decode("utf-8", "replace").strip() for line in lines)
    wanted = frozenset(texts) - {""}
    if not wanted:
        raise DataError(f"select.ids: {path} names no spectrum")
    return wanted


# --- the sample


def _sample(
    catalogue: SurveyCatalogue, columns: Columns, settings: Select, seed: int, ladder: Ladder
) -> NDArray[np.int64] | None:
    """Rows of the sample in their order, or None where all are taken.

    Of each class those with the lowest hash of (seed, spectrum_id): a larger sample contains every
    smaller one, and rows that a newer catalogue adds replace only as many as they push out.
    """
    limits = _limits(columns, settings, ladder)
    if not limits:
        return None
    rows = len(columns["class"])
    keep = np.ones(rows, np.bool_)
    for class_, limit in limits.items():
        places = np.flatnonzero(columns["class"] == ALL_CLASSES.index(class_))
        if len(places) > limit:
            order = np.argsort(_row_hashes(catalogue, columns, places, seed), kind="stable")
            keep[places[order[limit:]]] = False
    text = ", ".join(f"{limit} {class_}" for class_, limit in limits.items())
    name = f"{'balanced' if settings.balance else 'at most'}: {text}"
    ladder.add(name, rows, int(keep.sum()))
    return np.flatnonzero(keep)


def _limits(columns: Columns, settings: Select, ladder: Ladder) -> dict[str, int]:
    classes = settings.classes or CLASSES
    limits = {name: limit for name in classes if (limit := settings.limit(name)) is not None}
    if not settings.balance:
        return limits
    counts = {name: int((columns["class"] == ALL_CLASSES.index(name)).sum()) for name in classes}
    rarest = min(counts, key=lambda name: counts[name])
    if not counts[rarest]:
        raise DataError(
            f"select.balance: no {rarest} is left to balance with ({ladder.sentence()}); "
            "leave the class out of select.classes or cut less"
        )
    return dict.fromkeys(classes, min([counts[rarest], *limits.values()]))


def _row_hashes(
    catalogue: SurveyCatalogue, columns: Columns, places: NDArray[np.int64], seed: int
) -> NDArray[np.uint64]:
    parts = []
    for first in range(0, len(places), ROWS_A_PIECE):
        part = places[first : first + ROWS_A_PIECE]
        ids = catalogue.spectrum_ids({name: columns[name][part] for name in catalogue.kept})
        parts.append(hashes(seed, "sample", ids))
    return np.concatenate(parts)
