"""Relevance of a picture's patches and pixels for what a network answers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import torch
from torch import Tensor, nn

from specvit.errors import DataError
from specvit.models import SpecViT
from specvit.models.heads import RedshiftHead, RegressionHead
from specvit.models.redshift import log_density
from specvit.tasks import Task

FUSED = "fused_attn"
STEPS = 16
"""Points on the way from a baseline to a picture."""


def explained(network: SpecViT) -> list[Task]:
    """The tasks whose answers can be explained: what is a choice, of a label or of a peak."""
    heads = network.heads
    return [t for t in network.tasks if not isinstance(heads[t.name], RegressionHead)]


def log_odds(network: SpecViT, task: Task, output: Tensor, chosen: Tensor) -> Tensor:
    """Log odds of an answer against all others, (n,), from a task's raw outputs.

    `chosen` (n,) are positions of labels, or redshifts: of those, all within a bin's width. Unlike
    a probability, log odds go on rising where the network is sure.
    """
    head, chosen = network.heads[task.name], chosen.to(output.device)
    if isinstance(head, RedshiftHead):
        logits = log_density(output)
        middle = torch.arange(logits.shape[1], device=output.device) + 0.5
        middle = middle * head.bins.count / logits.shape[1]
        x = head.bins.position(chosen).clamp(0, head.bins.count)
        inside = (middle - x[:, None]).abs() <= 1
    else:
        logits = output
        inside = torch.arange(logits.shape[1], device=output.device) == chosen[:, None]
    those = logits.masked_fill(~inside, -torch.inf)
    others = logits.masked_fill(inside, -torch.inf)
    return those.logsumexp(dim=1) - others.logsumexp(dim=1)


def integrated_gradients(
    network: SpecViT, pictures: Tensor, baselines: Tensor, task: Task, chosen: Tensor
) -> Tensor:
    """What each pixel adds to the log odds of the chosen answers, on the way from a baseline.

    Integrated gradients (Sundararajan, Taly & Yan 2017) by the midpoint rule. All pictures are
    uint8 (n, channels, size, size); the answer is float32 of the same shape, whose sum over a
    picture is the difference of the two pictures' log odds, to within the steps.
    """
    device = network.mean.device
    start, end = baselines.to(device).float(), pictures.to(device).float()
    total = torch.zeros_like(end)
    for step in range(STEPS):
        values = (start + (step + 0.5) / STEPS * (end - start)).requires_grad_()
        with torch.enable_grad():
            score = log_odds(network, task, network(values)[task.name], chosen)
            total += torch.autograd.grad(score.sum(), values)[0]
    return total / STEPS * (end - start)


@torch.no_grad()
def attention_rollout(network: SpecViT, pictures: Tensor, task: Task) -> Tensor:
    """Share of each patch in what the task's head sees, (n, rows, columns).

    Attention rollout (Abnar & Zuidema 2020): attention, averaged over heads, times attention, half
    of each layer being what passes by it. The same whatever is answered. Raises DataError for a
    backbone whose attention cannot be seen.
    """
    with attention_maps(network) as maps:
        network.tokens(pictures.to(network.mean.device))
    share = _seen(network, task, maps[0])
    for attention in reversed(maps):
        share = (share + torch.einsum("nt,nhts->ns", share, attention) / attention.shape[1]) / 2
    projection = cast(nn.Conv2d, network.backbone.get_submodule("patch_embed.proj"))
    rows, columns = (network.render.size // side for side in projection.kernel_size)
    return share[:, _prefix(network) :].reshape(-1, rows, columns)


@contextmanager
def attention_maps(network: SpecViT) -> Iterator[list[Tensor]]:
    """The attention of each block, (n, heads, tokens, tokens), as a forward pass makes it."""
    maps: list[Tensor] = []

    def note(_: nn.Module, __: object, output: Tensor) -> None:
        maps.append(output)

    blocks = getattr(network.backbone, "blocks", None)
    layers = [
        module
        for module in (blocks.modules() if isinstance(blocks, nn.Module) else ())
        if hasattr(module, FUSED) and hasattr(module, "attn_drop")
    ]
    if not layers:
        raise DataError(
            f"model.backbone = {network.settings.backbone!r} does not show its attention: it "
            "cannot be explained"
        )
    was = [getattr(layer, FUSED) for layer in layers]
    hooks = [cast(nn.Module, layer.attn_drop).register_forward_hook(note) for layer in layers]
    try:
        for layer in layers:
            setattr(layer, FUSED, False)  # the fast kernels never write the map down
        yield maps
    finally:
        for layer, fused, hook in zip(layers, was, hooks, strict=True):
            setattr(layer, FUSED, fused)
            hook.remove()


def _seen(network: SpecViT, task: Task, attention: Tensor) -> Tensor:
    """Share of each of the last layer's tokens in what a head sees, (n, tokens).

    The head of redshift reads all patches alike, the others the pooled token (what a class owes to
    the redshift's density is left out).
    """
    share = attention.new_zeros(len(attention), attention.shape[-1])
    if task.kind != "redshift" and getattr(network.backbone, "global_pool", "") == "token":
        share[:, 0] = 1.0
    else:
        prefix = _prefix(network)
        share[:, prefix:] = 1 / (share.shape[1] - prefix)
    return share


def _prefix(network: SpecViT) -> int:
    return cast(int, network.backbone.num_prefix_tokens)
