"""Access tokens: read from the environment, put on requests, and kept out of everything else."""

from __future__ import annotations

import os
import re
from functools import cache
from html import escape

from specvit.registry import collections

HIDDEN = "[token]"
SURE = 6  # characters that tell a token from other text
LONGEST = 40  # what follows so many of its characters is hidden up to the next blank or quote


def survey_token(survey: str) -> str | None:
    """The survey's token from its environment variable, None where there is none."""
    variable = _variable(survey)
    return (os.environ.get(variable, "").strip() or None) if variable else None


def token_hint(survey: str) -> str:
    """What to do about a refusal, as the end of a sentence; empty where nothing can be done."""
    variable = _variable(survey)
    if variable is None:
        return ""
    if survey_token(survey) is None:
        return f"; a release that is not public needs a token in the variable {variable}"
    return f"; the token in the variable {variable} was not accepted"


def _variable(survey: str) -> str | None:
    found = collections().get(survey)
    return None if found is None else found.token_variable


def with_token(url: str, token: str | None) -> str:
    """The URL to request: the token as query parameter `token`."""
    if token is None:
        return url
    return f"{url}{'&' if '?' in url else '?'}token={token}"


def without_token(text: str, token: str | None) -> str:
    """A text from a server or library that may repeat the token, without it.

    Escaped or not, and its beginning too: the text may have been cut.
    """
    return _forms(token).sub(HIDDEN, text) if token else text


def message_without(data: bytes, token: str | None) -> bytes:
    """What a server sent, without the token where it is no file but may be a message."""
    if token is None or data.startswith((b"SIMPLE", b"\x1f\x8b")):
        return data
    return without_token(data.decode("latin-1"), token).encode("latin-1")


@cache
def _forms(token: str) -> re.Pattern[str]:
    """The token as it stands, escaped as in URLs, JSON or HTML, or a mixture of these."""
    chars = [_char_forms(char) for char in token]
    rest = r"[^\s\"'<>]*" if len(chars) > LONGEST else ""
    for char in reversed(chars[SURE:LONGEST]):
        rest = f"(?:{char}{rest})?"
    return re.compile("".join(chars[:SURE]) + rest)


def _char_forms(char: str) -> str:
    code = ord(char)
    url, json = rf"%(?:25)*{code:02x}", rf"\\u{code:04x}"  # also %252B, escaped twice
    html = rf"&#0*{code};|&#x0*{code:x};"
    plain = rf"{re.escape(escape(char))}|\\?{re.escape(char)}"
    return f"(?:(?i:{url}|{json}|{html})|{plain})"
