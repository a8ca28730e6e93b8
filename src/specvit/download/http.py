"""One HTTP host: kept-alive connections, what its answers mean, and guards against its moods."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from netrc import NetrcParseError, netrc
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from yarl import URL

from specvit import __version__
from specvit.config.data import Download
from specvit.download.gate import AgainError, Blame, Gate, GivenUpError
from specvit.download.ledger import CorruptError, NotThereError, RefusedError
from specvit.download.token import with_token
from specvit.errors import DownloadError

USER_AGENT = f"specvit/{__version__} (astronomical spectra for machine learning)"
MAX_REDIRECTS = 5
ERROR_PAGE_BYTES = 2**16  # read, so that the connection can be used again
MIN_BYTES_S = 1000.0  # a slower transfer is cut and tried again
MEMORY_BYTES = 128 * 2**20  # of all bodies that are arriving
FAIR_BYTES = 4 * 2**20  # a body of up to so much is never cut for the sake of the others
READ_BUFFER = 2**20  # fewer pauses of the transport than with aiohttp's 64 kB
AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PHRASES = {status.value: status.phrase for status in HTTPStatus}


def retry_after(value: str | None) -> float | None:
    """Seconds that a Retry-After header asks to wait: a number, or a date (RFC 9110, 10.2.3)."""
    if value is None:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    return max(0.0, (date - datetime.now(UTC)).total_seconds())


def proxy_of(base_url: str) -> str | None:
    """The proxy that the environment sets for a URL (HTTPS_PROXY, NO_PROXY, ...)."""
    # Not aiohttp's trust_env: that also looks for a .netrc at every request, in another thread.
    parts = urlsplit(base_url)
    return None if proxy_bypass(parts.hostname or "") else getproxies().get(parts.scheme)


def login_of(host: str) -> dict[str, str]:
    """The header that logs in to a host by the user's .netrc ($NETRC, ~/.netrc), as curl does."""
    path = Path(os.environ.get("NETRC") or Path.home() / ".netrc")
    try:
        found = netrc(path).authenticators(host)
    except FileNotFoundError:
        return {}
    except (NetrcParseError, OSError, UnicodeDecodeError) as error:
        # Not the error's own text: it may quote the file.
        raise DownloadError(f"{path} cannot be read as a .netrc: {type(error).__name__}") from None
    if found is None:
        return {}
    return {"Authorization": aiohttp.encode_basic_auth(found[0], found[2] or "")}


class Memory:
    """Bytes that all bodies of a host together have in memory."""

    def __init__(self) -> None:
        self.used = 0


class Body:
    """What comes with a status of 200 or 206, and must keep coming."""

    def __init__(self, response: aiohttp.ClientResponse, timeout_s: float, memory: Memory) -> None:
        self.status, self.headers = response.status, response.headers
        self._response, self._timeout_s, self._memory = response, timeout_s, memory
        self.received = 0

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body in pieces. TimeoutError where they come, but slower than MIN_BYTES_S.

        (aiohttp's own time-out sees only pauses between two pieces.)
        """
        clock = asyncio.get_running_loop().time
        since, before = clock(), 0
        async for chunk in self._response.content.iter_any():
            self.received += len(chunk)
            elapsed = clock() - since
            if elapsed > self._timeout_s:
                if self.received - before < elapsed * MIN_BYTES_S:
                    raise TimeoutError
                since, before = clock(), self.received
            yield chunk

    async def read(self, limit: int) -> bytes:
        """The whole body, at most `limit` bytes.

        Raises CorruptError where it is longer, AgainError where others leave too little memory.
        """
        pieces, held = [], 0
        try:
            async for chunk in self.chunks():
                pieces.append(chunk)
                held += len(chunk)
                self._memory.used += len(chunk)
                if held > limit:
                    raise CorruptError(f"longer than {limit} bytes, which no spectrum is")
                if self._memory.used > MEMORY_BYTES and held > FAIR_BYTES:
                    raise AgainError("too much arrives at the same time", Blame.FILE)
            return b"".join(pieces)
        finally:
            self._memory.used -= held


class HttpHost:
    """Requests to the host of one base URL, through its gate and over its connections.

    `hint` ends the reason of a refusal; the token goes into requests and nowhere else.
    """

    def __init__(self, base_url: str, settings: Download, token: str | None, hint: str) -> None:
        parts, self._base_url = urlsplit(base_url), base_url
        self._settings, self._token, self._hint = settings, token, hint
        self._memory = Memory()
        self._origin = URL(base_url).origin()
        self._login = login_of(parts.hostname or "")
        self.gate = Gate(parts.netloc, settings.connections)

    async def __aenter__(self) -> HttpHost:
        wait = self._settings.timeout_s
        # Made once, not for each connection; True (aiohttp's own) where a redirect needs one.
        tls = ssl.create_default_context() if self._base_url.startswith("https:") else True
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._settings.connections, ssl=tls),
            timeout=aiohttp.ClientTimeout(connect=wait, sock_connect=wait, sock_read=wait),
            # Bytes as stored: some servers label .fits.gz as content that is to be unpacked.
            headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity"},
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            read_bufsize=READ_BUFFER,
            proxy=proxy_of(self._base_url),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    @asynccontextmanager
    async def get(self, url: str, headers: dict[str, str] | None = None) -> AsyncIterator[Body]:
        """Send a GET once, following redirects, and yield the body of status 200 or 206.

        Raises AgainError (also for errors while the body is read inside the block), NotThereError
        or RefusedError; no message holds the token.
        """
        body: Body | None = None
        try:
            async with (
                self.gate.turn(),
                asyncio.timeout(3 * self._settings.timeout_s) as clock,
                self._follow(url, headers or {}) as response,
            ):
                clock.reschedule(None)
                body = Body(response, self._settings.timeout_s, self._memory)
                yield body
            self.gate.answered()
        except GivenUpError:
            raise
        except (NotThereError, RefusedError, CorruptError):
            self.gate.answered()
            raise
        except aiohttp.ClientConnectorCertificateError:
            raise RefusedError("cannot connect: the TLS certificate is not trusted") from None
        except (AgainError, aiohttp.ClientError, OSError) as error:  # TimeoutError is an OSError
            again = error if isinstance(error, AgainError) else self._network_error(error, body)
            self.gate.failed(url, again)
            # Not chained: what libraries say of an error may hold the URL with the token.
            raise again from None

    @asynccontextmanager
    async def _follow(
        self, url: str, headers: dict[str, str]
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The response behind the redirects, of status 200 or 206."""
        target = with_token(url, self._token)
        address = URL(target, encoded=True)
        for _ in range(MAX_REDIRECTS + 1):
            login = self._login if address.origin() == self._origin else {}
            async with self._session.get(
                address, headers={**headers, **login}, allow_redirects=False
            ) as response:
                if response.status in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT):
                    yield response
                    return
                await response.content.read(ERROR_PAGE_BYTES)
                if response.status not in REDIRECTS:
                    self._refuse(response)
                address = _redirected(str(address), response.headers.get("Location", ""))
        raise RefusedError(f"more than {MAX_REDIRECTS} redirects")

    def _refuse(self, response: aiohttp.ClientResponse) -> None:
        status = response.status
        reason = f"HTTP {status} {_PHRASES.get(status, '')}".strip()
        if status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
            raise NotThereError(reason)
        if status in AGAIN:
            raise AgainError(
                reason, Blame.UNCLEAR, retry_after(response.headers.get("Retry-After"))
            )
        denied = status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
        raise RefusedError(reason + (self._hint if denied else ""))

    def _network_error(self, error: Exception, body: Body | None) -> AgainError:
        """What a failure below HTTP means. No text of the library: it may hold the URL."""
        if body is not None:
            slow = isinstance(error, TimeoutError)
            what = "no bytes, or too few, in time" if slow else "connection broken"
            length = body.headers.get("Content-Length")
            return AgainError(f"{what} after {body.received} of {length or '?'} bytes", Blame.FILE)
        match error:
            case aiohttp.ClientConnectorError():
                # A redirect may have led to another host.
                here = (error.host, error.port) == (self._origin.host, self._origin.port)
                blame = Blame.HOST if here else Blame.UNCLEAR
                return AgainError(f"cannot connect: {_os_reason(error.os_error)}", blame)
            case aiohttp.ConnectionTimeoutError():
                return AgainError("cannot connect: no answer in time", Blame.UNCLEAR)
            case TimeoutError():
                return AgainError("no answer in time", Blame.UNCLEAR)
            case _:
                return AgainError(f"no answer: {_os_reason(error)}", Blame.UNCLEAR)


def _redirected(url: str, location: str) -> URL:
    """Where a redirect leads; RefusedError for another scheme than HTTP, or from https to http."""
    try:
        target = urljoin(url, location)
        old, new = urlsplit(url).scheme, urlsplit(target).scheme
        address = URL(target, encoded=True)
        # Looked at when it is asked for: half of an IPv6 address, a port beyond 65535, a host that
        # cannot be looked up.
        _ = address.port, (address.host or "").encode("idna")
    except ValueError:
        raise RefusedError("a redirect to what is no address") from None
    if not location or new not in ("http", "https") or (old == "https" and new == "http"):
        raise RefusedError(f"a redirect from {old} to {new if location else 'nowhere'}")
    return address


def _os_reason(error: Any) -> str:
    """The system's own words: asyncio's hold addresses, aiohttp's may hold the URL."""
    if isinstance(error, OSError) and error.errno and not isinstance(error, socket.gaierror):
        return os.strerror(error.errno)
    return getattr(error, "strerror", None) or type(error).__name__
