"""The pretrained encoder fine-tuned whole, under the ViT's own heads.

Each window speaks, in the redshift head, for its middle half: those lie side by side.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from specvit.baselines.baseline import Setup
from specvit.baselines.network import Description, Headed
from specvit.baselines.rows import Rows
from specvit.baselines.specformer.encoder import Encoder, Shape
from specvit.baselines.specformer.frozen import FLUX, Frozen
from specvit.baselines.specformer.pretrain import learning_rate
from specvit.baselines.store import load_arrays, save_arrays
from specvit.baselines.trained import Trained, describe, repeatable, weights_of
from specvit.config.baselines import SpecformerTunedSettings
from specvit.errors import DataError


class TunedNetwork(Headed):
    """Encoder and heads; input (n, 1 + windows, TOKEN), output one tensor a task."""

    def __init__(self, description: Description, shape: Shape, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.add_heads(description, shape.width, shape.windows.edges())

    def tokens(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """See Headed."""
        tokens = self.encoder(x)
        return tokens.mean(dim=1), tokens[:, 1:]


class SpecformerTuned(Trained):
    """The fitted network."""

    name = "specformer_tuned"

    def __init__(
        self, network: TunedNetwork, description: Description, shape: Shape, *, gpu: bool = False
    ) -> None:
        super().__init__(network, description, gpu=gpu)
        self.shape = shape

    @classmethod
    def fit(
        cls, train: Rows, val: Rows, setup: Setup[SpecformerTunedSettings]
    ) -> tuple[SpecformerTuned, dict[str, Any]]:
        """Go on from the encoder of `specformer` for `epochs`; keep the best on val."""
        start, description = Frozen.before(setup), describe(train, setup)
        with repeatable(setup.seed):
            network = TunedNetwork(description, start.shape, start.encoder)
            model = cls(network, description, start.shape, gpu=setup.gpu)
            model, told = model.train(train, val, learning_rate(start.shape.width), setup)
        return model, told | {"flux": FLUX, "encoder": "starts as that of specformer"}

    def read(self, flux: NDArray[np.float16]) -> Tensor:
        """Tokens."""
        return torch.from_numpy(self.shape.windows.tokens(flux))

    def save(self, folder: Path) -> None:
        """Write `model.safetensors` and `model.json`."""
        settings = self.description.as_dict() | {"shape": self.shape.as_dict()}
        save_arrays(folder, weights_of(self.network), settings)

    @classmethod
    def load(cls, folder: Path) -> SpecformerTuned:
        """Read what `save` wrote."""
        arrays, settings = load_arrays(folder)
        try:
            description = Description.from_dict(settings)
            shape = Shape.from_dict(settings["shape"])
            network = TunedNetwork(description, shape, Encoder(shape))
            network.load_state_dict({n: torch.from_numpy(a) for n, a in arrays.items()})
            return cls(network, description, shape)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise DataError(f"{folder} does not hold a specformer_tuned: {reason}") from error
