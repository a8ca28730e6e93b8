"""A trained network as a folder that others can use, without the run that made it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from specvit.errors import ConfigError, DataError
from specvit.find_model import SETTINGS
from specvit.io import atomic_open, read_json, write_json, write_text
from specvit.models.store import WEIGHTS, load_model
from specvit.novelty import NAME as NOVELTY
from specvit.share.card import card_of
from specvit.share.timm_folder import write_backbone

CALIBRATION, CARD, BACKBONE = "calibration.json", "README.md", "backbone"
KEPT = (CALIBRATION, NOVELTY)
"""What goes with a model where it has it."""
PT2, ONNX = "model.pt2", "model.onnx"
OURS = {SETTINGS, WEIGHTS, *KEPT, CARD, BACKBONE, PT2, ONNX}


def export_model(
    source: Path, target: Path, *, pt2: bool = False, onnx: bool = False
) -> list[Path]:
    """Write the network of a model's folder into another folder; return what was written.

    What is written is `model.safetensors`, `model.json` and, where the model has them, its
    calibration and what its training was like; `backbone/` for timm; a card; and with `pt2` or
    `onnx` programs that need no specvit. Each is read back and compared with the network. Raises
    DataError where there is no network or it cannot be had in one of these forms, ConfigError where
    the target has other files.
    """
    if not (source / WEIGHTS).exists():
        raise DataError(f"{source} has no {WEIGHTS}: only networks are exported")
    model = load_model(source)
    strange = sorted(path.name for path in target.glob("*") if path.name not in OURS)
    if strange:
        raise ConfigError(f"{target} has files of something else ({strange[0]}): name a new folder")
    programs = [name for name, is_asked in ((PT2, pt2), (ONNX, onnx)) if is_asked]
    if programs:
        from specvit.share.programs import save_onnx, save_torch

        if pt2:
            save_torch(model, target / PT2)
        if onnx:
            save_onnx(model, target / ONNX)
    write_backbone(model, target / BACKBONE)
    _copy(source / WEIGHTS, target / WEIGHTS)
    write_json(target / SETTINGS, _without_paths(read_json(source / SETTINGS)))
    for name in KEPT:
        if (source / name).exists():
            _copy(source / name, target / name)
    card = source / CARD  # of a model that came from elsewhere
    write_text(
        target / CARD, card.read_text() if card.exists() else card_of(source, model, programs)
    )
    return sorted(path for path in target.rglob("*") if path.is_file())


def _without_paths(settings: dict[str, Any]) -> dict[str, Any]:
    """A model's settings, of whose files only the names are anybody else's business."""
    named = {
        key: Path(settings["model"][key]).name
        for key in ("weights", "init")
        if settings["model"].get(key) is not None
    }
    return {**settings, "model": {**settings["model"], **named}}


def _copy(source: Path, target: Path) -> None:
    with atomic_open(target) as handle:
        handle.write(source.read_bytes())
