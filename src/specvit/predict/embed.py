"""Embeddings of the spectra in shards."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from specvit.errors import DataError
from specvit.models import SpecViT
from specvit.models.precision import full_float32
from specvit.novelty import COLUMNS, MOST, Floats
from specvit.predict.split import BATCH_SIZE
from specvit.shards.index import read_index
from specvit.shards.subset import ALL, Subset
from specvit.train.loader import evaluation_batches
from specvit.train.samples import Samples


def embed_shards(
    model: SpecViT,
    shards: Sequence[Path],
    subset: Subset = ALL,
    *,
    most: int = MOST,
    device: torch.device | None = None,
    workers: int = 0,
) -> tuple[Floats, pd.DataFrame]:
    """Embeddings (n, d) of up to `most` spectra, spread over these shards, and their rows.

    Columns of the rows: COLUMNS. Raises DataError for a sample that cannot be read.
    """
    device = device or torch.device("cpu")
    model = model.to(device).eval()
    columns = dict.fromkeys([*Samples.columns([]), *subset.columns, *COLUMNS])
    index = read_index(shards, columns)
    taken = np.flatnonzero(subset.mask(index.table))
    chosen = np.linspace(0, len(taken), min(most, len(taken)), endpoint=False).astype(int)
    samples = Samples.of(index, [], subset)
    samples = samples.with_arrays({k: array[chosen] for k, array in samples.arrays().items()})
    rows = index.table.select(COLUMNS).to_pandas().iloc[taken[chosen]].reset_index(drop=True)
    found = []
    with torch.inference_mode(), full_float32():
        for batch in evaluation_batches(samples, model.render, BATCH_SIZE, workers=workers):
            if batch.bad:
                raise DataError(f"{batch.bad[0].name} cannot be embedded: {batch.bad[0].reason}")
            pictures = batch.pictures.to(device, non_blocking=True)
            found.append(model.embedding(*model.tokens(pictures)).cpu().numpy())
    return np.concatenate([*found, np.empty((0, model.width))]).astype(np.float64), rows
