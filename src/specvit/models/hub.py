"""Published weights of a backbone: whether they are on this machine, and fetching them."""

from __future__ import annotations

from pathlib import Path

import timm
from huggingface_hub import constants, try_to_load_from_cache

from specvit.config.backbones import check_backbone
from specvit.config.data import Render
from specvit.config.learning import Model
from specvit.models.backbone import create_backbone


def cached_weights(backbone: str) -> Path | None:
    """Where the model hub's cache has a backbone's weights; None where it does not."""
    published = timm.get_pretrained_cfg(backbone)
    if published is None or published.hf_hub_id is None:
        return None
    for name in (published.hf_hub_filename, "model.safetensors", "pytorch_model.bin"):
        found = try_to_load_from_cache(published.hf_hub_id, name) if name else None
        if isinstance(found, str):
            return Path(found)
    return None


def fetch_weights(backbone: str) -> Path:
    """Fetch a backbone's published weights, unless they are there; return where they lie.

    Raises ConfigError for a name that timm does not know and where the weights cannot be had.
    """
    model = Model(backbone=backbone)
    check_backbone(model)
    create_backbone(model, Render(), pretrained=True)
    return cached_weights(backbone) or Path(constants.HF_HUB_CACHE)
