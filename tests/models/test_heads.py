"""Losses of heads against the densities that they stand for."""

from __future__ import annotations

import math

import torch
from torch.distributions import Normal
from torch.nn import functional

from specvit.models.heads import MIN_SCALE, RedshiftHead, RegressionHead, ValueHead
from specvit.models.redshift import Bins
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


def test_a_value_by_mean_squared_error_is_in_units_of_the_train_split() -> None:
    head = ValueHead(TASKS["redshift"], 4, mean=0.3, std=0.2)
    output, z = torch.randn(20, 1), 0.3 + 0.2 * torch.randn(20)
    loss = head.losses(output, z, 0.0)
    error = output[:, 0] - (z - 0.3) / 0.2
    torch.testing.assert_close(loss - loss.min(), error**2 / 2 - error.square().min() / 2)
    columns = head.decode(output, z)
    torch.testing.assert_close(
        torch.from_numpy(columns["redshift_pred"]), 0.3 + 0.2 * output[:, 0].double()
    )
    width = columns["redshift_hi"] - columns["redshift_lo"]
    assert abs(width - 2 * 0.2 * 0.9945).max() < 1e-3  # the same for all: 68 % of a Gaussian


def test_without_patches_the_pooled_token_says_each_bin() -> None:
    bins = Bins(64, 0.0, 0.02)
    head = RedshiftHead(TASKS["redshift"], 4, None, bins)
    pooled, patches = torch.randn(3, 4), torch.randn(3, 5, 4)
    weights = head(pooled, patches)
    assert weights.shape == (3, 64)
    torch.testing.assert_close(head(pooled, 0 * patches), weights)
    assert not torch.equal(head(-pooled, patches), weights)
