"""Runs in front of a local server, with short pauses."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from servers.runs import Run, Spectrum
from specvit.download import gate

MakeRun = Callable[..., Run]


@pytest.fixture(autouse=True)
def _own_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "BACKOFF_S", 0.02)
    monkeypatch.delenv("SPECVIT_LAMOST_TOKEN", raising=False)
    monkeypatch.setenv("NETRC", "/nowhere")
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def _own_logging() -> Iterator[None]:
    """Commands send the log to the standard error of their test."""
    logger = logging.getLogger("specvit")
    before = logger.handlers[:], logger.level, logger.propagate
    yield
    logger.handlers[:], logger.level, logger.propagate = before


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    def make(spectra: list[Spectrum], base_url: str, **download: Any) -> Run:
        return Run(tmp_path / "results", spectra, base_url, **download)

    return make
