"""Predictions of a trained network for a split: each spectrum exactly once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
import pyarrow.compute as pc
import torch

from specvit.config.data import Grid, Render
from specvit.config.start import plot_changes
from specvit.errors import DataError
from specvit.logs import progress
from specvit.models import SpecViT
from specvit.models.precision import full_float32
from specvit.novelty import Floats
from specvit.plot import render_hash
from specvit.predictions import IDENTITY
from specvit.shards.index import Index, read_index
from specvit.train.loader import evaluation_batches
from specvit.train.samples import BadSample, Samples

BATCH_SIZE = 256


def predict_split(
    model: SpecViT,
    shards: Sequence[Path],
    split: str,
    *,
    device: torch.device | None = None,
    workers: int = 0,
    batch_size: int = BATCH_SIZE,
    describe: Callable[[Floats], pd.DataFrame] | None = None,
) -> pd.DataFrame:
    """Predict every spectrum of these shards once.

    Returns the identity columns and those of each task, as in `specvit.predictions`, and those that
    `describe` makes of embeddings (n, width). The forward pass is in float32. Raises DataError for
    a sample that cannot be read (a test over the rest would not be the test that other models took)
    and for one of another split or with other plots than the network was trained on.
    """
    device = device or torch.device("cpu")
    model = model.to(device).eval()
    columns = dict.fromkeys([*Samples.columns(model.tasks), *IDENTITY, "split"])
    index = read_index(shards, columns)
    _check_shards(index, split, render_hash(model.render, model.grid))
    samples = Samples.of(index, model.tasks)
    identity = index.table.select(IDENTITY).to_pandas()
    frames = []
    batches = evaluation_batches(
        samples, model.render, batch_size, workers=workers, pin=device.type == "cuda"
    )
    with (
        progress(f"predict {split}", total=len(samples)) as tick,
        torch.inference_mode(),
        full_float32(),
    ):
        for batch in batches:
            _refuse(batch.bad)
            tokens = model.tokens(batch.pictures.to(device, non_blocking=True))
            outputs = model.outputs(*tokens)
            # What heads do with a distribution is little work, in double precision: not for a GPU.
            cpu = {name: output.cpu() for name, output in outputs.items()}
            answers = pd.DataFrame(model.decode(cpu, batch.labels))
            rows = identity.iloc[batch.samples].reset_index(drop=True)
            parts = [rows, answers]
            if describe is not None:
                parts.append(describe(model.embedding(*tokens).double().cpu().numpy()))
            frames.append(pd.concat(parts, axis=1))
            tick.advance(len(rows))
    if not frames:
        raise DataError(f"the shards of the split {split} hold no spectrum")
    return pd.concat(frames, ignore_index=True)


def check_plots(model: SpecViT, render: Render, grid: Grid) -> None:
    """Raise DataError where the network was trained on other plots than these."""
    changes = plot_changes((model.render, model.grid), (render, grid))
    changed = [f"{key} = {was} then, {now} now" for key, (was, now) in changes.items()]
    if changed:
        raise DataError(
            f"the network was trained on other plots ({'; '.join(changed)}): train again"
        )


def _refuse(bad: Sequence[BadSample]) -> None:
    if bad:
        raise DataError(
            f"{bad[0].name} cannot be predicted: {bad[0].reason} (specvit verify finds all such); "
            "make its shard again"
        )


def _check_shards(index: Index, split: str, plots: str) -> None:
    """Raise DataError for shards of another split or drawn otherwise than for training."""
    index.check_plots(plots)
    other = index.table.filter(pc.not_equal(index.table["split"], split))
    if len(other):
        row = other.select(["spectrum_id", "split"]).slice(0, 1).to_pylist()[0]
        raise DataError(
            f"{row['spectrum_id']} is of the split {row['split']}, not of {split}: make the shards "
            "again"
        )
