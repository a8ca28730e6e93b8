"""Spectra by address, from a server on this machine."""

from __future__ import annotations

import socket
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import specvit
from spectrum_files import galaxy_flux, sdss_file
from specvit.errors import SpectrumError
from specvit.predict import fetch as fetching

DATA = sdss_file(galaxy_flux())
PAGE = b"<!DOCTYPE html><html><body>sign in</body></html>"


class Server(ThreadingHTTPServer):
    """Counts what is asked for; /busy has time at the third request."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: Counter[str] = Counter()

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.asked[self.path] += 1
        busy = self.server.asked[self.path] < 3
        answers = {
            "/good.fits": (200, DATA),
            "/page.fits": (200, PAGE),
            "/busy.fits": (503, b"") if busy else (200, DATA),
            "/down.fits": (500, b""),
            "/moved.fits": (302, b""),
        }
        status, body = answers.get(self.path, (404, b""))
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        if status == 503:
            self.send_header("Retry-After", "1000")
        if status == 302:
            self.send_header("Location", "/good.fits")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(fetching, "LONGEST_WAIT_S", 0.01)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Server() as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield http
        http.shutdown()


def test_addresses_are_rows_in_order(server: Server, folder: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{unused.getsockname()[1]}/x.fits"
        names = ["good", "none", "page", "busy", "down", "moved"]
        addresses = [*(f"{server.base}/{name}.fits" for name in names), nobody, "http://[x/y"]
        table = specvit.load(folder).predict(addresses)
    assert table["path"].tolist() == addresses
    reasons = dict(zip([*names, "nobody", "wrong"], table["reason"], strict=True))
    assert [name for name, reason in reasons.items() if reason is None] == [
        *("good", "busy", "moved"),
    ]
    assert reasons["none"] == "HTTP 404 Not Found"
    assert reasons["page"] == "a page of HTML, not a spectrum"
    assert reasons["down"] == "HTTP 500 Internal Server Error (4 tries)"
    assert reasons["nobody"].startswith("no answer: ")
    assert reasons["wrong"].startswith("no address")
    # What may pass is asked for again, what may not is not.
    assert server.asked["/busy.fits"] == 3
    assert server.asked["/down.fits"] == 4
    assert server.asked["/none.fits"] == 1


def test_a_body_without_end_is_cut(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "MAX_BYTES", 1000)
    with pytest.raises(SpectrumError, match="longer than 1000 bytes"):
        fetching.fetch(f"{server.base}/good.fits")
