"""A trained model as two files that others can load safely: safetensors and JSON, never pickle."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import safetensors.torch
import timm
import torch
from pydantic import ValidationError
from safetensors import SafetensorError

import specvit
from specvit.errors import DataError
from specvit.find_model import FORMAT, SETTINGS, network_described, network_of
from specvit.io import atomic_open, sha256_file, write_json
from specvit.models.labels import LabelStats
from specvit.models.vit import SpecViT
from specvit.tasks import tasks_of

WEIGHTS = "model.safetensors"


def save_model(
    folder: Path, model: SpecViT, training: dict[str, Any] | None = None, *, half: bool = False
) -> None:
    """Write `model.safetensors` and `model.json`; the same model gives the same bytes.

    `training` is what the run wants to remember beside the model (plain values: epoch, metrics).
    With `half`, weights are rounded to float16, in half the space; they are used in float32.
    """
    dtype = torch.float16 if half else None
    state = {
        name: value.detach().to("cpu", dtype).contiguous()
        for name, value in model.state_dict().items()
    }
    data = safetensors.torch.save(state)
    with atomic_open(folder / WEIGHTS) as handle:
        handle.write(data)
    # Written last: its hash says which weights it belongs to.
    write_json(
        folder / SETTINGS,
        {
            "format": FORMAT,
            "model": model.settings.model_dump(mode="json"),
            "tasks": [task.name for task in model.tasks],
            "labels": {task.name: list(task.labels) for task in model.tasks},
            "render": model.render.model_dump(mode="json"),
            "grid": model.grid.model_dump(mode="json"),
            "label_stats": model.stats.as_dict(),
            "weights_sha256": hashlib.sha256(data).hexdigest(),
            "versions": {
                "specvit": specvit.__version__,
                "timm": timm.__version__,
                "torch": torch.__version__,
            },
            "training": training or {},
        },
    )


def load_model(folder: Path) -> SpecViT:
    """Read what `save_model` wrote, in evaluation mode. Raises DataError where it is not whole."""
    path = folder / WEIGHTS
    settings = network_described(folder)
    if not path.is_file():
        raise DataError(f"{path} does not exist")
    if settings.get("weights_sha256") != sha256_file(path):
        raise DataError(f"{path} does not belong to {folder / SETTINGS}: their hashes differ")
    try:
        config, render, grid = network_of(settings)
        stats = LabelStats.from_dict(settings["label_stats"])
        tasks = tasks_of(settings["tasks"], settings["labels"])
        labels = {task.name: list(task.labels) for task in tasks}
        if labels != settings["labels"]:
            raise DataError(
                f"{folder / SETTINGS} has other labels than this version of specvit knows: train "
                f"again, or use the version that wrote it ({settings['versions']['specvit']})"
            )
        model = SpecViT(config, tasks, render, stats, grid, pretrained=False)
        model.load_state_dict(safetensors.torch.load_file(path))
    except (
        *(LookupError, TypeError, ValueError, AttributeError, RuntimeError),
        *(ValidationError, SafetensorError),
    ) as error:
        reason = " ".join(str(error).split())[:240]
        raise DataError(f"{folder} does not hold a model of specvit: {reason}") from error
    return model.eval()
