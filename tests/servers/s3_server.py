"""An S3 store on this machine, in place of a disk."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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


def _wait_for(port: int, timeout_s: float = 600) -> None:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.1)
    raise TimeoutError("the S3 server did not start")


def client() -> Any:
    import boto3

    return boto3.session.Session().client("s3")
