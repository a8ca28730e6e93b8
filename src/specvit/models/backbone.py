"""A timm Vision Transformer for pictures of any size, of one channel or three."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import timm
import torch
from timm.data.config import resolve_model_data_config
from torch import nn
from torch.nn.modules.module import register_module_module_registration_hook
from torch.utils.hooks import RemovableHandle

from specvit.config.backbones import check_backbone
from specvit.config.data import Render
from specvit.config.learning import Model
from specvit.errors import ConfigError

RGB = 3
NEW_POOLING = ("norm.", "fc_norm.", "attn_pool.")
"""Weights that a file may lack: `global_pool` among model.backbone_args asks for new ones."""


def create_backbone(
    model: Model, render: Render, *, pretrained: bool
) -> tuple[nn.Module, tuple[float, ...], tuple[float, ...]]:
    """Return the backbone without a classifier, and mean and std of its pictures by channel.

    timm resamples the position embedding to the picture size and the patch embedding to
    `patch_size` when it loads weights. A one-channel picture needs no copies: see `_to_grey`.
    Mean and std are on the scale where white is 1. Raises ConfigError for a name that timm does
    not know, a picture that the patches do not divide, and weights that cannot be had or do not
    fit.
    """
    check_backbone(model)
    # Published weights are of colour pictures: loaded as such, then folded to one channel.
    in_chans = RGB if pretrained else render.channels
    backbone = _create(model, render.size, in_chans, pretrained=pretrained)
    projection = _patch_projection(model, backbone)
    _check_size(model, render.size, projection)
    data = resolve_model_data_config(backbone)  # type: ignore[no-untyped-call]
    mean, std = tuple(data["mean"]), tuple(data["std"])
    if len(mean) != RGB:
        raise ConfigError(f"model.backbone = {model.backbone!r}: needs one made for RGB pictures")
    if render.channels == RGB:
        return backbone, mean, std
    _to_grey(projection, mean, std)
    return backbone, (sum(mean) / RGB,), (sum(std) / RGB,)


def _create(model: Model, size: int, in_chans: int, *, pretrained: bool) -> nn.Module:
    overlay: dict[str, Any] | None = None
    if pretrained and model.weights is not None:
        if not Path(model.weights).is_file():
            raise ConfigError(f"model.weights = {model.weights!r}: there is no such file")
        overlay = {"file": model.weights}
        if not model.weights.endswith(".npz"):
            overlay["custom_load"] = False  # only the original JAX files need timm's own reader
    arguments = {"img_size": size, "drop_path_rate": model.drop_path, **model.backbone_args}
    reserved = {"in_chans", "num_classes", "img_size", "drop_path_rate"} & set(model.backbone_args)
    if reserved:
        raise ConfigError(
            f"model.backbone_args must not set {', '.join(sorted(reserved))}: picture size and "
            "channels follow render, drop path is model.drop_path"
        )
    try:
        with _complete():
            created: nn.Module = timm.create_model(
                model.backbone,
                pretrained=pretrained,
                pretrained_cfg_overlay=overlay,
                num_classes=0,
                in_chans=in_chans,
                **arguments,
            )
    except (TypeError, AssertionError, ZeroDivisionError) as error:
        raise ConfigError(
            f"model.backbone = {model.backbone!r} cannot be built with picture size {size} and "
            f"model.backbone_args = {model.backbone_args}: {_first_line(error)}"
        ) from error
    except Exception as error:
        # timm, the hub client and torch raise many types here, all of them about the weights.
        if not pretrained:
            raise ConfigError(
                f"model.backbone = {model.backbone!r}: {_first_line(error)}"
            ) from error
        raise ConfigError(_weights_sentence(model, error)) from error
    return created


@contextmanager
def _complete() -> Iterator[None]:
    """Raise ValueError where loaded weights leave a part of the backbone at random.

    timm loads a backbone without classifier non-strictly; a network that is half random would
    train, badly, and nobody would know why.
    """
    missing: list[str] = []
    hooks: list[RemovableHandle] = []

    def note(_: nn.Module, keys: Any) -> None:
        missing.extend(key for key in keys.missing_keys if not key.startswith(NEW_POOLING))

    def watch(parent: nn.Module, name: str, _: nn.Module | None) -> None:
        if name == "patch_embed":  # the backbone itself: timm loads its weights once it is whole
            hook = parent.register_load_state_dict_post_hook(note)  # type: ignore[no-untyped-call]
            hooks.append(hook)

    hooks.append(register_module_module_registration_hook(watch))
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
    if missing:
        raise ValueError(f"it lacks {len(missing)} of the weights, first {missing[0]}")


def _weights_sentence(model: Model, error: Exception) -> str:
    if model.weights is not None:
        return (
            f"model.weights = {model.weights!r} does not fit model.backbone = {model.backbone!r} "
            f"with model.backbone_args = {model.backbone_args}: {_first_line(error)}"
        )
    return (
        f"the published weights of model.backbone = {model.backbone!r} cannot be had "
        f"({_first_line(error)}): give a local file as model.weights, or start from scratch with "
        "model.pretrained: false"
    )


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[:2])[:240] or type(error).__name__


def _patch_projection(model: Model, backbone: nn.Module) -> nn.Conv2d:
    projection = getattr(getattr(backbone, "patch_embed", None), "proj", None)
    if not isinstance(projection, nn.Conv2d) or not hasattr(backbone, "forward_head"):
        raise ConfigError(
            f"model.backbone = {model.backbone!r} is not a Vision Transformer with patches of "
            "pixels: choose one of timm.list_models('vit_*')"
        )
    return projection


def _check_size(model: Model, size: int, projection: nn.Conv2d) -> None:
    for patch in projection.kernel_size:
        if size % patch == 0:
            continue
        below, above = size // patch * patch, (size // patch + 1) * patch
        allowed = " or ".join(str(n) for n in (below, above) if n)
        raise ConfigError(
            f"render.size = {size} is not a multiple of the patches of {model.backbone} "
            f"({patch} pixels): use {allowed}, or set model.backbone_args: {{patch_size: ...}}"
        )


@torch.no_grad()
def _to_grey(projection: nn.Conv2d, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
    """Fold a patch embedding of RGB pictures to one channel, in place.

    On a grey picture g the colour network computes sum_c w_c (g - mean_c) / std_c + b. With the
    channel means m of mean_c and s of std_c, the same number is w (g - m) / s + b' where
    w = sum_c w_c s / std_c and b' = b + sum_c sum_pixels w_c (m - mean_c) / std_c.
    A projection without bias (CLIP's) gets one, for b'.
    """
    if projection.bias is None:
        projection.bias = nn.Parameter(torch.zeros(projection.out_channels))
    if projection.in_channels == RGB:
        m, s = sum(mean) / RGB, sum(std) / RGB
        mean_c, std_c = torch.tensor(mean).view(RGB, 1, 1), torch.tensor(std).view(RGB, 1, 1)
        weight = projection.weight
        projection.bias += (weight * (m - mean_c) / std_c).sum(dim=(1, 2, 3))
        folded = (weight * s / std_c).sum(dim=1, keepdim=True)
        projection.weight = nn.Parameter(folded.contiguous())
        projection.in_channels = 1
