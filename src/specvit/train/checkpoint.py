"""The state of a run on disk: written beside and renamed, read without running code.

`last.pt` holds everything that a resume needs (network, moving average, optimiser, position in the
epoch, generators of every rank, history), as tensors and plain values that torch loads with
`weights_only=True`; `best.safetensors` the weights of the best epoch so far. There is no loss
scaler to save: the only half precision offered is bfloat16, which has float32's range.
"""

from __future__ import annotations

import errno
import pickle
import random
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import nn

from specvit.errors import TrainingError, on_one_line
from specvit.io import atomic_open

FORMAT = 2
# What torch and Python raise for a file that is cut (EINVAL among others) or none of ours.
UNREADABLE = (
    *(RuntimeError, EOFError, OSError, LookupError, TypeError, ValueError, AttributeError),
    *(pickle.UnpicklingError, zipfile.BadZipFile),
)
LAST, BEST = "last.pt", "best.safetensors"


def save_checkpoint(folder: Path, state: dict[str, Any], fits: dict[str, Any]) -> None:
    """Write `last.pt`; `fits` (settings, data, ranks) must be equal again for a resume."""
    with atomic_open(folder / LAST) as handle:
        try:
            torch.save({"format": FORMAT, "fits": fits, "state": state}, handle)
        except RuntimeError as error:
            # Of a write that the system refused, torch then says that its file is not as expected.
            if isinstance(error.__context__, OSError):
                raise error.__context__ from None
            raise


def load_checkpoint(folder: Path, fits: dict[str, Any]) -> tuple[dict[str, Any] | None, str]:
    """State of an earlier run to go on from, or None; and a sentence that says which and why.

    A run with other settings or data starts anew: that is what a change of them asks for. Raises
    TrainingError where the run is the same one but cannot be resumed here (another format or
    number of ranks, an unreadable file): going on would silently be another run.
    """
    path = folder / LAST
    if not path.exists():
        return None, "no earlier state: starting"
    try:
        saved = torch.load(path, map_location="cpu", weights_only=True)
        known, state, written = dict(saved["fits"]), dict(saved["state"]), saved["format"]
    except UNREADABLE as error:
        if isinstance(error, OSError) and error.errno != errno.EINVAL:
            raise
        raise TrainingError(
            f"{path} is not a readable checkpoint: start anew with specvit train --fresh"
        ) from error
    changed = [key for key in ("settings", "data") if known.get(key) != fits[key]]
    if changed:
        return None, f"{' and '.join(changed)} differ from the earlier run's: starting anew"
    if written != FORMAT:
        raise TrainingError(
            f"{path} has format {written}, this version of specvit writes {FORMAT}: finish "
            "with the version that began, or start anew with specvit train --fresh"
        )
    if known["ranks"] != fits["ranks"]:
        raise TrainingError(
            f"{path} was written by {known['ranks']} ranks and cannot go on with {fits['ranks']}: "
            f"use {known['ranks']} again (train.gpus, train.ranks), or start anew with "
            "specvit train --fresh"
        )
    return state, f"going on from {path}"


def save_weights(folder: Path, network: nn.Module) -> None:
    """Write the weights of the best epoch so far."""
    state = {name: value.detach().contiguous() for name, value in network.state_dict().items()}
    # Not `save_file`: what the system refuses is then an error of safetensors' own.
    with atomic_open(folder / BEST) as handle:
        handle.write(safetensors.torch.save(state))


def load_weights(folder: Path, network: nn.Module) -> None:
    """Put the weights of the best epoch into a network. Raises TrainingError, see `check_same`."""
    path = folder / BEST
    try:
        weights = safetensors.torch.load_file(path)
    except (OSError, SafetensorError) as error:
        raise TrainingError(
            f"{path} is not readable ({on_one_line(error)}): start anew with specvit train --fresh"
        ) from error
    check_same(path, weights, network)
    network.load_state_dict(weights)


def check_same(path: Path, weights: Mapping[str, torch.Tensor], network: nn.Module) -> None:
    """Raise TrainingError unless the weights in a file are those of such a network.

    The settings may be the same and the network not: another version of specvit built it.
    """
    theirs, ours = (
        {name: value.shape for name, value in state.items()}
        for state in (weights, network.state_dict())
    )
    if theirs != ours:
        odd = min(name for name in theirs.keys() | ours if theirs.get(name) != ours.get(name))
        raise TrainingError(
            f"{path} is of another network than this version of specvit builds ({odd} differs): "
            "finish with the version that began, or start anew with specvit train --fresh"
        )


def generator_states() -> dict[str, Any]:
    """States of this rank's generators, as tensors and plain values."""
    kind, keys, *rest = np.random.get_state(legacy=True)  # noqa: NPY002
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state() if torch.cuda.is_available() else None,
        "numpy": [str(kind), torch.from_numpy(np.asarray(keys, dtype=np.int64)), *rest],
        "python": random.getstate(),
    }


def restore_generators(states: dict[str, Any]) -> None:
    """Put this rank's generators where `generator_states` found them."""
    torch.set_rng_state(states["torch"])
    if states["cuda"] is not None:
        torch.cuda.set_rng_state(states["cuda"])
    kind, keys, *rest = states["numpy"]
    np.random.set_state((kind, keys.numpy().astype(np.uint32), *rest))  # noqa: NPY002
    version, internal, gauss = states["python"]
    random.setstate((version, tuple(internal), gauss))
