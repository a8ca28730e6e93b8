"""A network that learns a made-up class which one line decides: where it must look is known."""

from __future__ import annotations

import numpy as np
import torch

from spectrum_files import LOGLAM, spectrum_of
from specvit.config.data import Grid, Render
from specvit.config.learning import Model
from specvit.explain.answer import pictures_of
from specvit.models import LabelStats, SpecViT, build_model
from specvit.spectrum import Spectrum
from specvit.tasks import tasks_of

TASKS = tasks_of(["class"])
DECIDES = 7000.0
"""Angstrom of the line that every GALAXY has and no STAR."""
IN_BOTH = 5000.0
LABEL_SMOOTHING = 0.2
"""Else the network would answer in one step, at an unknown place, and gradients be 0 elsewhere."""


def made(count: int, seed: int) -> tuple[list[Spectrum], torch.Tensor]:
    """Spectra and their classes, by turns STAR (0) and GALAXY (1)."""
    rng = np.random.default_rng(seed)
    wave = 10**LOGLAM
    spectra = []
    for number in range(count):
        flux = 1 + rng.normal(0, 0.2) * (wave / 6000 - 1) + 0.05 * rng.normal(size=len(wave))
        for line in (IN_BOTH, DECIDES)[: 1 + number % 2]:
            flux += 2 * np.exp(-0.5 * ((wave - line) / 25) ** 2)
        spectra.append(spectrum_of(flux))
    return spectra, torch.arange(count) % 2


def trained(steps: int = 50) -> SpecViT:
    """The network, which tells the classes of spectra that it has not seen."""
    torch.manual_seed(0)
    settings = Model(backbone="test_vit", backbone_args={"depth": 2}, pretrained=False)
    stats = LabelStats(counts={"class": [32, 32, 0]}, mean={}, std={})
    network = build_model(settings, TASKS, Render(size=32, rows=4), stats, Grid())
    spectra, labels = made(64, seed=1)
    pictures = pictures_of(network, spectra)
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3)
    network.train()
    for _ in range(steps):
        loss, _ = network.loss(network(pictures), {"class": labels}, {}, LABEL_SMOOTHING)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return network.eval()
