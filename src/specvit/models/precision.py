"""The same numbers on every device: float32 as such."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def full_float32() -> Iterator[None]:
    """No TF32 (ten bits of mantissa) in a GPU's products and convolutions, whatever was set before.

    cuDNN uses it for convolutions unless told otherwise, and training asks for it: an answer would
    then differ from a CPU's in the fourth digit.
    """
    products, convolutions = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(products)
        torch.backends.cudnn.allow_tf32 = convolutions
