"""A one-dimensional convolutional network on flux: the strong reference that sees no picture.

The same flux as the other baselines, and beside it a channel that says which pixels have data.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from specvit.baselines.baseline import Setup
from specvit.baselines.features import FILLING, SCALING, fit_scaler, normalise
from specvit.baselines.network import LAYERS, Description, Network
from specvit.baselines.rows import Rows
from specvit.baselines.store import load_arrays, save_arrays
from specvit.baselines.trained import Trained, describe, repeatable, weights_of
from specvit.config.baselines import Cnn1dSettings
from specvit.errors import DataError

LEARNING_RATE = 2e-3


class Cnn1d(Trained):
    """The fitted network and the mean and scale of each pixel in train."""

    name = "cnn1d"

    def __init__(
        self,
        network: Network,
        description: Description,
        centre: NDArray[np.float32],
        scale: NDArray[np.float32],
        *,
        gpu: bool = False,
    ) -> None:
        super().__init__(network, description, gpu=gpu)
        self.centre, self.scale = centre, scale

    @classmethod
    def fit(
        cls, train: Rows, val: Rows, setup: Setup[Cnn1dSettings]
    ) -> tuple[Cnn1d, dict[str, Any]]:
        """Train for `epochs`; keep the epoch with the lowest val loss."""
        description = describe(train, setup)
        with repeatable(setup.seed):
            network = Network(description)
            scaler = fit_scaler(train.flux)
            moments = scaler.mean_.astype(np.float32), scaler.scale_.astype(np.float32)
            model = cls(network, description, *moments, gpu=setup.gpu)
            model, told = model.train(train, val, LEARNING_RATE, setup)
        return model, told | {
            "layers (channels, kernel, stride)": LAYERS,
            "flux": f"{FILLING}; {SCALING}; standardised by pixel; second channel: has data",
        }

    def read(self, flux: NDArray[np.float16]) -> Tensor:
        """Standardised flux, and where there are data: (n, 2, pixels)."""
        data = (normalise(flux) - self.centre) / self.scale
        return torch.from_numpy(np.stack([data, np.isfinite(flux)], axis=1, dtype=np.float32))

    def save(self, folder: Path) -> None:
        """Write `model.safetensors` and `model.json`."""
        arrays = {f"network.{name}": value for name, value in weights_of(self.network).items()}
        arrays |= {"centre": self.centre, "scale": self.scale}
        save_arrays(folder, arrays, self.description.as_dict())

    @classmethod
    def load(cls, folder: Path) -> Cnn1d:
        """Read what `save` wrote."""
        arrays, settings = load_arrays(folder)
        try:
            description = Description.from_dict(settings)
            centre, scale = arrays.pop("centre"), arrays.pop("scale")
            network = Network(description)
            network.load_state_dict(
                {n.removeprefix("network."): torch.from_numpy(a) for n, a in arrays.items()}
            )
            return cls(network, description, centre, scale)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise DataError(f"{folder} does not hold a cnn1d baseline: {reason}") from error
