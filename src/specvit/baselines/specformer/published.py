"""The published checkpoint of AstroCLIP's spectrum encoder: its names, checked, in ours."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from specvit.baselines.specformer.encoder import Encoder, Shape, encoder_of, to_published
from specvit.errors import ConfigError

KEY = "baselines.specformer"


def load_published(path: Path, shape: Shape) -> Encoder:
    """The encoder with the weights of a checkpoint, Lightning's (.ckpt) or safetensors.

    No code of the file is run. Raises ConfigError where it cannot be read, or is of another shape
    than `shape`, which is of the published windows.
    """
    state, told = _read(path)
    where = f"{KEY}.weights = {str(path)!r}"
    _check_size(where, state, told, shape)
    weights = {}
    with torch.device("meta"):
        expected = Encoder(shape).state_dict()
    for ours, value in expected.items():
        name = to_published(ours)
        if name not in state:
            raise ConfigError(f"{where}: it lacks {name}, which AstroCLIP's spectrum encoder has")
        if state[name].shape != value.shape:
            raise ConfigError(
                f"{where}: {name} is of shape {tuple(state[name].shape)}, not {tuple(value.shape)}"
            )
        weights[ours] = state[name].float().numpy()
    left = sorted(set(state) - {to_published(name) for name in expected})
    if left:
        raise ConfigError(f"{where}: AstroCLIP's spectrum encoder has no {left[0]}")
    return encoder_of(shape, weights).eval()


def _read(path: Path) -> tuple[Mapping[str, Tensor], Mapping[str, Any]]:
    """Weights by name, and the sizes that are told beside them."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    where = f"{KEY}.weights = {str(path)!r}"
    if not path.is_file():
        raise ConfigError(f"{where}: there is no such file")
    try:
        if path.suffix == ".safetensors":
            return load_file(path), {}
        saved = torch.load(path, map_location="cpu", weights_only=True)
        state = saved["state_dict"]
        if not all(isinstance(value, Tensor) for value in state.values()):
            raise TypeError("its state_dict holds more than arrays")
    except (
        *(OSError, RuntimeError, pickle.UnpicklingError, EOFError, SafetensorError),
        *(KeyError, TypeError, AttributeError, IndexError),
    ) as error:
        reason = " ".join(str(error).split())[:200]
        raise ConfigError(
            f"{where} cannot be read as a checkpoint with a state_dict: {reason}"
        ) from error
    return state, saved.get("hyper_parameters", {})


def _check_size(
    where: str, state: Mapping[str, Tensor], told: Mapping[str, Any], shape: Shape
) -> None:
    """Raise where width, depth or heads are not those of the settings."""
    found: dict[str, int] = {}
    if "data_embed.weight" in state:
        found["width"] = state["data_embed.weight"].shape[0]
    found["depth"] = len({name.split(".")[1] for name in state if name.startswith("blocks.")})
    if "num_heads" in told:
        found["heads"] = int(told["num_heads"])
    wrong = {key: value for key, value in found.items() if value != getattr(shape, key)}
    if wrong:
        sizes = ", ".join(f"{KEY}.{key}: {value}" for key, value in wrong.items())
        raise ConfigError(f"{where} is of another size: set {sizes}")
