"""Whether timm knows a backbone: asked of timm itself, which takes seconds to import."""

from __future__ import annotations

import difflib
import importlib.util

from specvit.config.learning import Model
from specvit.config.models import Config
from specvit.errors import ConfigError


def check_backbone(model: Model) -> None:
    """Raise ConfigError, with close names, for a backbone that timm does not know."""
    import timm

    name = model.backbone.split(".")[0]
    if timm.is_model(name):
        return
    close = difflib.get_close_matches(name, timm.list_models(), n=3)
    hint = f"; close names: {', '.join(close)}" if close else ""
    raise ConfigError(
        f"model.backbone = {model.backbone!r}: must be a model of timm.list_models(){hint}"
    )


def check_backbones(config: Config) -> None:
    """Check the backbones of all networks of a run, before anything runs.

    The default is known to be one, and costs nothing; without timm (an environment of a stage that
    has no network) the network's own environment finds out.
    """
    models = [config.variant(name).model for name in config.network_names]
    default = Model.model_fields["backbone"].default
    if importlib.util.find_spec("timm") is not None:
        for model in models:
            if model.backbone != default:
                check_backbone(model)
