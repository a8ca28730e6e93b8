"""The network: one timm backbone, one head a task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from timm.optim import (  # type: ignore[attr-defined]
    param_groups_layer_decay,
    param_groups_weight_decay,
)
from torch import Tensor, nn

from specvit.config.data import Grid, Render
from specvit.config.learning import Model
from specvit.errors import ConfigError
from specvit.logs import get_logger
from specvit.models.backbone import create_backbone
from specvit.models.heads import Columns, Head, RedshiftHead, answers, create_heads
from specvit.models.labels import LabelStats
from specvit.tasks import TASKS, Task

WHITE = 255.0


class SpecViT(nn.Module):
    """From pictures to the raw outputs of every task; also their loss and their meaning."""

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        model: Model,
        tasks: Sequence[Task],
        render: Render,
        stats: LabelStats,
        grid: Grid,
        *,
        pretrained: bool,
    ) -> None:
        super().__init__()
        self.settings, self.tasks, self.stats = model, list(tasks), stats
        self.render, self.grid = render, grid
        self.backbone, mean, std = create_backbone(model, render, pretrained=pretrained)
        # Not saved: they follow from the backbone's name. White is 255 here, 1 in timm.
        channels = (1, render.channels, 1, 1)
        self.register_buffer("mean", torch.tensor(mean).view(channels) * WHITE, persistent=False)
        self.register_buffer("std", torch.tensor(std).view(channels) * WHITE, persistent=False)
        self._width, patch = self._tokens_checked()
        heads = create_heads(tasks, self._width, model, stats, (render, grid, patch))
        self.heads = nn.ModuleDict(cast(dict[str, nn.Module], heads))
        self._frozen = False

    def _tokens_checked(self) -> tuple[int, tuple[int, int]]:
        """Width of the tokens and size of the patches; ConfigError where heads cannot use them."""
        settings, size = self.settings, self.render.size
        where = f"model.backbone = {settings.backbone!r} with backbone_args = "
        where += f"{settings.backbone_args}"
        picture = torch.zeros(1, self.render.channels, size, size, dtype=torch.uint8)
        self.backbone.train()
        with torch.no_grad():
            pooled, patches = self.tokens(picture)
        if pooled.ndim != 2:
            raise ConfigError(f"{where} gives no pooled token: remove global_pool")
        projection = cast(nn.Conv2d, self.backbone.get_submodule("patch_embed.proj"))
        height, width = projection.kernel_size
        if patches.shape[1:] != (size // height * (size // width), pooled.shape[1]):
            raise ConfigError(f"{where} does not keep one token for each patch, as heads need")
        return pooled.shape[1], (height, width)

    def head(self, task: str) -> Head:
        """The head of a task."""
        return cast(Head, self.heads[task])

    def tokens(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Pooled token (n, width) and those of the patches, row by row, (n, patches, width).

        `pictures` are uint8 (n, channels, size, size).
        """
        normal = (pictures.float() - self.mean) / self.std
        tokens = self.backbone.forward_features(normal)  # type: ignore[operator]
        pooled = self.backbone.forward_head(tokens, pre_logits=True)  # type: ignore[operator]
        return pooled, tokens[:, self.backbone.num_prefix_tokens :]

    def forward(self, pictures: Tensor) -> dict[str, Tensor]:
        """Raw float32 outputs by task of uint8 pictures (n, channels, size, size)."""
        return self.outputs(*self.tokens(pictures))

    def outputs(self, pooled: Tensor, patches: Tensor) -> dict[str, Tensor]:
        """Raw float32 outputs by task of what `tokens` gives."""
        # Heads are a hundredth of the work; in bfloat16 the bins' weights would lose precision.
        with torch.autocast(pooled.device.type, enabled=False):
            heads = cast(Mapping[str, Head], self.heads)
            return answers(heads, pooled.float(), patches.float())

    @property
    def width(self) -> int:
        """Dimension of an embedding."""
        return 2 * self._width

    @staticmethod
    def embedding(pooled: Tensor, patches: Tensor) -> Tensor:
        """What stands for a spectrum: the pooled token and the mean patch, float32 (n, width)."""
        return torch.cat([pooled, patches.mean(dim=1)], dim=1).float()

    def loss(
        self,
        outputs: Mapping[str, Tensor],
        labels: Mapping[str, Tensor],
        weights: Mapping[str, float],
        label_smoothing: float = 0.0,
        counts: Mapping[str, float] | None = None,
        label_weights: Mapping[str, Tensor] | None = None,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Weighted sum of the tasks' mean losses over spectra with a label; also each, detached.

        Labels are as `specvit.models.labels.encode` gives them: class index with -1 for null,
        number with nan for null. A task without any label in the batch adds 0 (and gradient 0).
        `weights` may leave out tasks: those count 1. Each mean is the sum over this batch divided
        by `counts`, the labels of the task in this batch where it is not given: a part of a larger
        step gives that step's counts, so that the parts' gradients add up to the whole's.
        `label_weights` gives each label of a classification task a weight, (labels,).
        """
        parts = {}
        for name, output in outputs.items():
            head, label = self.head(name), labels[name]
            known = head.known(label)
            each = head.losses(output, label, label_smoothing)
            if label_weights is not None and name in label_weights:
                each = each * label_weights[name][label.clamp(min=0)]
            count = known.sum().clamp(min=1) if counts is None else max(counts[name], 1)
            parts[name] = torch.where(known, each, 0.0).sum() / count
        total = torch.stack([weights.get(name, 1.0) * part for name, part in parts.items()]).sum()
        return total, {name: part.detach() for name, part in parts.items()}

    @torch.no_grad()
    def decode(
        self, outputs: Mapping[str, Tensor], labels: Mapping[str, Tensor] | None = None
    ) -> Columns:
        """Columns of the predictions file; `_true` and `_pit` only where labels are given."""
        columns: Columns = {}
        for name, output in outputs.items():
            columns |= self.head(name).decode(output, None if labels is None else labels[name])
        return columns

    @torch.no_grad()
    def second_peaks(self, outputs: Mapping[str, Tensor]) -> Columns:
        """What RedshiftHead.second says, where there is such a head."""
        columns: Columns = {}
        for name, output in outputs.items():
            head = self.heads[name]
            if isinstance(head, RedshiftHead):
                columns |= head.second(output)
        return columns

    def freeze_backbone(self) -> None:
        """Train the heads only: no gradient for the backbone, no drop path in it."""
        self._frozen = True
        self.backbone.requires_grad_(False)
        self.backbone.eval()

    def train(self, mode: bool = True) -> SpecViT:
        """Switch to training; a frozen backbone stays in evaluation."""
        super().train(mode)
        if self._frozen:
            self.backbone.eval()
        return self

    def param_groups(self, weight_decay: float, layer_decay: float) -> list[dict[str, Any]]:
        """Optimiser groups of all parameters that are trained, in the order of the layers.

        Each has `params`, `lr_scale` (layer_decay to the number of layers above; 1 for the heads
        and the last layer) and `weight_decay` (0 for biases, norms, position embedding and tokens).
        """
        backbone = param_groups_layer_decay(
            self.backbone,
            weight_decay,
            no_weight_decay_list=getattr(self.backbone, "no_weight_decay", set)(),
            layer_decay=layer_decay,
        )
        heads = param_groups_weight_decay(self.heads, weight_decay)
        return [*backbone, *({"lr_scale": 1.0, **group} for group in heads)]


def as_pictures(arrays: NDArray[np.uint8]) -> Tensor:
    """Drawn spectra, (n, size, size) or (n, size, size, 3), as a network takes them."""
    ordered = arrays[:, None] if arrays.ndim == 3 else arrays.transpose(0, 3, 1, 2)
    return torch.from_numpy(np.ascontiguousarray(ordered))


def build_model(
    model: Model,
    tasks: Sequence[Task],
    render: Render,
    stats: LabelStats,
    grid: Grid,
) -> SpecViT:
    """Build the network for training: from published or local weights, or from scratch.

    From scratch is also what it is before it starts from another (`specvit.models.start`).

    `render` and `grid` are those of its plots, `stats` are of the train split. Initial weights
    come from torch's generator: seed it first. Raises ConfigError where size, backbone and weights
    do not fit or weights cannot be had.
    """
    for name, (low, high) in stats.range.items():
        z_min, z_max = model.redshift.z_min, model.redshift.z_max
        binned = TASKS[name].kind == "redshift" and model.redshift_head != "mse"
        if binned and (low < z_min or high > z_max):
            get_logger(__name__).warning(
                "redshifts of the train split reach from %.4f to %.4f: those outside "
                "model.redshift.z_min = %g to z_max = %g are not learned",
                *(low, high, z_min, z_max),
            )
    pretrained = model.pretrained and model.init is None
    return SpecViT(model, tasks, render, stats, grid, pretrained=pretrained)
