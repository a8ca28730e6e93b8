"""A folder for the real Snakefile, and one in which it has run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tiny_workflow import Workflow


@pytest.fixture
def workflow(tmp_path: Path) -> Workflow:
    return Workflow(tmp_path)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Workflow:
    """A tiny run that has gone from catalogue to report; tests must not change its files."""
    workflow = Workflow(tmp_path_factory.mktemp("finished"))
    workflow.run()
    return workflow
