"""Files that rows of a survey share: each is fetched once a job, and every row's spectrum cut out.

On disk are at most `FILES_AT_A_TIME` such files, each removed when its rows are cut; what a killed
job had of one is gone on with.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from specvit.download.check import check_spectrum
from specvit.download.ledger import CorruptError, Fetched, Wanted
from specvit.download.sources import Source
from specvit.errors import SpectrumError
from specvit.logs import get_logger
from specvit.registry import survey_named
from specvit.surveys.survey import Shared

FILES_AT_A_TIME = 2  # of one source: while the spectra of one are cut, the other arrives

log = get_logger(__name__)

Sharing = Callable[[str], Shared | None]
"""From a row's path to the file that it shares with other rows."""


@dataclass(frozen=True)
class Batch:
    """A file and the rows that are wanted of it."""

    path: str
    rows: list[Wanted]

    @property
    def name(self) -> str:
        """The file's own name."""
        return PurePosixPath(self.path).name


def worthwhile(rows: Iterable[Wanted], sharing: Sharing) -> frozenset[str]:
    """Paths of the files of which enough rows are wanted."""
    counts = Counter(filter(None, (sharing(row.path) for row in rows)))
    return frozenset(file.path for file, count in counts.items() if count >= file.worth)


def by_file(rows: Iterable[Wanted], sharing: Sharing, chosen: frozenset[str]) -> Iterator[Batch]:
    """The chosen files, each with its rows; `rows` are in the order of their paths."""

    def path_of(row: Wanted) -> str | None:
        file = sharing(row.path)
        return None if file is None else file.path

    for path, group in itertools.groupby(rows, path_of):
        if path in chosen:
            yield Batch(path, list(group))


async def cut_all(
    source: Source,
    files: Iterator[Batch],
    folder: Path,
    keep: Callable[[Wanted, Fetched], None],
) -> None:
    """Bring file after file into `folder`, and keep what becomes of each of its rows.

    Nothing is kept of rows that a file does not give, but that have a file of their own.
    """
    for batch in files:  # shared by all workers: each takes the next one
        survey = batch.rows[0].survey
        place = folder / batch.name
        found = await source.bring(batch.path, survey, place)
        left: list[Fetched] = []

        def keep_or_leave(row: Wanted, fetched: Fetched) -> None:
            if fetched.status == "ok" or row.path == batch.path:  # noqa: B023 (used in this turn)
                keep(row, fetched)
            else:
                left.append(fetched)  # noqa: B023

        if isinstance(found, Fetched):
            for row in batch.rows:
                keep_or_leave(row, found)
        else:
            try:
                await _cut(found, source.url(batch.path), batch, keep_or_leave)
            finally:
                place.unlink(missing_ok=True)
        if left:
            more = f"{len(left)} of {len(batch.rows)} spectra are asked for one by one"
            log.info("%s: %s (%s)", batch.name, more, left[0].reason)


async def _cut(file: Path, url: str, batch: Batch, keep: Callable[[Wanted, Fetched], None]) -> None:
    """Cut every row out of a file; rows that it does not name are missing, with that reason."""
    survey = survey_named(batch.rows[0].survey)
    left = iter(batch.rows)
    try:
        opened = survey.open_shared(file)
        if opened is None:
            raise SpectrumError(f"not a file of {survey.title} spectra")
        with opened as many:
            # Backwards, so that the first row of an identity counts.
            places = {name: row for row, name in reversed(list(enumerate(many.identities)))}
            for row in left:
                place = places.get(row.identity or "")
                if place is None:
                    reason = f"{batch.name} has no spectrum of {row.identity}"
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
