"""Published weights are fetched once, from a hub that is a server of the test's own."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import safetensors.torch
import timm

from specvit.config import validate
from specvit.errors import ConfigError
from specvit.models.hub import fetch_weights
from specvit.preflight import look

BACKBONE = "vit_tiny_patch16_224"
COMMIT = "a" * 40


class Hub(ThreadingHTTPServer):
    """As much of the model hub as a download asks for; it remembers what that was."""

    def __init__(self, weights: bytes) -> None:
        self.weights, self.asked = weights, []
        super().__init__(("127.0.0.1", 0), _Answer)


class _Answer(BaseHTTPRequestHandler):
    server: Hub

    def do_HEAD(self) -> None:
        self.answer(with_body=False)

    def do_GET(self) -> None:
        self.answer(with_body=True)

    def answer(self, with_body: bool) -> None:
        self.server.asked.append((self.command, self.path))
        is_there = self.path.endswith("/model.safetensors")
        body = self.server.weights if is_there else b"none"
        self.send_response(200 if is_there else 404)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", '"weights"')
        self.send_header("X-Repo-Commit", COMMIT)
        if not is_there:
            self.send_header("X-Error-Code", "EntryNotFound")
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[Hub]:
    state = timm.create_model(BACKBONE).state_dict()
    with Hub(safetensors.torch.save(state)) as hub:
        threading.Thread(target=hub.serve_forever, daemon=True).start()
        yield hub
        hub.shutdown()


def fetch(
    name: str, folder: Path, endpoint: str, **environ: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "specvit", "weights", name],
        env={**os.environ, "HF_HOME": str(folder), "HF_ENDPOINT": endpoint, **environ},
        capture_output=True,
        text=True,
        check=False,
    )


def test_weights_are_fetched_once_and_found_without_the_hub(server: Hub, tmp_path: Path) -> None:
    endpoint = f"http://127.0.0.1:{server.server_port}"
    done = fetch(BACKBONE, tmp_path, endpoint)
    assert done.returncode == 0, done.stderr
    path = Path(done.stdout.strip().split(": ")[1])
    assert path.is_relative_to(tmp_path)
    assert path.stat().st_size == len(server.weights)
    assert any(command == "GET" for command, _ in server.asked)
    # On a node without the internet.
    again = fetch(BACKBONE, tmp_path, "http://127.0.0.1:9", HF_HUB_OFFLINE="1")
    assert again.returncode == 0, again.stderr
    assert again.stdout == done.stdout


def test_what_cannot_be_fetched_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="close names"):
        fetch_weights("vit_tinny")
    done = fetch(BACKBONE, tmp_path, "http://127.0.0.1:9", HF_HUB_OFFLINE="1")
    assert done.returncode == 2
    assert "cannot be had" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_run_whose_weights_are_still_to_be_fetched_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"results_dir": str(tmp_path), "surveys": {"sdss": {"base_url": "simulated:"}}}
    found = {"path": None}
    monkeypatch.setattr("specvit.models.hub.try_to_load_from_cache", lambda *_: found["path"])
    (warning,) = look(validate(settings)).warnings
    assert f"specvit weights {BACKBONE}" in warning
    found["path"] = str(tmp_path / "model.safetensors")
    assert look(validate(settings)).warnings == []
