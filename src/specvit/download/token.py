"""Access tokens: read from the environment, put on requests, and kept out of everything else."""

from __future__ import annotations

import os

from specvit.registry import collections

HIDDEN = "[token]"


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
    """A text from a server or library that may repeat the token, without it."""
    return text.replace(token, HIDDEN) if token else text
