"""Settings of the model and its training."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from pydantic import Field, model_validator

from specvit.config.base import ByRecipe, HowOnly, Section, by_recipe
from specvit.tasks import TASKS, Kind

REDSHIFT_WEIGHT = 0.3
# What can be watched on the validation split for each kind of task, and which way is better.
WATCHED: dict[Kind, dict[str, Literal["min", "max"]]] = {
    "classification": {"loss": "min", "accuracy": "max", "balanced_accuracy": "max"},
    "redshift": {"loss": "min", "nmad": "min", "outlier_fraction": "min"},
    "regression": {"loss": "min", "mae": "min"},
}


def monitors(tasks: Iterable[str]) -> dict[str, Literal["min", "max"]]:
    """Names that `train.monitor` may have with these tasks, and which way each is better."""
    named: dict[str, Literal["min", "max"]] = {"relative_loss": "min", "loss": "min"}
    for task in tasks:
        named |= {f"{task}_{name}": way for name, way in WATCHED[TASKS[task].kind].items()}
    return named


class RedshiftBins(Section):
    """Bins of log(1+z) over which the redshift head gives a probability."""

    z_min: float = Field(-0.02, gt=-1)
    """Redshift at the first bin's edge."""
    z_max: float = Field(7.0, gt=-1)
    """Redshift at the last bin's edge."""
    bins: int = Field(2048, ge=8, le=65_536)
    """Number of bins, even in log(1+z); errors of a tenth of a bin can be told apart."""

    @model_validator(mode="after")
    def _ordered(self) -> RedshiftBins:
        if self.z_min >= self.z_max:
            raise ValueError("z_min must be below z_max")
        return self


class Model(Section):
    """The network: a timm backbone and its heads."""

    backbone: str = "vit_tiny_patch16_224"
    """timm name of the backbone, with its tag after a dot: vit_base_patch16_224.dino ."""
    backbone_args: dict[str, Any] = {}
    """Arguments of the timm constructor, for another network: {patch_size: 8, depth: 4}."""
    pretrained: bool = True
    """Start from the tag's published weights (needs the model hub once) or from `weights`."""
    weights: str | None = None
    """A local weights file (safetensors, pth) used instead of the hub; needs pretrained: true."""
    init: str | None = None
    """A run or folder of a network that specvit has trained, or the name of one that it brings
    (sky), to start from its backbone and every head that fits; `pretrained` then says nothing.
    Backbone and plots must be those of that network."""
    drop_path: float = Field(0.0, ge=0, lt=1)
    """Stochastic depth rate of the last block (rising linearly from 0)."""
    redshift: RedshiftBins = RedshiftBins()
    """The redshift head."""
    redshift_head: Literal["correlation", "pooled", "mse"] = "correlation"
    """How the redshift head answers: a probability over the bins, by learned cross-correlation of
    all patches; the same from the pooled token alone; or one number from that token, by mean
    squared error (which no line of `redshift` concerns, and `specvit explain` leaves out)."""

    @model_validator(mode="after")
    def _weights_used(self) -> Model:
        if self.weights is not None and not self.pretrained:
            raise ValueError("weights is set but pretrained is false: the file would not be read")
        if self.weights is not None and self.init is not None:
            raise ValueError("weights and init are both set, but a network starts from one of them")
        return self

    @property
    def is_fine_tuned(self) -> bool:
        """Whether the backbone starts from weights of any kind."""
        return self.pretrained or self.init is not None


# What `null` stands for in `train`. Measured on 418 real spectra with DINOv2 ViT-S/14: with the
# first, validation stayed at one class; with the second it reached 0.89.
FROM_SCRATCH: dict[str, Any] = {"lr": 1e-3, "layer_decay": 1.0, "batch_size": 64}
FROM_WEIGHTS: dict[str, Any] = {"lr": 1e-4, "layer_decay": 0.75, "batch_size": 16}


class Train(Section):
    """Fine-tuning; null: by the recipe, which follows from whether weights are given."""

    seed: int = Field(1, ge=0, le=2**31 - 1)
    """Seed of a network's initial weights and of the order in which it sees the spectra."""
    seeds: int = Field(1, ge=1, le=100)
    """How many networks are trained of each experiment, with this seed and those after it; the
    first is the one that is compared, the spread over all is a table of its own."""
    epochs: int = Field(10, ge=1, le=10_000)
    """Passes over the train split."""
    batch_size: ByRecipe[int] = by_recipe(ge=1, le=65_536)
    """Spectra a step, over all GPUs and accumulation steps together; null: 64, or 16 where the
    backbone starts from weights (model.pretrained, model.init) and is not frozen."""
    accumulate: int = Field(1, ge=1, le=1024)
    """Forward passes a step; the batch of one pass is batch_size / accumulate / GPUs."""
    lr: ByRecipe[float] = by_recipe(gt=0, le=1)
    """Highest learning rate (AdamW); null: 1e-3, or 1e-4 from weights."""
    layer_decay: ByRecipe[float] = by_recipe(gt=0, le=1)
    """Factor on the learning rate from each block to the one below it; null: 1, or 0.75 from
    weights."""
    weight_decay: float = Field(0.05, ge=0, le=1)
    """Weight decay of matrices; biases and norms have none."""
    warmup_fraction: float = Field(0.05, ge=0, lt=1)
    """Share of all steps in which the learning rate rises linearly; then a cosine to 1 % of lr."""
    ema_decay: float = Field(0.0, ge=0, lt=1)
    """Decay of the moving average of the weights, which is then what is evaluated; 0: none."""
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    """Label smoothing of the classification losses."""
    balance_classes: bool = False
    """Let each class (or stellar type) weigh the same in its task's loss, however rare it is."""
    freeze_backbone: bool = False
    """Train the heads only."""
    loss_weights: dict[str, float] = {}
    """Weight of each task's loss; for a task not named 1, or 0.3 for redshift, whose thousands of
    bins have so many nats to lose that the other tasks would learn less."""
    workers: HowOnly[int] = Field(1, ge=0, le=256)
    """Processes that read and decode pictures, for each GPU; 0: the training process itself."""
    gpus: HowOnly[int] = Field(0, ge=0, le=1024)
    """GPUs (torchrun ranks) of the training job, over all its nodes; 0: train on the CPU."""
    ranks: HowOnly[int] = Field(1, ge=1, le=1024)
    """Processes that train on the CPU (gpus: 0), over all nodes: one for each socket or node."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Arithmetic of the forward pass; auto: bfloat16 on GPUs and CPUs that have units for it."""
    compile: bool = False
    """Compile the model with torch.compile."""
    monitor: str = "relative_loss"
    """Validation figure that picks the best epoch: relative_loss (each task's loss as a share of an
    untrained network's, averaged, so that none dominates), loss (the weighted sum), or of one task,
    as in class_loss, class_accuracy, class_balanced_accuracy, redshift_nmad,
    redshift_outlier_fraction, teff_mae."""
    patience: int | None = Field(None, ge=1)
    """Stop after this many epochs without a better `monitor`; null: never."""
    checkpoint_minutes: HowOnly[float] = Field(10.0, gt=0)
    """Minutes between checkpoints inside an epoch."""

    def loss_weight(self, task: str) -> float:
        """Weight of a task in the sum that is minimised."""
        default = REDSHIFT_WEIGHT if TASKS[task].kind == "redshift" else 1.0
        return self.loss_weights.get(task, default)

    @property
    def processes(self) -> int:
        """Processes that train together: one for each GPU, else `ranks`."""
        return self.gpus or self.ranks

    @model_validator(mode="after")
    def _divides(self) -> Train:
        if self.gpus and self.ranks > 1:
            raise ValueError(f"ranks = {self.ranks} is for the CPU, but gpus = {self.gpus}")
        if self.batch_size is not None:
            self._check_batch()
        return self

    def _check_batch(self) -> None:
        together = self.accumulate * self.processes
        if self.batch_size % together:
            name = "gpus" if self.gpus else "ranks"
            raise ValueError(
                f"batch_size = {self.batch_size} must be divisible by accumulate x {name} = "
                f"{together}"
            )

    def settled(self, fine_tuned: bool) -> Train:
        """These settings with nulls filled in by the recipe; ValueError where that cannot be."""
        recipe = FROM_WEIGHTS if fine_tuned and not self.freeze_backbone else FROM_SCRATCH
        missing = {key: value for key, value in recipe.items() if getattr(self, key) is None}
        settled = self.model_copy(update=missing)
        if "batch_size" in missing:
            settled._check_batch()
        return settled
