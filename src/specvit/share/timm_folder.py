"""A network's backbone as timm itself keeps one: `timm.create_model("local-dir:...")`."""

from __future__ import annotations

from pathlib import Path

import safetensors.torch
import timm
import torch

from specvit.errors import DataError
from specvit.io import atomic_open, write_json
from specvit.models.vit import WHITE, SpecViT

CONFIG, WEIGHTS = "config.json", "model.safetensors"  # timm's names
TOLERANCE = 1e-5


def write_backbone(model: SpecViT, folder: Path) -> None:
    """Write the backbone's weights and what timm needs to build it.

    Raises DataError where timm does not make the same features of it.
    """
    backbone, size, channels = model.backbone, model.render.size, model.render.channels
    write_json(
        folder / CONFIG,
        {
            "architecture": model.settings.backbone.split(".")[0],
            "num_classes": 0,
            "num_features": backbone.num_features,
            "model_args": {"img_size": size, "in_chans": channels, **model.settings.backbone_args},
            "pretrained_cfg": {
                "num_classes": 0,
                "input_size": [channels, size, size],
                "fixed_input_size": True,
                "mean": [value / WHITE for value in model.mean.flatten().tolist()],
                "std": [value / WHITE for value in model.std.flatten().tolist()],
                "interpolation": "bicubic",
                "crop_pct": 1.0,
                "first_conv": "patch_embed.proj",
                "classifier": "head",
            },
        },
    )
    state = {name: value.cpu().contiguous() for name, value in backbone.state_dict().items()}
    with atomic_open(folder / WEIGHTS) as handle:
        handle.write(safetensors.torch.save(state))
    _check(model, folder)


@torch.no_grad()
def _check(model: SpecViT, folder: Path) -> None:
    """Compare what timm makes of the folder with the backbone's own pooled features."""
    generator = torch.Generator().manual_seed(1)
    shape = (2, model.render.channels, model.render.size, model.render.size)
    pictures = torch.rand(shape, generator=generator)
    loaded = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    expected = model.backbone(pictures)
    if not torch.allclose(loaded(pictures), expected, rtol=TOLERANCE, atol=TOLERANCE):
        raise DataError(f"timm makes other features of {folder} than the network does")
