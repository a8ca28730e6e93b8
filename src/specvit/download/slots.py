"""A bounded number of connections to a host over all jobs of one machine.

Each connection holds a slot: an exclusive flock on one of `connections` files of the host in a
folder shared by all processes of the user. The kernel drops the lock when a process ends, however
it ends, so a killed job leaves nothing behind. A process without any slot says so by a shared lock
on a `waiting` file; whoever holds slots for longer than SLICE_S then gives some up.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import random
import re
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Generic, TypeVar

from specvit.errors import MachineError
from specvit.logs import get_logger

SLICE_S = 2.0  # how long a slot may be kept while other processes wait
POLL_S = 0.05  # how often a free slot is looked for
LOCKS_VARIABLE = "SPECVIT_LOCK_DIR"

log = get_logger(__name__)

T = TypeVar("T")


def lock_dir() -> Path:
    """The folder of lock files that all processes of this user on this machine share.

    `$SPECVIT_LOCK_DIR`, else specvit-<uid> in /tmp: not $TMPDIR, which batch systems set apart for
    each job. Raises MachineError where it belongs to someone else.
    """
    base = Path("/tmp") if os.access("/tmp", os.W_OK) else Path(tempfile.gettempdir())
    folder = Path(os.environ.get(LOCKS_VARIABLE) or base / f"specvit-{os.getuid()}")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise MachineError(f"{folder} belongs to another user: set {LOCKS_VARIABLE} to a folder")
    return folder


def _try_lock(descriptor: int, operation: int) -> bool:
    with suppress(BlockingIOError):
        fcntl.flock(descriptor, operation | fcntl.LOCK_NB)
        return True
    return False


class HostSlots:
    """The slots of one host, as this process sees them."""

    def __init__(self, host: str, connections: int) -> None:
        self._folder = lock_dir() / "connections" / re.sub(r"[^A-Za-z0-9.-]", "_", host)
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._connections = connections
        self._held: set[int] = set()
        self._waiting = os.open(self._folder / "waiting", os.O_RDWR | os.O_CREAT, 0o600)

    def try_acquire(self) -> int | None:
        """A free slot as a file descriptor, None where all are taken."""
        numbers = list(range(self._connections))
        random.shuffle(numbers)
        for number in numbers:
            path = self._folder / f"{number}.lock"
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
            if _try_lock(descriptor, fcntl.LOCK_EX):
                self._held.add(descriptor)
                fcntl.flock(self._waiting, fcntl.LOCK_UN)
                return descriptor
            os.close(descriptor)
        if not self._held:
            _try_lock(self._waiting, fcntl.LOCK_SH)
        return None

    def release(self, slot: int) -> None:
        """Give a slot back."""
        self._held.discard(slot)
        os.close(slot)

    def wanted(self) -> bool:
        """Whether another process has no slot and waits for one."""
        if _try_lock(self._waiting, fcntl.LOCK_EX):
            fcntl.flock(self._waiting, fcntl.LOCK_UN)
            return False
        return True

    def close(self) -> None:
        """Give everything back."""
        for slot in list(self._held):
            self.release(slot)
        os.close(self._waiting)


class Lease(Generic[T]):
    """A connection of some kind together with its slot."""

    def __init__(self, slot: int, connection: T) -> None:
        self.slot, self.connection = slot, connection
        self.since = time.monotonic()


class ConnectionPool(Generic[T]):
    """Connections to one host, opened on demand, one slot each, lent to one request at a time."""

    def __init__(
        self,
        host: str,
        connections: int,
        connect: Callable[[], T],
        disconnect: Callable[[T], Awaitable[None]],
    ) -> None:
        self.host = host
        self._slots = HostSlots(host, connections)
        self._connect, self._disconnect = connect, disconnect
        self._turn = asyncio.Semaphore(connections)
        self._idle: list[Lease[T]] = []
        self._polite_until = 0.0
        self._sharing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> ConnectionPool[T]:
        self._sharing = asyncio.create_task(self._share_now_and_then())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close all connections and give their slots back."""
        if self._sharing is not None:
            self._sharing.cancel()
        await self._drop_idle()
        self._slots.close()

    @asynccontextmanager
    async def lend(self) -> AsyncIterator[T]:
        """An idle connection, or a new one once a slot is free, for one request."""
        async with self._turn:
            lease = self._idle.pop() if self._idle else await self._open()
            try:
                yield lease.connection
            finally:
                self._idle.append(lease)
                if time.monotonic() - lease.since > SLICE_S:
                    await self._share_idle()

    async def _open(self) -> Lease[T]:
        started, told = time.monotonic(), False
        while (slot := self._try_slot()) is None:
            if self._idle:  # another request of this job is done
                return self._idle.pop()
            if not told and time.monotonic() - started > 5 * SLICE_S:
                log.info("%s: other jobs of this machine hold all connections", self.host)
                told = True
            await asyncio.sleep(random.uniform(0.5, 1.5) * POLL_S)
        return Lease(slot, self._connect())

    def _try_slot(self) -> int | None:
        return None if time.monotonic() < self._polite_until else self._slots.try_acquire()

    async def _share_now_and_then(self) -> None:
        # Requests may all be waiting for a retry: their connections are then of use to others.
        while True:
            await asyncio.sleep(SLICE_S)
            await self._share_idle()

    async def _share_idle(self) -> None:
        """Close idle connections where another process has none."""
        if self._idle and self._slots.wanted():
            await self._drop_idle()
            # Others look for a slot now and then only: without a pause we would be first again.
            self._polite_until = time.monotonic() + 4 * POLL_S

    async def _drop_idle(self) -> None:
        while self._idle:
            lease = self._idle.pop()
            try:
                await self._disconnect(lease.connection)
            finally:
                self._slots.release(lease.slot)
