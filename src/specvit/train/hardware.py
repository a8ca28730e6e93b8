"""What the processor can do: arithmetic, peak rate, and how much of it training uses."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cache
from typing import Literal

import torch
from torch.utils.flop_counter import FlopCounterMode

from specvit.machine import peak_rss_mb
from specvit.models.vit import SpecViT

# Dense bfloat16 tensor-core peaks of NVIDIA's data sheets in FLOP/s, by (part of) the card's name;
# the first that matches counts.
BFLOAT16_PEAKS = {
    "B200": 2250e12,
    "H200": 989.4e12,
    "H100 PCIe": 756e12,
    "H100 NVL": 835e12,
    "H100": 989.4e12,
    "A100": 312e12,
    "L40S": 362.05e12,
    "A40": 149.7e12,
    "A10": 125e12,
    "L4": 121e12,
}
REPEATS = 20  # a peak is the best of them: other work on the machine only slows
MATMUL_SIZES = {"cpu": 1024, "cuda": 8192}


@dataclass(frozen=True)
class Peak:
    """The rate that MFU is measured against, and where it is from."""

    flops: float
    source: str


def use_bfloat16(precision: Literal["auto", "float32", "bfloat16"], device: torch.device) -> bool:
    """Whether the forward pass runs in bfloat16.

    auto: on GPUs with bfloat16 units and on CPUs with AMX; elsewhere it is slower than float32.
    """
    if precision != "auto":
        return precision == "bfloat16"
    return has_bfloat16(device)


def has_bfloat16(device: torch.device) -> bool:
    """Whether the hardware has bfloat16 units.

    AVX512-BF16 does not count: with it alone a small ViT trained at half the rate of float32.
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu._is_amx_tile_supported())


def peak_flops(device: torch.device, bfloat16: bool) -> Peak:
    """Peak of the card's data sheet where it is known, else of a large matmul run here."""
    # Where bfloat16 is emulated, float32 is the faster way: the peak of what is really there.
    dtype = torch.bfloat16 if bfloat16 and has_bfloat16(device) else torch.float32
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
        for part, flops in BFLOAT16_PEAKS.items():
            if bfloat16 and part in name:
                return Peak(flops, f"dense bfloat16 peak of {name}, data sheet")
        where = name
    else:
        where = f"{torch.get_num_threads()} CPU thread(s)"
    size = MATMUL_SIZES[device.type]
    kind = str(dtype).removeprefix("torch.")
    rate = _matmul_rate(device, dtype, size, torch.get_num_threads())
    return Peak(rate, f"{kind} matmul of {size} x {size} measured on {where}")


@cache
def _matmul_rate(device: torch.device, dtype: torch.dtype, size: int, threads: int) -> float:
    a = torch.ones(size, size, device=device, dtype=dtype)
    best = float("inf")
    for _ in range(REPEATS):
        synchronize(device)
        start = time.perf_counter()
        torch.mm(a, a)
        synchronize(device)
        best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best


def synchronize(device: torch.device) -> None:
    """Wait until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def flops_per_picture(network: SpecViT, device: torch.device) -> int:
    """Floating-point operations of one forward and backward pass of one picture.

    Counted by torch over matrix products, convolutions and attention; a frozen backbone has no
    backward pass. MFU = this x pictures/s / peak (model FLOPs utilisation, Chowdhery et al. 2022,
    appendix B). Neither generators nor gradients are left changed.
    """
    shape = (1, network.render.channels, network.render.size, network.render.size)
    pictures = torch.zeros(shape, dtype=torch.uint8, device=device)
    devices = [device] if device.type == "cuda" else []
    counter = FlopCounterMode(display=False)
    with torch.random.fork_rng(devices), counter:
        torch.stack([output.sum() for output in network(pictures).values()]).sum().backward()  # type: ignore[no-untyped-call]
    network.zero_grad(set_to_none=True)
    return counter.get_total_flops()


def peak_memory_mb(device: torch.device) -> float:
    """Largest memory so far: of the card as torch allocated it, else of this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e6
    return peak_rss_mb()
