"""Configuration: pydantic models, merging, validation, and what each stage reads of it."""

from specvit.config.load import load_config, merge, typed, validate
from specvit.config.models import Config
from specvit.config.stages import STAGE_KEYS, load_stage, stage_settings

__all__ = [
    "STAGE_KEYS",
    "Config",
    "load_config",
    "load_stage",
    "merge",
    "stage_settings",
    "typed",
    "validate",
]
