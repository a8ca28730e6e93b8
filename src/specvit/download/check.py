"""Is this the file that was asked for? Each one is opened when it arrives, not days later."""

from __future__ import annotations

import json
import re

from specvit.download.ledger import CorruptError, NotThereError, RefusedError
from specvit.errors import SpectrumError
from specvit.registry import survey_named
from specvit.surveys.read import read_identity

SHOWN = 80  # characters of a server's own message that a reason repeats
_WEB_PAGE = re.compile(rb"\s*<(!doctype html|html|\?xml|head|body)", re.IGNORECASE)
_TITLE = re.compile(rb"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)


def check_spectrum(data: bytes, survey: str, identity: str | None) -> None:
    """Check that these bytes are a whole FITS spectrum, and that it says it is `identity`.

    Raises CorruptError with the reason; NotThereError where a survey answers a missing spectrum
    with JSON, RefusedError where that JSON says that access is denied.
    """
    _check_message(data, survey)
    try:
        origin, found = read_identity(data)
    except SpectrumError as error:
        raise CorruptError(str(error)) from error
    if identity is not None and not survey_named(origin).is_same(identity, found):
        raise CorruptError(f"wrong file: asked for {identity}, this is {found}")


def _check_message(data: bytes, survey: str) -> None:
    """Recognise what servers send with status 200 instead of a file."""
    if _WEB_PAGE.match(data):
        title = _TITLE.search(data[:4096])
        shown = f" ({_text(title[1])})" if title else ""
        raise CorruptError(f"not a FITS file: a web page{shown}")
    if data[:1] not in (b"{", b"["):
        return
    try:
        json.loads(data)
    except ValueError as error:
        raise CorruptError(f"not a FITS file: starts with {_text(data)}") from error
    message = _text(data)
    meaning = survey_named(survey).means(message)
    if meaning == "corrupt":
        raise CorruptError(f"not a FITS file: JSON {message}")
    answer = f"the server answered {message}"
    raise RefusedError(answer) if meaning == "refused" else NotThereError(answer)


def _text(data: bytes) -> str:
    text = " ".join(data[: 2 * SHOWN].decode("utf-8", "replace").split())
    return text if len(text) <= SHOWN else text[: SHOWN - 3] + "..."
