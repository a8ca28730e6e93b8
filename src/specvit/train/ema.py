"""Moving average of the weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Ema:
    """Exponential moving average of a network's trained parameters.

    In update n the decay is at most (1 + n) / (10 + n), so that the initial weights are forgotten
    early in a short run (as TensorFlow's ExponentialMovingAverage does with num_updates).
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay = decay
        self._live = {n: p for n, p in network.named_parameters() if p.requires_grad}
        self.average = {name: p.detach().clone() for name, p in self._live.items()}

    @torch.no_grad()
    def update(self, n: int) -> None:
        """Move the average towards the weights after step n = 0, 1, ..."""
        decay = min(self.decay, (1 + n) / (10 + n))
        live = [p.detach() for p in self._live.values()]
        torch._foreach_lerp_(list(self.average.values()), live, 1 - decay)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Put the average in the network's place inside the block."""
        kept = {name: p.detach().clone() for name, p in self._live.items()}
        self._write(self.average)
        try:
            yield
        finally:
            self._write(kept)

    @torch.no_grad()
    def _write(self, values: dict[str, Tensor]) -> None:
        for name, parameter in self._live.items():
            parameter.copy_(values[name])

    def state_dict(self) -> dict[str, Tensor]:
        """The average by parameter name."""
        return self.average

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Take over an average that `state_dict` gave."""
        for name, value in self.average.items():
            value.copy_(state[name])
