"""Where spectra come from: an HTTP server, a folder, or the simulated sky."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Protocol

from specvit.config.data import Download
from specvit.config.surveys import Simulated
from specvit.download.check import check_spectrum
from specvit.download.disk import disk_full_says
from specvit.download.files import Part, Sent, bring, find_file
from specvit.download.gate import AgainError, GivenUpError
from specvit.download.http import HttpHost
from specvit.download.ledger import (
    CorruptError,
    Fetched,
    NotThereError,
    RefusedError,
    Status,
    Wanted,
)
from specvit.download.token import message_without, survey_token, token_hint, without_token
from specvit.errors import SpectrumError
from specvit.io import as_text, from_text, stable_hash
from specvit.paths import folder_of
from specvit.registry import survey_named
from specvit.surveys.read import MAX_BYTES, read_bytes

# In flight for each connection: while some wait for their next try, others use the connections.
ROWS_A_CONNECTION = 8
MOST_SHARED = 4 * 2**30  # bytes of a file of many spectra; DESI's biggest coadds have some 1e9


class Source(Protocol):
    """One base URL."""

    rows_in_flight: int
    """How many spectra may be asked for at the same time."""
    remembers_missing: bool
    """Whether an answer that a spectrum is missing holds for later jobs too."""

    def url(self, path: str) -> str:
        """The address of a path, as the ledger records it."""
        ...

    def paths(self, row: Wanted) -> list[str]:
        """Where the spectrum may be, in the order in which to try."""
        ...

    async def fetch(self, row: Wanted) -> Fetched:
        """Bring back a checked spectrum, or the reason why there is none."""
        ...

    async def bring(self, path: str, survey: str, place: Path) -> Path | Fetched:
        """A file that rows share, at `place` or in place; or why there is none."""
        ...

    async def __aenter__(self) -> Source: ...

    async def __aexit__(self, *error: object) -> None: ...


def open_source(base_url: str, survey: str, settings: Download, simulated: Simulated) -> Source:
    """The source behind a base URL of the configuration."""
    if base_url == "simulated:":
        return SimulatedSource(simulated)
    if base_url.startswith("file:"):
        return FolderSource(base_url)
    return HttpSource(base_url, survey, settings)


class HttpSource:
    """A survey's server or a mirror of it."""

    remembers_missing = True

    def __init__(self, base_url: str, survey: str, settings: Download) -> None:
        self._base_url, self._settings = base_url, settings
        self._token = survey_token(survey)
        self._host = HttpHost(base_url, settings, self._token, token_hint(survey))
        self.rows_in_flight = settings.connections * ROWS_A_CONNECTION

    def url(self, path: str) -> str:
        """See Source."""
        return self._base_url + path

    def paths(self, row: Wanted) -> list[str]:
        """See Source."""
        return survey_named(row.survey).locations(row)

    async def __aenter__(self) -> HttpSource:
        await self._host.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._host.__aexit__(*error)

    async def fetch(self, row: Wanted) -> Fetched:
        """Try the row's path, and its alternatives where the server says that it has no such file.

        See Source.
        """
        sent, absent = Sent(), ""
        for path in self.paths(row):
            try:
                data = await self._ask(row, self.url(path), sent)
            except NotThereError as error:
                absent = absent or str(error)
            except (AgainError, RefusedError) as error:
                return self._without(row.path, "failed", error, sent)
            except CorruptError as error:
                return self._without(row.path, "corrupt", error, sent)
            else:
                self._host.gate.delivered()
                return Fetched(self.url(path), "ok", sent.requests, data)
        return self._without(row.path, "missing", NotThereError(absent), sent)

    async def bring(self, path: str, survey: str, place: Path) -> Path | Fetched:
        """See Source. Goes on where an earlier job left off."""
        enough = survey_named(survey).is_enough
        with Part(place, self.url(path), enough) as part:
            try:
                await bring(self._host, part, self._settings.attempts, MOST_SHARED)
            except NotThereError as error:
                return self._without(path, "missing", error, part.sent)
            except (AgainError, RefusedError) as error:
                return self._without(path, "failed", error, part.sent)
            except CorruptError as error:
                return self._without(path, "corrupt", error, part.sent)
        self._host.gate.delivered()
        return place

    def _without(self, path: str, status: Status, error: Exception, sent: Sent) -> Fetched:
        reason = without_token(str(error), self._token)
        if isinstance(error, CorruptError | RefusedError):
            self._host.gate.useless(reason)
        return Fetched(self.url(path), status, sent.requests, reason=reason)

    async def _ask(self, row: Wanted, url: str, sent: Sent) -> bytes:
        """Ask until the spectrum is there or its attempts are used up."""

        async def once() -> bytes:
            sent.requests += 1
            try:
                async with self._host.get(url) as body:
                    data = await body.read(MAX_BYTES)
            except GivenUpError:
                sent.requests -= 1
                raise
            # Before anything is cut from it: half a token is told, but not found.
            check_spectrum(message_without(data, self._token), row.survey, row.identity)
            return data

        return await self._host.gate.persist(self._settings.attempts, once)


class FolderSource:
    """A folder with the survey's own layout (a mirror), each file plain or gzipped."""

    rows_in_flight = 4  # a network file system answers several questions at once
    remembers_missing = False

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url
        self._root = folder_of(base_url)

    def url(self, path: str) -> str:
        """See Source."""
        return self._base_url + path

    def paths(self, row: Wanted) -> list[str]:
        """See Source. Each name may also stand with or without .gz ."""
        survey = survey_named(row.survey)
        return [*survey.locations(row), *survey.in_mirror(row)]

    async def __aenter__(self) -> FolderSource:
        return self

    async def __aexit__(self, *error: object) -> None:
        pass

    async def fetch(self, row: Wanted) -> Fetched:
        """See Source."""
        return await asyncio.to_thread(self._read, row)

    def _read(self, row: Wanted) -> Fetched:
        attempts = 0
        for path in self.paths(row):
            file = find_file(self._root, path)
            if file is None:
                continue
            attempts += 1
            url = self._base_url + as_text(file.relative_to(self._root).as_posix())
            try:
                data = read_bytes(file)
                check_spectrum(data, row.survey, row.identity)
            except SpectrumError as error:
                return Fetched(url, "failed", attempts, reason=str(error))
            except CorruptError as error:
                return Fetched(url, "corrupt", attempts, reason=str(error))
            except (NotThereError, RefusedError) as error:
                return Fetched(url, "missing", attempts, reason=str(error))
            return Fetched(url, "ok", attempts, data)
        return Fetched(self.url(row.path), "missing", attempts, reason="no such file")

    async def bring(self, path: str, survey: str, place: Path) -> Path | Fetched:
        """See Source. Read in place, so a network file system gives no more than what is cut."""
        if (file := from_text(path, self._root)).is_file():
            return file
        return Fetched(self.url(path), "missing", 0, reason="no such file")


class SimulatedSource:
    """The simulated sky, which answers like the surveys' servers."""

    rows_in_flight = 1
    remembers_missing = False

    def __init__(self, settings: Simulated) -> None:
        # Imported here: real runs never need it.
        from specvit.surveys.simulated import SimulatedSky

        self._sky = SimulatedSky(settings)
        self._settings = stable_hash(settings.model_dump(mode="json"))

    def url(self, path: str) -> str:
        """See Source. Names the sky's settings: the same path of another sky is another file."""
        return f"simulated:{path}#sky={self._settings}"

    def paths(self, row: Wanted) -> list[str]:
        """See Source."""
        return survey_named(row.survey).locations(row)

    async def __aenter__(self) -> SimulatedSource:
        return self

    async def __aexit__(self, *error: object) -> None:
        pass

    async def fetch(self, row: Wanted) -> Fetched:
        """See Source."""
        reason, attempts = "", 0
        for path in self.paths(row):
            attempts += 1
            url = self.url(path)
            try:
                data = self._sky.read(path)  # arithmetic: a thread would only wait for its turn
                check_spectrum(data, row.survey, row.identity)
            except FileNotFoundError:
                reason = reason or "HTTP 404 Not Found"
            except NotThereError as error:
                reason = reason or str(error)
            except (CorruptError, RefusedError) as error:
                return Fetched(url, "corrupt", attempts, reason=str(error))
            else:
                return Fetched(url, "ok", attempts, data)
        return Fetched(self.url(row.path), "missing", attempts, reason=reason)

    async def bring(self, path: str, survey: str, place: Path) -> Path | Fetched:
        """See Source."""
        try:
            data = self._sky.read(path)
        except FileNotFoundError:
            return Fetched(self.url(path), "missing", 1, reason="HTTP 404 Not Found")
        with disk_full_says(place.parent, "the spectra before it are kept"):
            place.write_bytes(data)
        return place
