"""What the baselines' tests share."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _no_log_handler_stays() -> Iterator[None]:
    """A command logs to the standard error of its test, which is closed when the next one logs."""
    yield
    logging.getLogger("specvit").handlers.clear()
