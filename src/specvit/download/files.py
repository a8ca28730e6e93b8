"""One big file, the survey's catalogue: resumed where it broke off, whole or absent at the end."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

from specvit.config.data import Download
from specvit.config.surveys import Simulated
from specvit.download.disk import disk_full_says, write_at
from specvit.download.gate import AgainError, Blame, short_pause
from specvit.download.http import Body, HttpHost
from specvit.download.ledger import CorruptError, NotThereError, RefusedError
from specvit.download.token import without_token
from specvit.errors import DataError, DownloadError
from specvit.io import atomic_open, from_text, read_json, write_json
from specvit.logs import get_logger, progress
from specvit.paths import folder_of

MB = 1_000_000
SHOWN = 80  # bytes that tell a table, and that a reason repeats

log = get_logger(__name__)


def fetch_file(
    base_url: str,
    path: str,
    destination: Path,
    download: Download,
    simulated: Simulated,
    token: str | None = None,
) -> Path:
    """Fetch one file of a survey and return where it is.

    From a server: to `destination`, unless it is there already; a transfer that broke off, also by
    kill -9, is resumed with a range request if the file on the server is still the same. From a
    folder (file:): the file in place, gzipped or not. Simulated: made anew at `destination`. Raises
    DownloadError, or MachineError where the disk is full; then what has arrived is kept.
    """
    if base_url == "simulated:":
        return _simulate(path, destination, simulated)
    if base_url.startswith("file:"):
        found = find_file(folder_of(base_url), path)
        if found is None:
            raise DownloadError(f"{folder_of(base_url) / path} does not exist")
        return found
    if destination.exists():
        with destination.open("rb") as file:
            wrong = not_a_table(destination.name, file.read(SHOWN))
        if wrong:
            raise DownloadError(f"{destination} is {wrong}: remove it, to fetch it again")
        log.info("%s is there already", destination)
        return destination
    with Part(destination, base_url + path) as part:
        if not destination.exists():  # another job may have fetched it meanwhile
            asyncio.run(_fetch(base_url, part, download, token))
    return destination


def _simulate(path: str, destination: Path, simulated: Simulated) -> Path:
    from specvit.surveys.simulated import SimulatedSky

    try:
        data = SimulatedSky(simulated).read(path)
    except FileNotFoundError as error:
        raise DownloadError(f"the simulated sky has no {path}") from error
    with atomic_open(destination) as handle:
        handle.write(data)
    return destination


@dataclass
class Sent:
    """Requests sent for one spectrum or file."""

    requests: int = 0


class Part:
    """The file as far as it has arrived, `.<name>.part`, and what the server said of it."""

    def __init__(
        self, destination: Path, url: str, enough: Callable[[Path], bool] = lambda _: False
    ) -> None:
        self.destination, self.url, self._enough = destination, url, enough
        self.sent = Sent()
        self.path = destination.with_name(f".{destination.name}.part")
        self._notes = self.path.with_name(f"{self.path.name}.json")

    def __enter__(self) -> Part:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        # Waits for another job that is fetching the same file.
        fcntl.flock(self._file, fcntl.LOCK_EX)
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._file)
        if self.destination.exists():
            self.path.unlink(missing_ok=True)
            self._notes.unlink(missing_ok=True)

    @property
    def size(self) -> int:
        """Bytes that have arrived."""
        return os.fstat(self._file).st_size

    @property
    def notes(self) -> dict[str, Any]:
        """Validator and length of the file that the part is of; empty if of another or none."""
        try:
            notes = read_json(self._notes)
        except DataError:
            return {}
        return notes if isinstance(notes, dict) and notes.get("url") == self.url else {}

    def start(self, at: int, body: Body) -> int | None:
        """Cut the part off at `at` and note what is coming; returns its whole length if known."""
        os.ftruncate(self._file, at)
        length = body.headers.get("Content-Length")
        total = at + int(length) if length is not None else None
        etag = body.headers.get("ETag", "")
        # A weak ETag does not promise equal bytes, so it cannot join two halves (RFC 9110, 13.1.5).
        validator = etag if etag.startswith('"') else body.headers.get("Last-Modified")
        write_json(self._notes, {"url": self.url, "validator": validator, "length": total})
        return total

    def append(self, chunk: bytes) -> None:
        """Write what has arrived. Raises MachineError where the disk is full."""
        kept = f"{self.size / MB:.0f} MB of {self.destination.name} are kept"
        with disk_full_says(self.path.parent, kept):
            write_at(self._file, self.size, chunk)

    def check(self) -> None:
        """Refuse what servers send in place of a table. Raises CorruptError, and keeps nothing."""
        if found := not_a_table(self.destination.name, os.pread(self._file, SHOWN, 0)):
            os.ftruncate(self._file, 0)
            raise CorruptError(found)

    @property
    def is_enough(self) -> bool:
        """Whether what is still missing of the file is not needed."""
        return self._enough(self.path)

    def finish(self) -> None:
        """Give the whole file its name."""
        os.fsync(self._file)
        self.path.replace(self.destination)


async def _fetch(base_url: str, part: Part, settings: Download, token: str | None) -> None:
    hint = "" if token is None else "; the token was not accepted"
    try:
        async with HttpHost(base_url, settings, token, hint) as host:
            await bring(host, part, settings.attempts)
    except (AgainError, CorruptError, NotThereError, RefusedError) as error:
        reason = without_token(str(error), token)
        raise DownloadError(
            f"{part.url}: {reason}. It may also be fetched by other means and put at "
            f"{part.destination}"
        ) from None


async def bring(host: HttpHost, part: Part, attempts: int, most: int | None = None) -> None:
    """Fetch what is missing of a file, and give it its name.

    Raises what HttpHost.get does; CorruptError where it is no table, RefusedError where it is
    longer than `most` bytes.
    """

    async def go_on() -> None:
        before = part.size
        while True:
            try:
                return await _continue(host, part, most)
            except (AgainError, CorruptError):
                # Gigabytes take many connections: only those that bring nothing count.
                if part.size <= before:
                    raise
                before = part.size
                await short_pause()

    await host.gate.persist(attempts, go_on)
    part.finish()


async def _continue(host: HttpHost, part: Part, most: int | None) -> None:
    """One request for what is still missing."""
    notes, size = part.notes, part.size
    if size and (notes.get("length") == size or (notes and part.is_enough)):
        return  # killed between the last byte and the renaming
    headers = {}
    if size and notes.get("validator"):
        headers = {"Range": f"bytes={size}-", "If-Range": notes["validator"]}
    part.sent.requests += 1
    async with host.get(part.url, headers) as body:
        continues = body.status == HTTPStatus.PARTIAL_CONTENT and headers
        if continues and not body.headers.get("Content-Range", "").startswith(f"bytes {size}-"):
            raise AgainError("the server sent another range than asked for", Blame.FILE)
        total = part.start(size if continues else 0, body)
        with _progress(part.destination.name, total, part.size) as advance:
            async for chunk in body.chunks():
                part.append(chunk)
                if most is not None and part.size > most:
                    raise RefusedError(f"longer than {most} bytes, which no such file is")
                if part.size - len(chunk) < SHOWN <= part.size:
                    part.check()
                advance(len(chunk))
                if part.is_enough:
                    return
    if total is not None and part.size != total:
        raise AgainError(f"{part.size} of {total} bytes arrived", Blame.FILE)
    if part.size == 0:
        raise CorruptError("empty file")
    part.check()


def find_file(root: Path, path: str) -> Path | None:
    """The file at `path` below `root`, gzipped or not whatever the path says; None if absent."""
    other = path.removesuffix(".gz") if path.endswith(".gz") else path + ".gz"
    for name in (path, other):
        if (file := from_text(name, root)).is_file():
            return file
    return None


def not_a_table(name: str, start: bytes) -> str | None:
    """What a file of this name is, by its first bytes, if it is no table; else None.

    Servers answer with pages and messages. Compressed or not is all one, whatever the name says.
    """
    ending = name.lower().removesuffix(".gz")
    if start.startswith((b"\x1f\x8b", b"SIMPLE  =")):
        return None
    if ending.endswith((".fits", ".fit")) or start.lstrip()[:1] in (b"<", b"{", b"["):
        return f"not a table: starts with {' '.join(start.decode('utf-8', 'replace').split())}"
    return None


@contextmanager
def _progress(name: str, total: int | None, already: int) -> Iterator[Any]:
    """Progress in MB, fed with bytes."""
    left = None if total is None else -(-(total - already) // MB)
    with progress(name, left, "MB") as tick:
        counted = 0

        def advance(size: int) -> None:
            nonlocal counted
            counted += size
            tick.advance(counted // MB - tick.done)

        yield advance
