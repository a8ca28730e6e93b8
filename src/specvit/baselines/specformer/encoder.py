"""The encoder: a transformer over tokens of flux, of the published one's parts."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from timm.models.vision_transformer import Block
from torch import Tensor, nn

from specvit.baselines.specformer.windows import TOKEN, Windows
from specvit.config.data import Grid

PUBLISHED_POSITIONS = 800  # of which DESI's spectra use 778
# This module's names by those of AstroCLIP.
NAMES = {
    "layernorm1": "norm1",
    "attention.attention": "attn.qkv",
    "attention.projection": "attn.proj",
    "layernorm2": "norm2",
    "mlp.encoder": "mlp.fc1",
    "mlp.decoder": "mlp.fc2",
    "final_layernorm": "norm",
}


@dataclass(frozen=True)
class Shape:
    """Size of an encoder, and what it reads."""

    width: int
    depth: int
    heads: int
    windows: Windows

    @property
    def positions(self) -> int:
        """Length of the position embedding."""
        return PUBLISHED_POSITIONS if self.windows.published else 1 + self.windows.count

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        grid = self.windows.grid.model_dump(mode="json")
        return asdict(self) | {"windows": {"grid": grid, "published": self.windows.published}}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Shape:
        """Read what `as_dict` gave."""
        windows = values["windows"]
        seen = Windows(Grid.model_validate(windows["grid"]), windows["published"])
        return cls(**{**values, "windows": seen})


class Encoder(nn.Module):
    """Blocks with the norm first, four times as wide inside, without dropout, as published."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        width = shape.width
        self.data_embed = nn.Linear(TOKEN, width)
        self.position_embed = nn.Embedding(shape.positions, width)
        # The norm of its settings, not timm's own with another epsilon.
        self.blocks = nn.ModuleList(
            Block(width, shape.heads, 4.0, qkv_bias=True, norm_layer=nn.LayerNorm)
            for _ in range(shape.depth)
        )
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, TOKEN)
        for layer in (self.data_embed, self.position_embed):
            nn.init.normal_(layer.weight, std=1 / math.sqrt(width))

    def forward(self, tokens: Tensor) -> Tensor:
        """What is made of each token: (n, tokens, width) of (n, tokens, TOKEN)."""
        x = self.data_embed(tokens) + self.position_embed.weight[: tokens.shape[1]]
        for block in self.blocks:
            x = block(x)
        return self.norm(x)  # type: ignore[no-any-return]

    def reconstruct(self, tokens: Tensor) -> Tensor:
        """The tokens as they were before some were masked, (n, tokens, TOKEN)."""
        return self.head(self(tokens))  # type: ignore[no-any-return]


def encoder_of(shape: Shape, weights: Mapping[str, NDArray[Any]]) -> Encoder:
    """The encoder with these weights. Raises RuntimeError where they do not fit."""
    with torch.device("meta"):  # what would be drawn at random is thrown away
        encoder = Encoder(shape)
    arrays = {name: torch.from_numpy(np.array(value)) for name, value in weights.items()}
    encoder.load_state_dict(arrays, assign=True)
    return encoder


def to_published(name: str) -> str:
    """AstroCLIP's name of one of this module's weights."""
    for theirs, ours in NAMES.items():
        name = re.sub(rf"(^|\.){re.escape(ours)}\.", rf"\1{theirs}.", name)
    return name
