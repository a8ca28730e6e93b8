"""A local HTTP server with the surveys' URL layout, which misbehaves as it is told.

It runs in a thread of the test, on 127.0.0.1, and counts what it is asked.

    with SurveyServer(files) as server:
        server.fail("dr17/.../spec.fits", status(503), broken_body())  # the next two requests
        ... server.base_url, server.count(path) ...
"""

from __future__ import annotations

import asyncio
import ssl
import threading
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Reply:
    """What the server sends: by default the file, whole and at once."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    length: int | None = None
    """Content-Length, where it is not that of the body."""
    bytes_s: float | None = None
    """Drip: one byte at a time, so many a second."""
    wait_s: float = 0.0
    """Before the first byte."""
    endless: bool = False
    """The body again and again, with no Content-Length, until nobody listens."""
    reset: bool = False
    """Close the connection instead of (or after) what is to be sent."""


Fault = Callable[[bytes], Reply]


def status(code: int, **headers: str) -> Fault:
    """An error page; `Retry_After="2"` becomes the header Retry-After."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda _: Reply(code, named, b"<html><title>an error</title></html>")


def redirect(location: str) -> Fault:
    """302 to another place."""
    return lambda _: Reply(302, {"Location": location})


def web_page(title: str = "Down for maintenance") -> Fault:
    """A page with status 200 under the name of a file."""
    body = f"<!DOCTYPE html>\n<html><head><title>{title}</title></head></html>".encode()
    return lambda _: Reply(200, {"Content-Type": "text/html"}, body)


def message(body: bytes = b'{"code": 404, "message": "the spectrum does not exist"}') -> Fault:
    """JSON with status 200, as LAMOST answers for a spectrum that it does not have."""
    return lambda _: Reply(200, {"Content-Type": "application/json"}, body)


def other_file(data: bytes) -> Fault:
    """Another file under this name."""
    return lambda _: Reply(body=data)


def cut_file(fraction: float = 0.6) -> Fault:
    """The first part of the file as if it were all of it."""
    return lambda data: Reply(body=data[: int(len(data) * fraction)])


def broken_body(fraction: float = 0.5) -> Fault:
    """The connection breaks in the middle of the body."""
    return lambda data: Reply(body=data[: int(len(data) * fraction)], length=len(data), reset=True)


def no_answer() -> Fault:
    """The connection is closed without a byte."""
    return lambda _: Reply(reset=True, status=0)


def silence(seconds: float) -> Fault:
    """Nothing for a while, then the file."""
    return lambda data: Reply(body=data, wait_s=seconds)


def drip(bytes_s: float) -> Fault:
    """The file, byte by byte: always just fast enough for a time-out between two bytes."""
    return lambda data: Reply(body=data, bytes_s=bytes_s)


@dataclass(frozen=True)
class Request:
    """One request as it came in."""

    path: str
    query: str
    headers: Mapping[str, str]
    time: float


class SurveyServer:
    """Serves `files` (path without leading slash -> bytes) until told otherwise."""

    def __init__(
        self,
        files: Mapping[str, bytes],
        latency: float = 0.0,
        ranges: bool = True,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.files = files
        self.latency = latency
        self.ranges = ranges
        self.tls = tls
        self.etag = '"1"'
        self.token: str | None = None
        """If set, requests without `?token=` of this value are refused with 403."""
        self.requests: list[Request] = []
        self.connections = 0
        """Connections made so far."""
        self.peak_connections = 0
        self._counts: Counter[str] = Counter()
        self._faults: defaultdict[str, deque[Fault]] = defaultdict(deque)
        self._always: dict[str, Fault] = {}
        self._burst: tuple[float, Fault] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._server: asyncio.Server | None = None
        self.port = 0

    # what tests tell it

    def fail(self, path: str, *faults: Fault) -> None:
        """The next requests for this path get these replies, in this order."""
        self._faults[path].extend(faults)

    def always(self, path: str, fault: Fault | None) -> None:
        """Every request for this path gets this reply; None: the file again."""
        if fault is None:
            self._always.pop(path, None)
        else:
            self._always[path] = fault

    def burst(self, seconds: float, fault: Fault) -> None:
        """Every request gets this reply for a while."""
        self._burst = (time.monotonic() + seconds, fault)

    def go_away(self) -> None:
        """Close all connections and refuse new ones."""
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result()

    def come_back(self) -> None:
        """Listen again on the same port."""
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result()

    # what tests ask it

    @property
    def base_url(self) -> str:
        """Its address, with a slash at the end."""
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}/"

    def count(self, path: str) -> int:
        """How many requests came for a path."""
        return self._counts[path]

    @property
    def counts(self) -> Counter[str]:
        """How many requests came for each path."""
        return self._counts

    # how it works

    def __enter__(self) -> SurveyServer:
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.come_back()
        return self

    def __exit__(self, *_: object) -> None:
        self.go_away()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _start(self) -> None:
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", self.port, limit=2**20, backlog=256, ssl=self.tls
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def _stop(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        self.peak_connections = max(self.peak_connections, len(self._tasks))
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                target, lines = head[0].split(" ")[1], [line for line in head[1:] if line]
                path, _, query = target.lstrip("/").partition("?")
                headers = {
                    name.lower(): value.strip()
                    for name, _, value in (line.partition(":") for line in lines)
                }
                self._counts[path] += 1
                self.requests.append(Request(path, query, headers, time.monotonic()))
                if not await self._send(writer, self._reply(path, query, headers)):
                    return
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            pass
        finally:
            writer.transport.abort()
            self._tasks.discard(task)

    def _reply(self, path: str, query: str, headers: Mapping[str, str]) -> Reply:
        # LAMOST's catalogue has its name in the query.
        named = "&".join(part for part in query.split("&") if part and "token=" not in part)
        data = self.files.get(f"{path}?{named}" if named else path)
        fault = self._always.get(path)
        if self._faults[path]:
            fault = self._faults[path].popleft()
        if self._burst and time.monotonic() < self._burst[0]:
            fault = self._burst[1]
        if fault is not None:
            return fault(data or b"")
        if self.token is not None and f"token={self.token}" not in query.split("&"):
            return status(403)(b"")
        if data is None:
            return status(404)(b"")
        start = headers.get("range", "").removeprefix("bytes=").removesuffix("-")
        if self.ranges and start and headers.get("if-range", self.etag) == self.etag:
            at = f"bytes {start}-{len(data) - 1}/{len(data)}"
            if int(start) >= len(data):
                return Reply(416, {"Content-Range": f"bytes */{len(data)}"})
            return Reply(206, {"Content-Range": at, "ETag": self.etag}, data[int(start) :])
        return Reply(200, {"ETag": self.etag, "Content-Type": "application/fits"}, data)

    async def _send(self, writer: asyncio.StreamWriter, reply: Reply) -> bool:
        if wait := self.latency + reply.wait_s:
            await asyncio.sleep(wait)
        if reply.status:
            length = len(reply.body) if reply.length is None else reply.length
            lines = [f"HTTP/1.1 {reply.status} Reason"]
            lines += [] if reply.endless else [f"Content-Length: {length}"]
            lines += [f"{name}: {value}" for name, value in reply.headers.items()]
            writer.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
        if reply.bytes_s is None:
            writer.write(reply.body)
        else:
            for position in range(len(reply.body)):
                writer.write(reply.body[position : position + 1])
                await writer.drain()
                await asyncio.sleep(1 / reply.bytes_s)
        await writer.drain()
        while reply.endless and not writer.is_closing():
            writer.write(reply.body)
            await writer.drain()
        if reply.reset:
            writer.close()
            return False
        return True
