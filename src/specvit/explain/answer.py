"""What a network answers to spectra, and which stretches of wavelength speak for it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from specvit.explain.axis import Floats, from_patches, from_pixels
from specvit.explain.mask import only_continuum
from specvit.explain.relevance import attention_rollout, integrated_gradients, log_odds
from specvit.models import SpecViT
from specvit.models.heads import Columns
from specvit.models.vit import as_pictures
from specvit.plot import draw
from specvit.spectrum import Spectrum
from specvit.tasks import Task

METHODS = ("rollout", "gradient")


def pictures_of(network: SpecViT, spectra: Sequence[Spectrum]) -> Tensor:
    """The pictures that the network sees, uint8 (n, channels, size, size)."""
    drawn = [draw(one, network.render, network.grid, one.header.z) for one in spectra]
    return as_pictures(np.stack(drawn))


@torch.inference_mode()
def answers(network: SpecViT, pictures: Tensor) -> tuple[dict[str, Tensor], Columns]:
    """Raw outputs by task, and what they say in columns."""
    outputs = network(pictures.to(network.mean.device))
    return outputs, network.decode({name: one.cpu() for name, one in outputs.items()})


def chosen_of(task: Task, columns: Columns) -> Tensor:
    """The answers as `relevance` takes them: positions of labels, or redshifts."""
    predicted = columns[f"{task.name}_pred"]
    if task.kind == "classification":
        return torch.tensor([task.labels.index(label) for label in predicted])
    return torch.tensor(predicted, dtype=torch.float64)


@torch.inference_mode()
def odds(network: SpecViT, task: Task, outputs: dict[str, Tensor], chosen: Tensor) -> Floats:
    """Log odds of the chosen answers, (n,)."""
    return np.asarray(log_odds(network, task, outputs[task.name], chosen).cpu(), np.float64)


def along_wavelength(
    network: SpecViT, spectra: Sequence[Spectrum], task: Task, chosen: Tensor
) -> dict[str, Floats]:
    """Relevance of each stretch of wavelength, (n, stretches) by method; each adds up to 1.

    `rollout` is attention rollout; for `gradient` see there.
    """
    pictures = pictures_of(network, spectra)
    smooth = pictures_of(network, [only_continuum(one) for one in spectra])
    seen = _numpy(attention_rollout(network, pictures, task))
    return {
        "rollout": _shares(from_patches(seen, network.render)),
        "gradient": gradient(network, pictures, smooth, task, chosen),
    }


def gradient(
    network: SpecViT, pictures: Tensor, smooth: Tensor, task: Task, chosen: Tensor
) -> Floats:
    """What speaks for the chosen answers (positions of labels, or redshifts), (n, stretches).

    Of all that the spectra have beyond their continua, whose pictures are `smooth`: the positive
    part of integrated gradients from those pictures to the spectra's. Adds up to 1.
    """
    found = _numpy(integrated_gradients(network, pictures, smooth, task, chosen))
    return _shares(from_pixels(found, network.render).clip(min=0))


def _shares(values: Floats) -> Floats:
    total = values.sum(axis=1, keepdims=True)
    return np.asarray(np.divide(values, total, out=np.zeros_like(values), where=total > 0))


def _numpy(values: Tensor) -> Floats:
    return np.asarray(values.detach().cpu(), np.float64)
