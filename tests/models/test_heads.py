"""Losses of heads against the densities that they stand for."""

from __future__ import annotations

import math

import torch
from torch.distributions import Normal
from torch.nn import functional

from specvit.models.heads import MIN_SCALE, RegressionHead
from specvit.tasks import TASKS


def test_the_loss_of_a_number_is_its_negative_log_density() -> None:
    head = RegressionHead(TASKS["teff"], 4, mean=5000.0, std=800.0)
    output, labels = torch.randn(50, 2), 5000 + 800 * torch.randn(50)
    scale = functional.softplus(output[:, 1]) + MIN_SCALE
    expected = -Normal(output[:, 0], scale).log_prob((labels - 5000) / 800)
    torch.testing.assert_close(head.losses(output, labels, 0.0), expected)


def test_an_untrained_head_loses_what_the_train_splits_own_gaussian_does() -> None:
    head = RegressionHead(TASKS["logg"], 4, mean=4.0, std=0.5)
    labels = 4.0 + 0.5 * torch.tensor([-1.0, 1.0])
    loss = head.losses(head(torch.zeros(2, 4), torch.zeros(2, 1, 4)), labels, 0.0).mean()
    assert abs(loss.item() - (0.5 + 0.5 * math.log(2 * math.pi))) < 1e-3
