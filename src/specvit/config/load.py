"""From YAML files and inline settings to one validated Config, with errors that people can use."""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import reduce
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from specvit.config.layers import merge
from specvit.config.models import Config
from specvit.errors import ConfigError

MOST_VALUES = 100_000  # of a configuration


def read_source(source: str) -> dict[str, Any]:
    """One configuration source: a YAML file's path, or an inline mapping starting with `{`."""
    if source.lstrip().startswith("{"):
        text, where = source, "inline configuration"
        # What Snakemake passes is JSON, whose 1e-05 is a number: in YAML 1.1 it is text.
        with suppress(json.JSONDecodeError, RecursionError):
            return dict(json.loads(text))
    else:
        where = source
        try:
            text = Path(source).read_text(encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"configuration file {source}: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise ConfigError(f"configuration file {source} is not UTF-8 text: {error}") from error
    try:
        value = yaml.safe_load(text)
        _bounded(value)
    except RecursionError as error:
        raise ConfigError(f"{where} is nested too deeply for a configuration") from error
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date that is none
        raise ConfigError(f"{where} is not valid YAML: {' '.join(str(error).split())}") from error
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ConfigError(f"{where} must hold a mapping of keys, not {type(value).__name__}")
    return value


def _bounded(value: Any) -> None:
    """Raise YAMLError for what a few aliases of aliases have made too large to write down."""
    seen = 0
    left = [value]
    while left:
        inner = left.pop()
        seen += 1
        if seen > MOST_VALUES:
            raise yaml.YAMLError(f"its aliases stand for more than {MOST_VALUES:,} values")
        if isinstance(inner, Mapping):
            left.extend(inner.values())
        elif isinstance(inner, list):
            left.extend(inner)


def typed(values: Mapping[str, Any]) -> dict[str, Any]:
    """Settings from Snakemake's --config, where all that stands within {...} or [...] is text.

    Such text gets the meaning it has in a YAML file: 96 is a number, true a boolean, null nothing.
    """
    return {
        key: value if isinstance(value, str) else _typed(value) for key, value in values.items()
    }


def _typed(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _typed(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_typed(inner) for inner in value]
    if isinstance(value, str):
        with suppress(yaml.YAMLError):
            plain = yaml.safe_load(value)
            return plain if plain is None or isinstance(plain, bool | int | float) else value
    return value


def merged(sources: Iterable[str]) -> dict[str, Any]:
    """Read the sources and put later ones over those before. Raises ConfigError."""
    return reduce(merge, map(read_source, sources), {})


def load_config(sources: Iterable[str]) -> Config:
    """Merge the sources, later ones on top, and validate. Raises ConfigError."""
    return validate(merged(sources))


def validate(data: Mapping[str, Any]) -> Config:
    """Validate a plain mapping; ConfigError names every wrong key, its value, what is allowed."""
    if isinstance(data.get("render"), Mapping):
        data = {**data, "render": [data["render"]]}
    try:
        # Through JSON: strict types, yet a YAML list may fill a tuple.
        return Config.model_validate_json(json.dumps(data))
    except ValidationError as error:
        lines = [_sentence(dict(e), data) for e in error.errors()]
        raise ConfigError("configuration:\n" + "\n".join(f"  {line}" for line in lines)) from error
    except TypeError as error:
        raise ConfigError(f"configuration holds a value that is not plain YAML: {error}") from error


def _sentence(error: dict[str, Any], data: Mapping[str, Any]) -> str:
    location = list(error["loc"])
    key = ".".join(str(part) for part in location)
    message: str = error["msg"].removeprefix("Value error, ")
    if error["type"] == "extra_forbidden":
        model = _model_at(location[:-1])
        reason = getattr(model, "not_here", {}).get(location[-1])
        if reason is not None:
            return f"{key} = {_short(error['input'])}: {reason}"
        allowed = list(model.model_fields)
        close = difflib.get_close_matches(str(location[-1]), allowed, n=1)
        hint = f"did you mean {close[0]}? " if close else ""
        value = _short(error["input"])
        return f"{key} = {value}: unknown key; {hint}allowed here: {', '.join(allowed)}"
    if error["type"] == "missing":
        return f"{key}: must be set"
    if not location:
        return message
    if error["type"] == "float_type" and _is_number(error["input"]):
        message = f"is text to YAML, whose numbers have a dot: {float(error['input']):.1e}"
    if error["type"] == "string_pattern_mismatch":
        message = f"must match {error['ctx']['pattern']}"
    return f"{key} = {_short(error['input'])}: {message[0].lower()}{message[1:]}"


def _is_number(value: Any) -> bool:
    try:
        return isinstance(value, str) and math.isfinite(float(value))
    except ValueError:
        return False


def _short(value: Any) -> str:
    # A password that a URL must not hold is not repeated by who refuses it.
    text = re.sub(r"//[^/\s\"]*@", "//...@", json.dumps(value, default=str))
    return text if len(text) <= 60 else text[:57] + "..."


def _model_at(location: list[Any]) -> type[BaseModel]:
    """The section at this place."""
    model: type[BaseModel] = Config
    for part in location:
        if isinstance(part, int):
            continue
        field = model.model_fields.get(str(part))
        inner = _model_in(field.annotation) if field is not None else None
        if inner is None:
            break
        model = inner
    return model


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for part in get_args(annotation):
        found = _model_in(part)
        if found is not None:
            return found
    return None
