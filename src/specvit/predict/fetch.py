"""Single files from the web, politely; surveys by the thousand are for `specvit download`."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request

from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt
from tenacity.wait import wait_exponential_jitter

from specvit import __version__
from specvit.errors import SpectrumError, on_one_line
from specvit.surveys.read import MAX_BYTES

ATTEMPTS = 4
TIMEOUT_S = 30.0
LONGEST_WAIT_S = 60.0
AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
HEADERS = {"User-Agent": f"specvit/{__version__} (astronomical spectra for machine learning)"}


class _AgainError(Exception):
    """A failure that may pass; `wait_s` is what the server asks for."""

    def __init__(self, reason: str, wait_s: float = 0.0) -> None:
        super().__init__(reason)
        self.wait_s = wait_s


def fetch(url: str) -> bytes:
    """The bytes behind an address.

    Tried again, after a pause that grows or that the server asks for, where that may help. Raises
    SpectrumError, whose text is the reason.
    """
    backoff = wait_exponential_jitter(initial=1, max=LONGEST_WAIT_S)

    def wait(state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        asked = min(getattr(error, "wait_s", 0.0), LONGEST_WAIT_S)
        return max(backoff(state), asked)

    tries = Retrying(
        stop=stop_after_attempt(ATTEMPTS),
        wait=wait,
        retry=retry_if_exception_type(_AgainError),
        reraise=True,
    )
    try:
        return tries(_once, url)
    except _AgainError as error:
        raise SpectrumError(f"{error} ({ATTEMPTS} tries)") from error


def _once(url: str) -> bytes:
    try:
        request = urllib.request.Request(url, headers=HEADERS)
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:
            data: bytes = response.read(MAX_BYTES + 1)
    except urllib.error.HTTPError as error:
        reason = f"HTTP {error.code} {on_one_line(error.reason, 40)}".strip()
        if error.code not in AGAIN:
            raise SpectrumError(reason) from error
        asked = error.headers.get("Retry-After", "")
        raise _AgainError(reason, float(asked) if asked.isdigit() else 0.0) from error
    except (http.client.InvalidURL, ValueError, UnicodeError) as error:
        raise SpectrumError(f"no address: {on_one_line(error, 80)}") from error
    except (OSError, http.client.HTTPException) as error:  # URLError is an OSError
        said = on_one_line(getattr(error, "reason", error) or type(error).__name__, 80)
        raise _AgainError(f"no answer: {said}") from error
    if len(data) > MAX_BYTES:
        raise SpectrumError(f"longer than {MAX_BYTES} bytes, which no spectrum is")
    return data
