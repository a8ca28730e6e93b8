"""Files that rows of a survey share: each is fetched once a job, and every row's spectrum cut out.

On disk are at most `FILES_AT_A_TIME` such files, each removed when its rows are cut; what a killed
job had of one is gone on with.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath

from specvit.download.check import check_spectrum
from specvit.download.ledger import CorruptError, Fetched, Wanted
from specvit.download.sources import Source
from specvit.errors import SpectrumError
from specvit.registry import survey_named

FILES_AT_A_TIME = 2  # of one source: while the spectra of one are cut, the other arrives


def by_file(rows: Iterable[Wanted]) -> Iterator[list[Wanted]]:
    """Rows of one file together; `rows` are in the order of their paths."""
    for _, group in itertools.groupby(rows, lambda row: row.path):
        yield list(group)


async def cut_all(
    source: Source,
    files: Iterator[list[Wanted]],
    folder: Path,
    keep: Callable[[Wanted, Fetched], None],
) -> None:
    """Bring file after file into `folder`, and keep what becomes of each of its rows."""
    for rows in files:  # shared by all workers: each takes the next one
        place = folder / PurePosixPath(rows[0].path).name
        found = await source.bring(rows[0], place)
        if isinstance(found, Fetched):
            for row in rows:
                keep(row, found)
            continue
        try:
            await _cut(found, source.url(rows[0].path), rows, keep)
        finally:
            place.unlink(missing_ok=True)


async def _cut(
    file: Path, url: str, rows: Sequence[Wanted], keep: Callable[[Wanted, Fetched], None]
) -> None:
    """Cut every row out of a file; rows that it does not name are missing, with that reason."""
    left = iter(rows)
    try:
        opened = survey_named(rows[0].survey).open_shared(file)
        if opened is None:
            raise SpectrumError(f"not a file of {survey_named(rows[0].survey).title} spectra")
        with opened as many:
            # Backwards, so that the first row of an identity counts.
            places = {name: row for row, name in reversed(list(enumerate(many.identities)))}
            for row in left:
                place = places.get(row.identity or "")
                if place is None:
                    reason = f"{PurePosixPath(row.path).name} has no spectrum of {row.identity}"
                    keep(row, Fetched(url, "missing", 1, reason=reason))
                    continue
                try:
                    data = await asyncio.to_thread(many.cut, place)
                    check_spectrum(data, row.survey, row.identity)
                except (SpectrumError, CorruptError) as error:
                    keep(row, Fetched(url, "corrupt", 1, reason=str(error)))
                else:
                    keep(row, Fetched(url, "ok", 1, data))
    except SpectrumError as error:
        for row in left:
            keep(row, Fetched(url, "corrupt", 1, reason=str(error)))
