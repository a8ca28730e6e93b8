"""Predictions of a trained network for a split: each spectrum exactly once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from specvit.config.data import Render
from specvit.errors import DataError
from specvit.logs import progress
from specvit.models import SpecViT
from specvit.predictions import IDENTITY
from specvit.train.index import BadSample, Subset, index_shards
from specvit.train.loader import evaluation_batches

BATCH_SIZE = 256


def predict_split(
    model: SpecViT,
    shards: Sequence[Path],
    split: str,
    *,
    device: torch.device | None = None,
    workers: int = 0,
    batch_size: int = BATCH_SIZE,
) -> pd.DataFrame:
    """Predict every spectrum of these shards once (extra noise draws are left out).

    Returns the identity columns and those of each task, as in `specvit.predictions`. The forward
    pass is in float32. Raises DataError for a sample that cannot be read (a test over the rest
    would not be the test that other models took) and for one of another split.
    """
    device = device or torch.device("cpu")
    model = model.to(device).eval()
    index = index_shards(shards, model.tasks, Subset())
    _refuse(index.bad)
    frames = []
    batches = evaluation_batches(
        index, model.render, batch_size, workers=workers, rows=True, pin=device.type == "cuda"
    )
    with progress(f"predict {split}", total=len(index)) as tick, torch.inference_mode():
        for batch in batches:
            _refuse(batch.bad)
            _check_split(batch.rows, split)
            outputs = model(batch.pictures.to(device, non_blocking=True))
            # What heads do with a distribution is little work, in double precision: not for a GPU.
            cpu = {name: output.cpu() for name, output in outputs.items()}
            columns = pd.DataFrame(model.decode(cpu, batch.labels))
            identity = pd.DataFrame(batch.rows, columns=list(IDENTITY))
            frames.append(pd.concat([identity, columns], axis=1))
            tick.advance(len(batch.rows))
    if not frames:
        raise DataError(f"the shards of the split {split} hold no spectrum")
    return pd.concat(frames, ignore_index=True)


def check_render(model: SpecViT, render: Render) -> None:
    """Raise DataError where the network was trained on other plots than these."""
    was, now = model.render.model_dump(), render.model_dump()
    changed = [f"{key} = {was[key]} then, {now[key]} now" for key in was if was[key] != now[key]]
    if changed:
        raise DataError(
            f"the network was trained on other plots (render: {'; '.join(changed)}): train again"
        )


def _refuse(bad: Sequence[BadSample]) -> None:
    if bad:
        raise DataError(
            f"{bad[0].name} cannot be predicted: {bad[0].reason} (specvit verify finds all such); "
            "make its shard again"
        )


def _check_split(rows: list[dict[str, Any]], split: str) -> None:
    other = [row for row in rows if row["split"] != split]
    if other:
        raise DataError(
            f"{other[0]['spectrum_id']} is of the split {other[0]['split']} but lies in a shard of "
            f"{split}: make the shards again"
        )
