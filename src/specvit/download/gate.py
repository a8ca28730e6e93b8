"""When a whole host is away: hold every request until it answers again, or give up on it.

A server that goes away for a minute must not use up the attempts of the spectra that happened to
be next. So failures in a row mark the host as down; then one request at a time asks whether it is
back, and what it finds is not counted against its spectrum.
"""

from __future__ import annotations

import asyncio
import random
import time
from enum import Enum

from specvit.config.data import Download
from specvit.download.ledger import RefusedError
from specvit.logs import get_logger

PROBE_MAX_S = 30.0  # longest pause between two questions whether a host is back
USELESS = 20  # answers in vain before anything was delivered: the rest would be in vain too

log = get_logger(__name__)


class Blame(Enum):
    """How sure a failed request is the host's fault."""

    HOST = "host"  # no connection at all
    UNCLEAR = "unclear"  # 5xx, 429, cut off before an answer: the host's if others fail too
    FILE = "file"  # the host answered well, but this file did not come whole


# Failures in a row, and failing spectra, that make it the host's fault and not the file's.
FAILURES = {Blame.HOST: (2, 1), Blame.UNCLEAR: (4, 3)}


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
    """The door to one host, through which every request passes."""

    def __init__(self, host: str, settings: Download) -> None:
        self.host = host
        self._settings = settings
        self._failures = 0
        self._failing: set[str] = set()
        self._useless, self._delivered = 0, False
        self._down_since: float | None = None
        self._probes, self._probing = 0, False
        self._closed_until = 0.0
        self._given_up: str | None = None
        self._changed = asyncio.Event()

    @property
    def down(self) -> bool:
        """Whether the host counts as away."""
        return self._down_since is not None

    async def enter(self) -> bool:
        """Wait until a request may be sent; True if it asks whether the host is back.

        Raises GivenUpError once the host is given up.
        """
        while True:
            if self._given_up:
                raise GivenUpError(self._given_up)
            pause = self._closed_until - time.monotonic()
            if pause > 0:
                await asyncio.sleep(pause)
            elif not self.down:
                return False
            elif not self._probing:
                self._probing = True
                return True
            else:
                self._changed.clear()
                await self._changed.wait()

    @property
    def is_open(self) -> bool:
        """Whether requests may be sent as they come."""
        return not (self._given_up or self.down or time.monotonic() < self._closed_until)

    def leave(self, probe: bool) -> None:
        """A request that was let in has ended, whatever came of it."""
        if probe:
            self._probing = False
            self._changed.set()

    def answered(self) -> None:
        """The host answered with something of its own."""
        self._failures = 0
        self._failing.clear()
        if self._down_since is not None:
            log.info("%s: back after %.0f s", self.host, time.monotonic() - self._down_since)
            self._down_since = None
            self._changed.set()

    def failed(self, url: str, error: AgainError, probe: bool) -> None:
        """A request failed, perhaps because of the host."""
        if error.blame is Blame.FILE:
            return self.answered()
        if error.after is not None:
            self._closed_until = max(self._closed_until, time.monotonic() + error.after)
            if error.after > self._settings.outage_s:
                self._give_up(f"{error}: asks to come back in {error.after:.0f} s")
        self._failures += 1
        self._failing.add(url)
        failures, spectra = FAILURES[error.blame]
        if not self.down and self._failures >= failures and len(self._failing) >= spectra:
            log.info(
                "%s: seems to be down (%s), waiting for it up to %.0f s (download.outage_s)",
                *(self.host, error, self._settings.outage_s),
            )
            self._down_since, self._probes, probe = time.monotonic(), 0, True
        if probe and self._down_since is not None:
            self._pause(time.monotonic() - self._down_since, error)
        return None

    def _pause(self, away: float, error: AgainError) -> None:
        """Wait before asking again whether the host is back, up to twice as long as before."""
        if away > self._settings.outage_s:
            self._give_up(f"{error}, and so for {away:.0f} s for all requests")
        self._probes += 1
        longest = min(PROBE_MAX_S, self._settings.backoff_s * 2.0**self._probes)
        pause = random.uniform(0.5, 1) * longest
        self._closed_until = max(self._closed_until, time.monotonic() + pause)

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
        self._closed_until = 0.0
        self._changed.set()
