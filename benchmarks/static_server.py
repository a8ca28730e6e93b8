"""A plain HTTP server for benchmarks: a few files under many names, answered after a set latency.

It runs in a process of its own, so that what is measured is the client: `python
benchmarks/static_server.py FOLDER LATENCY` prints its port and serves until it is killed.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def main(folder: Path, latency: float) -> None:
    """Serve the folder's files: a request for .../<n>.fits gets file n modulo their number."""
    bodies = [path.read_bytes() for path in sorted(folder.iterdir())]
    answers = [
        b"HTTP/1.1 200 OK\r\nContent-Type: application/fits\r\nContent-Length: %d\r\n\r\n"
        % len(body)
        + body
        for body in bodies
    ]
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    print(listener.getsockname()[1], flush=True)
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=_serve, args=(connection, answers, latency), daemon=True).start()


def _serve(connection: socket.socket, answers: list[bytes], latency: float) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    request = b""
    with connection:
        while True:
            while b"\r\n\r\n" not in request:
                received = connection.recv(65_536)
                if not received:
                    return
                request += received
            head, _, request = request.partition(b"\r\n\r\n")
            number = int(head.split(b" ", 2)[1].rsplit(b"-", 1)[1].removesuffix(b".fits"))
            if latency:
                time.sleep(latency)
            connection.sendall(answers[number % len(answers)])


@contextmanager
def serving(folder: Path, latency: float) -> Iterator[int]:
    """Run the server in another process; yields its port."""
    command = [sys.executable, __file__, str(folder), str(latency)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline())
        finally:
            process.kill()


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]))
