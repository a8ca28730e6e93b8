"""Servers of shards: an S3 store, and a web server that can be told to fail."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

SECRET = "a-key-that-nothing-may-repeat"
BUCKET = "bucket"


@contextmanager
def s3_server() -> Iterator[str]:
    """A store with one empty bucket, which boto3 of this process and its children talk to."""
    port = free_port()
    # A process of its own: the tests fork, which the threads of a server do not survive.
    command = [sys.executable, "-m", "moto.server", "--host", "127.0.0.1", "--port", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with store_at(port) as url:
            _wait_for(port)
            client().create_bucket(Bucket=BUCKET)
            yield url
    finally:
        server.terminate()
        server.wait()


@contextmanager
def store_at(port: int) -> Iterator[str]:
    """Point boto3 of this process and its children to a store on this machine."""
    url = f"http://127.0.0.1:{port}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", url)
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("AWS_ACCESS_KEY_ID", "tester")
        patch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        yield url


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _wait_for(port: int, timeout_s: float = 60) -> None:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.1)
    raise TimeoutError("the S3 server did not start")


def client() -> Any:
    import boto3

    return boto3.session.Session().client("s3")


class WebServer:
    """Serves a folder; counts what is asked for, cuts off what is told, or answers 503 to all."""

    def __init__(self, folder: Path) -> None:
        self.asked: Counter[str] = Counter()
        self.cut: list[str] = []
        """Names of files that break off in the middle, each as often as it stands here."""
        self.away = False
        serving = partial(_Handler, directory=str(folder))
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), serving)
        self._server.teller = self  # type: ignore[attr-defined]
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> WebServer:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(SimpleHTTPRequestHandler):
    server: Any

    def do_GET(self) -> None:
        teller: WebServer = self.server.teller
        teller.asked[Path(self.path).name] += 1
        if teller.away:
            self.send_error(503)
        else:
            super().do_GET()

    def copyfile(self, source: Any, outputfile: Any) -> None:
        teller: WebServer = self.server.teller
        data, name = source.read(), Path(self.path).name
        if name in teller.cut:
            teller.cut.remove(name)
            data = data[: len(data) // 2]
        outputfile.write(data)

    def log_message(self, *_: object) -> None:
        pass
