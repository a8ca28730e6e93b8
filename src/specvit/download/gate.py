"""When to ask a host again: retries, Retry-After, and a host that is away.

A server that goes away for a minute must not use up the attempts of the spectra that happened to
be next. So failures of several spectra in a row mark the host as away; then one request at a time
asks whether it is back, and what it finds is not counted against its spectrum.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from enum import Enum
from typing import TypeVar

from tenacity import (
    AsyncRetrying,
    retry_if_exception_type,
    stop_after_attempt,
    wait_random_exponential,
)

from specvit.download.ledger import CorruptError, RefusedError
from specvit.logs import get_logger

BACKOFF_S = 1.0  # longest pause before the second try; doubled for each further one
BACKOFF_MAX_S = 60.0
ASK_MAX_S = 30.0  # longest pause between two questions whether a host is back
OUTAGE_S = 600.0  # a host may be away, or ask to wait, for so long before it is given up
USELESS = 20  # answers in vain before anything was delivered: the rest would be in vain too

log = get_logger(__name__)

T = TypeVar("T")


class Blame(Enum):
    """How sure a failed request is the host's fault."""

    HOST = "host"  # no connection at all
    UNCLEAR = "unclear"  # 5xx, 429, cut off before an answer: the host's if others fail too
    FILE = "file"  # the host answered well, but this file did not come whole


# So many spectra must fail, none answered between them, before the host counts as away.
FAILING = {Blame.HOST: 1, Blame.UNCLEAR: 3}


class AgainError(Exception):
    """A request failed in a way that may pass; the message is the reason.

    `after`: how many seconds the host asked to wait.
    """

    def __init__(self, reason: str, blame: Blame, after: float | None = None) -> None:
        super().__init__(reason)
        self.blame, self.after = blame, after


class GivenUpError(RefusedError):
    """No request was sent: the host has been given up."""


class Gate:
    """The door to one host: lets so many requests in at a time, one while the host is away."""

    def __init__(self, host: str, connections: int) -> None:
        self.host = host
        self._turns, self._asking = asyncio.Semaphore(connections), asyncio.Lock()
        self._failing: set[str] = set()
        self._away_since: float | None = None
        self._closed_until = 0.0
        self._useless, self._delivered = 0, False
        self._given_up: str | None = None

    @property
    def away(self) -> bool:
        """Whether the host counts as away."""
        return self._away_since is not None

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait until a request may be sent. Raises GivenUpError once the host is given up."""
        async with self._turns, AsyncExitStack() as stack:
            if not self._is_open():
                await stack.enter_async_context(self._asking)
                await self._wait()
                if not self.away:  # back meanwhile: the others may go too
                    await stack.aclose()
            yield

    def _is_open(self) -> bool:
        return not (self._given_up or self.away or time.monotonic() < self._closed_until)

    async def _wait(self) -> None:
        """Wait as long as the host asked for, or until it is worth asking whether it is back."""
        while not self._given_up and (pause := self._closed_until - time.monotonic()) > 0:
            await asyncio.sleep(min(pause, ASK_MAX_S))
        if self._given_up:
            raise GivenUpError(self._given_up)

    def answered(self) -> None:
        """The host answered with something of its own."""
        self._failing.clear()
        if self._away_since is not None:
            log.info("%s: back after %.0f s", self.host, time.monotonic() - self._away_since)
            self._away_since = None

    def failed(self, url: str, error: AgainError) -> None:
        """A request failed, perhaps because of the host."""
        if error.blame is Blame.FILE:
            return self.answered()
        now, pause = time.monotonic(), error.after or 0.0
        if pause > OUTAGE_S:
            self._give_up(f"{error}: asks to come back in {pause:.0f} s")
        self._failing.add(url)
        if not self.away and len(self._failing) >= FAILING[error.blame]:
            log.info(
                "%s: seems to be away (%s), waiting for it up to %.0f s", self.host, error, OUTAGE_S
            )
            self._away_since = now
        if self._away_since is not None:
            away = now - self._away_since
            if away > OUTAGE_S:
                self._give_up(f"{error}, and so for {away:.0f} s for all requests")
            # Up to as long again as it has been away: fewer and fewer questions.
            pause = max(pause, random.uniform(0.5, 1) * min(ASK_MAX_S, max(BACKOFF_S, away)))
        self._closed_until = max(self._closed_until, now + pause)
        return None

    async def persist(self, attempts: int, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask up to so often; what only finds the host away is no attempt."""

        async def attempt() -> T:
            while True:
                try:
                    return await ask()
                except AgainError:
                    if not self.away:
                        raise

        return await insist(attempts, attempt)

    def delivered(self) -> None:
        """A spectrum arrived from this host."""
        self._delivered = True

    def useless(self, reason: str) -> None:
        """A spectrum is refused, or not what arrives; give up where nothing else ever came."""
        self._useless += 1
        if self._useless >= USELESS and not self._delivered:
            self._give_up(f"{reason} for each of the first {self._useless} spectra")

    def _give_up(self, reason: str) -> None:
        if self._given_up is None:
            self._given_up = f"{reason} (no more requests were sent to {self.host})"
            log.warning("%s: given up: %s", self.host, reason)


async def insist(attempts: int, ask: Callable[[], Awaitable[T]]) -> T:
    """Ask up to so often, with pauses drawn at random below a limit that doubles each time.

    At random, so that requests that failed together do not come back together.
    """
    try:
        # The machinery of retries costs a tenth of a request: most spectra never need it.
        return await ask()
    except (AgainError, CorruptError):
        if attempts == 1:
            raise
    await short_pause()
    again = AsyncRetrying(
        retry=retry_if_exception_type((AgainError, CorruptError)),
        stop=stop_after_attempt(attempts - 1),
        wait=wait_random_exponential(multiplier=2 * BACKOFF_S, max=BACKOFF_MAX_S),
        reraise=True,
    )
    return await again(ask)


async def short_pause() -> None:
    """Wait before asking for what broke off half way."""
    await asyncio.sleep(random.uniform(0, BACKOFF_S))
