"""Learning rate over a run: linear warm-up, then half a cosine."""

from __future__ import annotations

import math

FLOOR = 0.01  # of the highest learning rate, reached at the last step


def lr_factor(step: int, steps: int, warmup: int) -> float:
    """Factor on the learning rate in step 0, 1, ... of `steps`.

    Rises linearly over `warmup` steps to 1 (SGDR's cosine, Loshchilov & Hutter 2017, after it).
    """
    if step < warmup:
        return (step + 1) / (warmup + 1)
    progress = (step - warmup) / max(steps - 1 - warmup, 1)
    return FLOOR + (1 - FLOOR) * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))
