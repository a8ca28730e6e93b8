"""How one layer of a configuration lies over another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

OF_A_BACKBONE = ("backbone_args", "weights", "init")


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Put `over` on top of `base`, key by key; lists and scalars are replaced, as in Snakemake."""
    merged = below(base, over)
    for key, value in over.items():
        old = merged.get(key)
        merged[key] = (
            merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
        )
    return merged


def below(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """What of `base` still holds under `over`: another backbone brings its own arguments, weights.

    A depth or a weights file of the network below would make a wrong network of it, or none.
    """
    if over.get("backbone", base.get("backbone")) == base.get("backbone"):
        return dict(base)
    return {key: value for key, value in base.items() if key not in OF_A_BACKBONE}
