"""Configuration: pydantic models, merging, validation, and what each stage reads of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from specvit.config.layers import merge
    from specvit.config.load import load_config, merged, typed, validate
    from specvit.config.models import Config
    from specvit.config.stages import STAGE_KEYS, load_stage, network_settings, stage_settings

__all__ = [
    "STAGE_KEYS",
    "Config",
    "load_config",
    "load_stage",
    "merge",
    "merged",
    "network_settings",
    "stage_settings",
    "typed",
    "validate",
]

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        # When asked for: the whole configuration needs every survey's settings, whose modules
        # import the sections that they build on from this package.
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from specvit.config import load, models, stages

        return next(
            getattr(module, name) for module in (models, load, stages) if hasattr(module, name)
        )
