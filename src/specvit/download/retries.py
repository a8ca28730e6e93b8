"""How often and after which pauses a request is made again."""

from __future__ import annotations

import random
from dataclasses import dataclass

from tenacity import AsyncRetrying, retry_if_exception_type

from specvit.config.data import Download
from specvit.download.gate import AgainError
from specvit.download.ledger import CorruptError

BACKOFF_MAX_S = 60.0


@dataclass
class Tries:
    """Requests made for one file; those that only found the server away do not count."""

    sent: int = 0
    counted: int = 0


def pause_s(settings: Download, failures: int) -> float:
    """How long to wait after so many failures: exponential backoff with full jitter.

    Full jitter, so that jobs that failed together do not come back together.
    """
    longest = settings.backoff_s * 2.0 ** max(0, failures - 1)
    return random.uniform(0, min(BACKOFF_MAX_S, longest))


def retrying(settings: Download, tries: Tries) -> AsyncRetrying:
    """Attempts until one succeeds, fails for good, or `tries.counted` reaches the setting."""
    return AsyncRetrying(
        retry=retry_if_exception_type((AgainError, CorruptError)),
        stop=lambda _: tries.counted >= settings.attempts,
        wait=lambda _: pause_s(settings, tries.counted),
        reraise=True,
    )
