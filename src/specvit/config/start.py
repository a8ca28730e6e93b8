"""What a network must share with the one that it starts from, or whose plots it is given."""

from __future__ import annotations

from typing import Any, NamedTuple

from specvit.config.data import Grid, Render
from specvit.config.learning import Model
from specvit.errors import ConfigError

OF_THE_BACKBONE = ("backbone", "backbone_args")


class Network(NamedTuple):
    """Settings that fix a network and the pictures that it sees."""

    model: Model
    render: Render
    grid: Grid


def plot_changes(then: tuple[Render, Grid], now: tuple[Render, Grid]) -> dict[str, tuple[Any, Any]]:
    """Settings, by key, that make other pictures now than then; their set's name makes none."""
    changes: dict[str, tuple[Any, Any]] = {}
    for part, old, new in zip(("render", "grid"), then, now, strict=True):
        was, is_now = old.model_dump(exclude={"name"}), new.model_dump(exclude={"name"})
        changes |= {f"{part}.{key}": (was[key], is_now[key]) for key in was}
    return {key: values for key, values in changes.items() if values[0] != values[1]}


def check_start(name: str, theirs: Network, mine: Network) -> None:
    """Raise ConfigError, naming each key, unless a network can start from this one (`name`)."""
    pairs = {
        f"model.{key}": (getattr(theirs.model, key), getattr(mine.model, key))
        for key in OF_THE_BACKBONE
    }
    pairs |= plot_changes(theirs[1:], mine[1:])
    told = [f"{key}: {old} (not {new})" for key, (old, new) in pairs.items() if old != new]
    if told:
        raise ConfigError(
            f"model.init = {name!r}: this network can only start from it with the backbone "
            f"and plots that it was trained with; set {', '.join(told)}"
        )
