"""Saved models that run no code when they are loaded.

Scikit-learn's models are a skops archive, `model.skops`; networks and templates are arrays in
`model.safetensors` with their settings in `model.json`.
"""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from specvit.errors import DataError
from specvit.io import atomic_open, read_json, sha256_file, write_json

SKOPS, ARRAYS, SETTINGS = "model.skops", "model.safetensors", "model.json"

# skops loads only types on its own list and on this one. A tree's nodes are plain arrays; it is
# the one type of scikit-learn written in C that a forest needs.
TRUSTED = ["sklearn.tree._tree.Tree"]


def save_arrays(folder: Path, arrays: dict[str, NDArray[Any]], settings: dict[str, Any]) -> None:
    """Write arrays and settings; the settings hold the arrays' hash and are written last."""
    from safetensors.numpy import save

    data = save({name: np.asarray(array, order="C") for name, array in arrays.items()})
    with atomic_open(folder / ARRAYS) as handle:
        handle.write(data)
    write_json(folder / SETTINGS, {**settings, "arrays_sha256": hashlib.sha256(data).hexdigest()})


def load_arrays(folder: Path) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Read what `save_arrays` wrote. Raises DataError where a file is missing or damaged."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    settings = read_json(folder / SETTINGS)
    path = folder / ARRAYS
    if not path.is_file():
        raise DataError(f"{path} does not exist: train the baseline first")
    if not isinstance(settings, dict) or settings.get("arrays_sha256") != sha256_file(path):
        raise DataError(f"{path} does not belong to {folder / SETTINGS}: train the baseline again")
    try:
        return load(path.read_bytes()), settings
    except SafetensorError as error:
        raise DataError(f"{path} cannot be read: {error}") from error


def save_skops(path: Path, state: dict[str, Any]) -> None:
    """Write arrays, numbers, text and scikit-learn estimators as a skops archive, atomically."""
    import skops.io

    with atomic_open(path) as handle:
        skops.io.dump(state, handle, compression=zipfile.ZIP_DEFLATED, compresslevel=1)


def load_skops(path: Path) -> dict[str, Any]:
    """Read what `save_skops` wrote; DataError where it is missing, damaged or of unknown types."""
    import skops.io

    try:
        state = skops.io.load(path, trusted=TRUSTED)
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist: train the baseline first") from error
    # skops and scikit-learn raise errors of many kinds for a file that is not theirs.
    except Exception as error:
        raise DataError(
            f"{path} cannot be loaded as a baseline ({type(error).__name__}: "
            f"{' '.join(str(error).split())[:200]}): train it again"
        ) from error
    if not isinstance(state, dict):
        raise DataError(f"{path} holds {type(state).__name__}, not a baseline")
    return state
