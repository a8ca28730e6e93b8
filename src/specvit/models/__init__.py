"""The network: a timm Vision Transformer with one head a task."""

from specvit.models.labels import NO_CLASS, LabelStats, encode
from specvit.models.store import load_model, save_model
from specvit.models.vit import SpecViT, build_model

__all__ = [
    "NO_CLASS",
    "LabelStats",
    "SpecViT",
    "build_model",
    "encode",
    "load_model",
    "save_model",
]
