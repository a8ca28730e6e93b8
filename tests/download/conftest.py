"""Runs in front of a local server, with locks of their own."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from servers.runs import Run, Spectrum

MakeRun = Callable[..., Run]


@pytest.fixture(autouse=True)
def _own_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPECVIT_LOCK_DIR", str(tmp_path / "locks"))
    monkeypatch.delenv("SPECVIT_LAMOST_TOKEN", raising=False)
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
