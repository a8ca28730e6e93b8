"""Which folder a model's name means: a run, a model's own folder, or one that specvit brings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

import specvit
from specvit.config.data import Grid, Render
from specvit.config.learning import Model
from specvit.config.models import MAIN_NETWORK
from specvit.config.start import Network
from specvit.errors import DataError, on_one_line
from specvit.io import read_json
from specvit.paths import RunPaths

RELEASED = Path(specvit.__file__).parent / "released"
DEFAULT = "sky"
SETTINGS = "model.json"
FILES = (SETTINGS, "training.json")
"""A folder with one of these is a model's."""
FORMAT = 3
"""Of a network's settings and weights."""


def released() -> list[str]:
    """Names of the models that specvit brings."""
    return sorted(path.parent.name for path in RELEASED.glob(f"*/{SETTINGS}"))


def model_folder(name: str | Path | None = None) -> Path:
    """The folder of a model.

    `name` is a run's folder (its main network is meant), a model's folder (`results/demo/models/
    svm`) or the name of a released model; None: the released one called `sky`. Raises DataError
    where there is no such thing.
    """
    if name is None:
        return _released(DEFAULT, "no model is named, and none comes with this version of specvit")
    path = Path(name)
    # Before a folder of that name (a checkout has one, sky/): that is ./sky .
    if str(name) in released() or not path.is_dir():
        return _released(str(name), f"model {str(name)!r} is neither a folder nor a released model")
    if any((path / file).is_file() for file in FILES):
        return path
    main = RunPaths(path).model_dir(MAIN_NETWORK)
    if any((main / file).is_file() for file in FILES):
        return main
    others = [str(one.parent) for file in FILES for one in sorted(path.glob(f"models/*/{file}"))]
    if others:
        raise DataError(f"{main} is not trained yet; there are {', '.join(dict.fromkeys(others))}")
    raise DataError(f"{path} is neither a run nor a model: it has no models/ and no {SETTINGS}")


def network_described(folder: Path) -> dict[str, Any]:
    """What the settings in a network's folder say. Raises DataError unless they are of FORMAT."""
    path = folder / SETTINGS
    settings = read_json(path)
    if not isinstance(settings, dict) or "format" not in settings:
        raise DataError(f"{path} does not describe a network of specvit: train again")
    if settings["format"] != FORMAT:
        raise DataError(
            f"{path} has format {on_one_line(settings['format'], 20)}, this version of specvit "
            f"reads {FORMAT}: train again, or use the version that wrote it"
        )
    return settings


def network_of(told: Mapping[str, Any]) -> Network:
    """The settings in what `network_described` read. Raises LookupError, ValidationError."""
    return Network(
        Model.model_validate_json(json.dumps(told["model"])),
        Render.model_validate_json(json.dumps(told["render"])),
        Grid.model_validate_json(json.dumps(told["grid"])),
    )


def network_in(folder: Path) -> Network:
    """The settings of a trained network. Raises DataError where they are none of this version."""
    try:
        return network_of(network_described(folder))
    except (LookupError, ValidationError) as error:
        reason = on_one_line(error, 240)
        raise DataError(f"{folder} does not hold a model of specvit: {reason}") from error


def _released(name: str, otherwise: str) -> Path:
    if name in released():
        return RELEASED / name
    known = ", ".join(released())
    there_are = f" (released: {known})" if known else ""
    raise DataError(f"{otherwise}{there_are}: give a run (results/demo) or a model's folder")
