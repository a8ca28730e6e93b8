"""A made-up run, evaluated and reported once for all tests of this folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from made_run import MadeRun

from specvit.config import Config, load_config
from specvit.io import read_json

CHROMIUM = (
    Path("/usr/bin/chromium"),
    Path("/usr/bin/chromium-browser"),
    Path("/usr/bin/google-chrome"),
)
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


@dataclass(frozen=True)
class Run:
    """A finished run and what its metrics.json holds."""

    made: MadeRun
    config: Config
    metrics: dict[str, Any]


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Run:
    """Two tasks, the ViT, SVM and Random Forest, one experiment; evaluated and reported."""
    base = tmp_path_factory.getbasetemp()
    # Test processes side by side share one run: the first makes it, the others wait.
    root = (base if worker_id == "master" else base.parent) / "report-runs"
    experiment = {"name": "vit-half", "data": {"train_fraction": 0.5}}
    made = MadeRun(str(root), settings={"experiments": [experiment]})
    config = load_config(made.inline)
    with FileLock(f"{root}.lock"):
        if not config.paths.report.exists():
            made.write()
            for command in ("evaluate", "figures", "report"):
                made.call(command)
    return Run(made, config, read_json(config.paths.metrics))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Headless Chromium; skipped where there is none, but not in CI.

    Closed after these tests: while it is open no other can start an event loop.
    """
    found = next((path for path in CHROMIUM if path.exists()), None)
    if found is None:
        reason = "needs Chromium (apt install chromium)"
        if os.environ.get("CI") == "true":
            pytest.fail(f"{reason}, which must be there in CI")
        pytest.skip(reason)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=str(found), args=ARGUMENTS)
        yield opened
        opened.close()
