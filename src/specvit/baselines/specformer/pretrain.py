"""Pretraining without labels: some windows are hidden, the encoder says what was there.

As in AstroCLIP: six stretches of the sequence, each of 50 of its 778 tokens (as large a share of a
shorter sequence), one in each sixth; the loss is the mean square error over what was hidden.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from specvit.baselines.features import batches
from specvit.baselines.specformer.encoder import Encoder, Shape
from specvit.baselines.trained import repeatable
from specvit.errors import TrainingError
from specvit.logs import progress

CHUNKS = 6
SHARE = 50 / 778
"""Of the sequence, hidden in each chunk."""
BATCH = 64
WEIGHT_DECAY = 0.1
BETAS = (0.9, 0.95)
WARMUP = 0.1  # share of the steps in which the learning rate rises
CLIP = 1.0  # longest gradient


def learning_rate(width: int) -> float:
    """Highest learning rate: wider networks bear less."""
    return 0.064 / width


def hidden(n: int, length: int, generator: np.random.Generator) -> NDArray[np.bool_]:
    """Which tokens are hidden from the encoder, (n, length): a stretch in each of CHUNKS parts."""
    part = length // CHUNKS
    wide = max(round(SHARE * length), 1)
    begins = generator.integers(0, max(part - wide, 1), (n, CHUNKS)) + part * np.arange(CHUNKS)
    at = np.arange(length)
    mask = (at >= begins[..., None]) & (at < begins[..., None] + wide)
    return np.asarray(mask.any(axis=1))


def masked_loss(encoder: Encoder, tokens: Tensor, mask: Tensor) -> Tensor:
    """Mean square error over the hidden tokens; tokens (n, length, TOKEN), mask (n, length)."""
    guess = encoder.reconstruct(torch.where(mask[..., None], 0.0, tokens))
    return ((guess - tokens)[mask] ** 2).mean()


def pretrain(
    flux: NDArray[np.float16],
    val_flux: NDArray[np.float16],
    shape: Shape,
    epochs: int,
    seed: int,
    device: torch.device,
) -> tuple[Encoder, list[dict[str, Any]]]:
    """An encoder pretrained on flux (n, pixels) of the train split; losses of each epoch."""
    with repeatable(seed):
        encoder = Encoder(shape).to(device)
        rate, generator = learning_rate(shape.width), np.random.default_rng(seed)
        optimizer = torch.optim.AdamW(
            encoder.parameters(), rate, weight_decay=WEIGHT_DECAY, betas=BETAS
        )
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, rate, total_steps=epochs * -(-len(flux) // BATCH), pct_start=WARMUP
        )
        history = []
        with progress("specformer, pretraining", epochs * len(flux)) as tick:
            for epoch in range(1, epochs + 1):
                encoder.train()
                total = 0.0
                shuffled = generator.permutation(len(flux))
                for part in batches(len(flux), BATCH):
                    rows = np.sort(shuffled[part])
                    tokens, mask = _masked(shape, flux[rows], generator, device)
                    loss = masked_loss(encoder, tokens, mask)
                    if not torch.isfinite(loss):
                        raise TrainingError(f"specformer: the loss of epoch {epoch} is not finite")
                    optimizer.zero_grad(set_to_none=True)
                    loss.backward()  # type: ignore[no-untyped-call]
                    torch.nn.utils.clip_grad_norm_(encoder.parameters(), CLIP)
                    optimizer.step()
                    schedule.step()
                    total += loss.item() * len(rows)
                    tick.advance(len(rows))
                val_loss = _val_loss(encoder, shape, val_flux, seed, device)
                history.append({"epoch": epoch, "train": total / len(flux), "val": val_loss})
                tick.advance(0, f"val loss {val_loss:.4f}")
        return encoder.eval(), history


def _masked(
    shape: Shape, flux: NDArray[np.float16], generator: np.random.Generator, device: torch.device
) -> tuple[Tensor, Tensor]:
    tokens = shape.windows.tokens(flux)
    mask = hidden(len(flux), tokens.shape[1], generator)
    return torch.from_numpy(tokens).to(device), torch.from_numpy(mask).to(device)


def _val_loss(
    encoder: Encoder, shape: Shape, flux: NDArray[np.float16], seed: int, device: torch.device
) -> float:
    """The same windows are hidden at each epoch."""
    encoder.eval()
    generator, total = np.random.default_rng(seed), 0.0
    with torch.no_grad():
        for part in batches(len(flux), BATCH):
            loss = masked_loss(encoder, *_masked(shape, flux[part], generator, device))
            total += loss.item() * (part.stop - part.start)
    return total / len(flux)
