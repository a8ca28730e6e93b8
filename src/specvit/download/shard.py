"""One job, one shard: fetch what is not there yet, then write tar and ledger."""

from __future__ import annotations

import asyncio
import hashlib
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import AsyncExitStack, closing
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from specvit.catalog.rows import shard_rows
from specvit.config.models import Config
from specvit.download.archive import EarlierArchive, write_archive
from specvit.download.journal import Journal, open_journal
from specvit.download.ledger import BATCH_ROWS, STATUSES, Entry, Fetched, Wanted, ledger_table
from specvit.download.shared import FILES_AT_A_TIME, Sharing, by_file, cut_all, worthwhile
from specvit.download.sources import Source, open_source
from specvit.errors import DataError, DownloadError
from specvit.io import write_parquet
from specvit.locks import writing
from specvit.logs import get_logger, progress
from specvit.plan import Plan
from specvit.registry import surveys

SHOWN_REASONS = 5
ROW_COLUMNS = ["spectrum_id", "survey", "release", "path", "identity", "source"]

log = get_logger(__name__)


def _rows(table: pa.Table) -> Iterator[Wanted]:
    # A few at a time: as Python objects, the rows of a big shard would fill the memory.
    for batch in table.to_batches(max_chunksize=BATCH_ROWS):
        for row in batch.to_pylist():
            yield Wanted(**row)


def download_shard(config: Config, shard: str, retry_missing: bool = False) -> pa.Table:
    """Fetch the spectra of a shard; write `spectra/<shard>.tar` and its ledger, which is returned.

    What an earlier job or an earlier catalogue's tar already has is not fetched again; rows that
    failed or were corrupt are tried again, rows that a server does not have only if
    `retry_missing`. Raises DownloadError where more rows fail than `download.max_failed_fraction`
    allows, or none arrives; MachineError where the disk is full. Either way what has arrived is
    kept for the next try.
    """
    paths = config.paths
    table = shard_rows(paths.catalog, shard, ROW_COLUMNS)
    plan = Plan.of_parquet(paths.catalog)
    plan.check_settings(config.split, paths.catalog)
    sources = _open_sources(config, table)
    sharing = _sharing(config, sources)
    working = paths.spectra(shard).with_name(f".{shard}.parts")
    scratch = paths.spectra(shard).with_name(f".{shard}.files")
    with (
        writing(paths, f"spectra/{shard}"),
        open_journal(working) as journal,
        closing(EarlierArchive(paths.spectra(shard), paths.ledger(shard))) as earlier,
    ):
        job = _Job(table, sources, sharing, journal, earlier, scratch, retry_missing)
        job.run(shard)
        ledger = ledger_table(job.in_order())
        _judge(config, shard, ledger)
        wanted = ledger.filter(pc.equal(ledger["status"], "ok"))["spectrum_id"]
        if job.changes_nothing:
            # Snakemake must see that the job ran, but the tar need not be written again.
            paths.spectra(shard).touch()
        else:
            write_archive(paths.spectra(shard), (name.as_py() for name in wanted), job.read)
        write_parquet(paths.ledger(shard), ledger, plan.metadata)
        journal.remove()
        shutil.rmtree(scratch, ignore_errors=True)
    _failed_ledger(config, shard).unlink(missing_ok=True)
    return ledger


def download_shards(config: Config, retry_missing: bool = False) -> None:
    """Fetch all shards, one after the other; DownloadError at the end if any could not complete."""
    errors = []
    for shard in config.shard_names():
        try:
            download_shard(config, shard, retry_missing)
        except DownloadError as error:
            log.error("%s", error)
            errors.append(error)
    if errors:
        raise DownloadError(f"{len(errors)} shards are not complete; the first: {errors[0]}")


def _open_sources(config: Config, table: pa.Table) -> dict[str, Source]:
    active = config.surveys.active
    sources = {}
    for name in table["source"].unique().to_pylist():
        if name not in active:
            raise DataError(f"the catalogue has spectra of {name!r}, which surveys does not set")
        base_url = active[name].base_url
        sources[name] = open_source(base_url, name, config.download, config.simulated)
    return sources


def _sharing(config: Config, sources: Iterable[str]) -> dict[str, Sharing]:
    """How rows of a source share files, where they do."""
    known = [name for name in sources if name in surveys()]
    found = {name: surveys()[name].shared(config.surveys.active[name]) for name in known}
    return {name: sharing for name, sharing in found.items() if sharing is not None}


class _Job:
    """The rows of a shard and what is known of each."""

    def __init__(
        self,
        table: pa.Table,
        sources: dict[str, Source],
        sharing: dict[str, Sharing],
        journal: Journal,
        earlier: EarlierArchive,
        scratch: Path,
        retry_missing: bool,
    ) -> None:
        self._table, self._sources, self._sharing = table, sources, sharing
        self._journal, self._earlier, self._scratch = journal, earlier, scratch
        # Rows that are known: None where the journal has the entry, else that of the earlier tar.
        self._known: dict[str, Entry | None] = {}
        kept = journal.recover()
        if kept or earlier.entries:
            for row in _rows(table):
                self._reuse(row, retry_missing)

    def _reuse(self, row: Wanted, retry_missing: bool) -> None:
        remembers = self._sources[row.source].remembers_missing and not retry_missing
        kept = self._journal.entry(row.spectrum_id)
        old = self._earlier.entries.get(row.spectrum_id)
        for entry in (kept, old):
            if entry is None or not self._is_of(row, entry):
                continue
            there = entry.status == "ok" and (entry is kept or self._earlier.holds(entry))
            if there or (entry.status == "missing" and remembers):
                self._known[row.spectrum_id] = None if entry is kept else entry
                return

    def _is_of(self, row: Wanted, entry: Entry) -> bool:
        """Whether the entry is of this row from this source, not of another mirror or sky."""
        source, sharing = self._sources[row.source], self._sharing.get(row.source)
        file = None if sharing is None else sharing(row.path)
        paths = [*source.paths(row), *([] if file is None else [file.path])]
        # A folder may have either of a file and its gzipped copy.
        return entry.url.removesuffix(".gz") in {
            source.url(path).removesuffix(".gz") for path in paths
        }

    def run(self, shard: str) -> None:
        """Fetch every row that is not known yet."""
        known, total = len(self._known), len(self._table)
        if known:
            log.info("%s: %d of %d are there already", shard, known, total)
        if known == total:
            return
        with progress(shard, total - known) as tick:
            counts: Counter[str] = Counter()

            def keep(row: Wanted, fetched: Fetched) -> None:
                self._keep(row, fetched)
                counts[fetched.status] += 1
                bad = ", ".join(f"{counts[status]} {status}" for status in STATUSES[1:])
                tick.advance(note=f"({bad})")

            try:
                asyncio.run(self._fetch(keep))
            except BaseExceptionGroup as group:
                raise _first(group) from None

    async def _fetch(self, keep: Callable[[Wanted, Fetched], None]) -> None:
        async with AsyncExitStack() as stack, asyncio.TaskGroup() as group:
            for name in self._sources:
                source = await stack.enter_async_context(self._sources[name])
                group.create_task(self._fetch_from(source, name, keep))

    async def _fetch_from(
        self, source: Source, name: str, keep: Callable[[Wanted, Fetched], None]
    ) -> None:
        """Files that rows share, where they are worth it; then, one by one, what is left."""
        if (sharing := self._sharing.get(name)) is not None:
            chosen = worthwhile(self._unknown(name, "path"), sharing)
            files = by_file(self._unknown(name, "path"), sharing, chosen)
            if chosen:
                self._scratch.mkdir(parents=True, exist_ok=True)
            async with asyncio.TaskGroup() as group:
                for _ in range(FILES_AT_A_TIME):
                    group.create_task(cut_all(source, files, self._scratch, keep))
        waiting = self._unknown(name, "spectrum_id")
        async with asyncio.TaskGroup() as group:
            for _ in range(source.rows_in_flight):
                group.create_task(_work(source, waiting, keep))

    def _unknown(self, name: str, order: str) -> Iterator[Wanted]:
        """Rows of a source that are still to be fetched, in the order of a column."""
        rows = self._table.filter(pc.equal(self._table["source"], name))
        for row in _rows(rows.sort_by(order)):
            if row.spectrum_id not in self._known:
                yield row

    def _keep(self, row: Wanted, fetched: Fetched) -> None:
        data = fetched.data
        entry = Entry(
            spectrum_id=row.spectrum_id,
            url=fetched.url,
            status=fetched.status,
            reason=fetched.reason,
            bytes=len(data),
            sha256=hashlib.sha256(data).hexdigest() if fetched.status == "ok" else None,
            attempts=fetched.attempts,
        )
        self._journal.append(entry, data)
        self._known[row.spectrum_id] = None
        if entry.status != "ok":
            log.debug("%s: %s: %s", row.spectrum_id, entry.status, entry.reason)

    @property
    def changes_nothing(self) -> bool:
        """Whether the earlier tar and ledger have exactly these rows."""
        same = len(self._earlier.entries) == len(self._known)
        return same and bool(self._known) and all(self._known.values())

    def in_order(self) -> Iterator[Entry]:
        """One entry a row, by spectrum_id."""
        for name in self._table["spectrum_id"]:
            spectrum_id = name.as_py()
            entry = self._known[spectrum_id] or self._journal.entry(spectrum_id)
            assert entry is not None
            yield entry

    def read(self, spectrum_id: str) -> bytes:
        """The bytes of a spectrum that arrived."""
        origin = self._journal if self._known[spectrum_id] is None else self._earlier
        return origin.read(spectrum_id)


async def _work(
    source: Source, rows: Iterator[Wanted], keep: Callable[[Wanted, Fetched], None]
) -> None:
    for row in rows:  # shared by all workers: each takes the next one
        keep(row, await source.fetch(row))


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _failed_ledger(config: Config, shard: str) -> Path:
    """Where the ledger of a job that had to fail is left for people."""
    return config.paths.ledger(shard).with_name(f"{shard}.failed.parquet")


def _judge(config: Config, shard: str, ledger: pa.Table) -> None:
    """Report what did not arrive; DownloadError where it is too much."""
    counts = Counter(ledger["status"].to_pylist())
    summary = ", ".join(f"{counts[status]} {status}" for status in STATUSES)
    others = ledger.filter(pc.not_equal(ledger["status"], "ok"))
    bad, allowed = counts["failed"] + counts["corrupt"], config.download.max_failed_fraction
    too_many = bad > allowed * len(ledger)
    if too_many or (len(ledger) and not counts["ok"]):
        path = _failed_ledger(config, shard)
        write_parquet(path, ledger)
        why = (
            f"{bad} of {len(ledger)} spectra could not be fetched, more than "
            f"download.max_failed_fraction = {allowed} allows"
            if too_many
            else "no spectrum could be fetched"
        )
        raise DownloadError(
            f"{shard}: {why} ({summary}). First reasons: {_reasons(others)}. All of them: {path}. "
            "What has arrived is kept and will not be fetched again"
        )
    log.info("%s: %s", shard, summary)
    if len(others):
        log.info("%s: %s", shard, _reasons(others))


def _reasons(ledger: pa.Table) -> str:
    """The commonest reasons, each with its count, and in the words of its first spectrum."""
    first: dict[str, str] = {}
    counts: Counter[str] = Counter()
    names = ("status", "reason", "spectrum_id")
    for status, reason, spectrum_id in zip(
        *(ledger[name].to_pylist() for name in names), strict=True
    ):
        # Reasons that differ only in numbers (sizes, identities) are one.
        kind = re.sub(r"\d+", "#", f"{status}: {reason}")
        first.setdefault(kind, f"{status}: {reason} (as {spectrum_id})")
        counts[kind] += 1
    shown = [f"{count} {first[kind]}" for kind, count in counts.most_common(SHOWN_REASONS)]
    rest = len(counts) - len(shown)
    return "; ".join(shown) + (f"; and {rest} more reasons" if rest > 0 else "")
