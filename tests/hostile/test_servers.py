"""Servers that answer with anything: each spectrum arrives as it is, or has its reason."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from limits import little_memory
from mutate import FITS

from servers.runs import SHARD, Run, files_of, lamost, sdss, sdss5
from servers.survey_server import Fault, Reply, SurveyServer
from specvit.download import download_shard, gate, sources

# None of these asks for a name's address: tests need no network.
LOCATIONS = [
    *("", "/", "//", "?", "#", "http://", "http:///x", "http://[::1", "http://[::1]:1/", "//[/"),
    *("http://127.0.0.1:99999999/", "http://127.0.0.1:-1/", "http://127.0.0.1:x/", "http://a b/"),
    *("http://" + "a" * 300 + "/", "http://é:x/", "http://127.0.0.1:1/", "/" * 9000, "/%zz%"),
    *("ftp://127.0.0.1/", "file:///etc/passwd", "javascript:alert(1)", "data:,x", "\\\\x"),
]
BODIES = [
    *(b"", b" ", b"{", b"[]", b"null", bytes(100), b"<", b"<html>", b"\xff\xfe<html>", b"\x1f\x8b"),
    *(b'{"a":' * 9999, json.dumps({"code": 403, "message": "é" * 5000}).encode(), b"SIMPLE  ="),
    *(b"<!DOCTYPE html><title>" + b"\x1b[31m\xc3" * 99, b"<?xml version='1.0'?>", b"%PDF-1.4"),
    gzip.compress(bytes(2**26), 9),
]
HEADERS = [
    {"Content-Encoding": "gzip"},
    {"Content-Encoding": "br"},
    {"Content-Type": "text/html; charset=\xff"},
    {"Retry-After": "nan"},
    {"Retry-After": "Fri, 31 Dec 9999 23:59:59 -2359"},
    {"Transfer-Encoding": "chunked"},
    {"X" * 9000: "x"},
    {"Set-Cookie": "a=" + "b" * 7000},
]


def fault(rng: random.Random) -> Fault:
    """Some answer."""

    def body(data: bytes) -> bytes:
        kinds: list[Callable[[], bytes]] = [
            lambda: data,
            lambda: rng.choice(BODIES),
            lambda: rng.choice(FITS)(rng, data),
            lambda: rng.randbytes(200),
        ]
        return rng.choice(kinds)()

    def reply(data: bytes) -> Reply:
        sent = body(data)
        kind = rng.randrange(6)
        if kind == 0:
            return Reply(
                rng.choice([301, 302, 307, 308]), {"Location": rng.choice(LOCATIONS)}, sent
            )
        if kind == 1:
            lengths = [0, 1, len(sent) + 1, len(sent) // 2, 2**63, 10**30, -1]
            return Reply(body=sent, length=rng.choice(lengths), reset=True)
        if kind == 2:
            return Reply(body=(sent or b"x") * (1 + 2**18 // (len(sent) or 1)), endless=True)
        if kind == 3:
            return Reply(rng.choice([200, 206, 304, 403, 404, 418, 500, 999]), {}, sent)
        return Reply(headers=rng.choice(HEADERS) if kind == 4 else {}, body=sent, reset=kind == 4)

    return reply


def test_hostile_servers(round_: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "MAX_BYTES", 2**21)  # endless bodies end sooner
    monkeypatch.setattr(gate, "BACKOFF_S", 0.01)
    monkeypatch.setattr(gate, "OUTAGE_S", 1.0)
    monkeypatch.setenv("NETRC", "/nowhere")
    spectra = [kind(number) for number, kind in enumerate([sdss, sdss5, lamost] * 8)]
    with SurveyServer(files_of(spectra)) as server, little_memory():
        for number, spectrum in enumerate(spectra[1:]):
            server.always(spectrum.path, fault(random.Random(f"server {round_} {number}")))
        settings = {"attempts": 1, "max_failed_fraction": 1.0, "timeout_s": 5.0}
        run = Run(tmp_path, spectra, server.base_url, **settings)
        download_shard(run.config, SHARD)  # the first spectrum arrives
        ledger, members = run.ledger(), run.members()
        assert len(ledger) == len(spectra)
        assert all((entry["status"] == "ok") != bool(entry["reason"]) for entry in ledger.values())
        for entry in ledger.values():
            assert entry["reason"] is None or entry["reason"].isprintable()
        assert len(members) == sum(entry["status"] == "ok" for entry in ledger.values())
