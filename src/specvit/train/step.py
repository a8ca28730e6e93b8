"""One step of training: forward, loss, backward, checks, optimiser; and how fast steps are."""

from __future__ import annotations

import inspect
import math
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

import torch
from timm.utils.model_ema import ModelEmaV3
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from specvit.config.learning import Train
from specvit.models.vit import SpecViT
from specvit.train.hardware import Peak, use_bfloat16
from specvit.train.loader import Batch
from specvit.train.ranks import Ranks
from specvit.train.schedule import lr_factor

LARGEST_NORM = 1.0
"""Of the gradient: longer ones are cut to it, as is usual for transformers. A healthy run is rarely
cut after its warm-up."""
AHEAD = {"cpu": 0, "cuda": 1}
"""Steps that a device is given before the figures of an earlier one are read: a card that waits to
be told its next step stands still meanwhile."""

T = TypeVar("T")


def lagging(given: Iterator[T], behind: int) -> Iterator[T]:
    """The same in the same order, each handed on when this many more have been given."""
    held: deque[T] = deque()
    for item in given:
        held.append(item)
        if len(held) > behind:
            yield held.popleft()
    yield from held


@dataclass(frozen=True)
class StepResult:
    """Figures of one step over all ranks."""

    loss: float
    """Weighted sum of the tasks' losses."""
    parts: dict[str, float]
    """Mean loss of each task over the step's spectra with a label."""
    grad_norm: float
    """Before clipping."""
    lr: float
    messages: list[float]
    """Sums over ranks of what each rank gave to `Stepper.step`."""

    @property
    def is_finite(self) -> bool:
        """Whether loss and gradient norm are numbers; if not, the step was not taken."""
        return math.isfinite(self.loss) and math.isfinite(self.grad_norm)


@dataclass(frozen=True)
class GivenStep:
    """A step that the device may still be computing."""

    figures: Tensor
    """Loss, each task's part of it, gradient norm and messages: summed over ranks, on the CPU."""
    tasks: list[str]
    lr: float
    done: torch.cuda.Event | None
    """When `figures` are there; None: they are."""

    @classmethod
    def begun(cls, figures: Tensor, tasks: list[str], lr: float) -> GivenStep:
        """The step that ends when these figures of the device are known."""
        here = figures.to("cpu", non_blocking=True)
        if figures.device.type != "cuda":
            return cls(here, tasks, lr, None)
        done = torch.cuda.Event()  # type: ignore[no-untyped-call]
        done.record(torch.cuda.current_stream(figures.device))
        return cls(here, tasks, lr, done)

    def result(self) -> StepResult:
        """Wait for the device; return the figures."""
        if self.done is not None:
            self.done.synchronize()
        count = len(self.tasks)
        loss, *rest = self.figures.tolist()
        parts = dict(zip(self.tasks, rest, strict=False))
        return StepResult(loss, parts, rest[count], self.lr, rest[count + 1 :])


class Stepper:
    """A network with its optimiser, schedule and moving average, on this rank's device."""

    def __init__(self, model: SpecViT, settings: Train, ranks: Ranks, steps: int) -> None:
        self.model, self.settings, self.ranks, self.steps = model, settings, ranks, steps
        self.warmup = round(settings.warmup_fraction * steps)
        model.to(ranks.device)
        if settings.freeze_backbone:
            model.freeze_backbone()
        groups = model.param_groups(settings.weight_decay, settings.layer_decay)
        # Fused: one kernel for all parameters; on CPUs too since torch 2.4.
        self.optimizer = torch.optim.AdamW(groups, lr=settings.lr, fused=True)
        self.parameters: list[nn.Parameter] = [p for group in groups for p in group["params"]]
        self.ema = moving_average(model, settings.ema_decay) if settings.ema_decay else None
        self.label_weights = None
        if settings.balance_classes:
            self.label_weights = {
                task: balanced(counts).to(ranks.device)
                for task, counts in model.stats.counts.items()
            }
        self.bfloat16 = use_bfloat16(settings.precision, ranks.device)
        gpu = ranks.device.type == "cuda"
        self._copies = torch.cuda.Stream(ranks.device) if gpu else None  # type: ignore[no-untyped-call]
        # First compile, then DDP, which hooks into the compiled graph's backward pass. The moving
        # average and checkpoints are of `model` itself, whose names neither changes.
        self.forward = cast(nn.Module, torch.compile(model) if settings.compile else model)
        self.network = self.forward if ranks.size == 1 else self._distributed()

    def _distributed(self) -> DistributedDataParallel:
        ids = [self.ranks.device.index] if self.ranks.device.type == "cuda" else None
        # The only buffers are constants: sending them in every forward pass would be waste. Newer
        # torch has another name for the switch, and warns of the old one.
        known = inspect.signature(DistributedDataParallel).parameters
        name = "forward_sync_buffers" if "forward_sync_buffers" in known else "broadcast_buffers"
        switch: dict[str, Any] = {name: False}
        return DistributedDataParallel(self.forward, device_ids=ids, **switch)

    def autocast(self) -> AbstractContextManager[Any]:
        """Bfloat16 for what bears it, where the hardware has it."""
        return torch.autocast(self.ranks.device.type, torch.bfloat16, enabled=self.bfloat16)

    def step(
        self, passes: Sequence[Batch], number: int, messages: Sequence[float] = (0.0,)
    ) -> GivenStep:
        """Give the device step `number` (0, 1, ... of the run); nothing here waits for it.

        The step is not taken if loss or gradient is not finite: that is decided on the device.
        `messages` are summed over ranks on the way, without another exchange.
        """
        device = self.ranks.device
        sums = torch.zeros(1 + len(self.model.tasks), dtype=torch.float64, device=device)
        for k, batch in enumerate(passes):
            with self._synchronised(last=k == len(passes) - 1):
                sums += self._backward(self._moved(batch))
        norm = nn.utils.clip_grad_norm_(self.parameters, LARGEST_NORM)
        # Every rank has the same norm already: its share of it keeps the sum right.
        told = self._sent(torch.tensor(messages, dtype=torch.float64))
        local = torch.cat([sums, norm.double()[None] / self.ranks.size, told])
        total = self.ranks.sum(local)
        lr = self.settings.lr * lr_factor(number, self.steps, self.warmup)
        finite = torch.isfinite(total[: len(sums) + 1]).all()
        self._update(number, lr, finite)
        self.optimizer.zero_grad(set_to_none=True)
        return GivenStep.begun(total, [task.name for task in self.model.tasks], lr)

    def _moved(self, batch: Batch) -> Batch:
        """The batch on the device; pinned memory is copied beside the computation of a card."""
        if self._copies is None:
            return batch.to(self.ranks.device)
        now = torch.cuda.current_stream(self.ranks.device)
        with torch.cuda.stream(self._copies):
            moved = batch.to(self.ranks.device)
        now.wait_stream(self._copies)
        for tensor in (moved.pictures, *moved.labels.values()):
            tensor.record_stream(now)  # or its memory would be given away at the copies' pace
        return moved

    def _sent(self, values: Tensor) -> Tensor:
        """The same on the device; from pageable memory the copy would wait for all that it does."""
        if self._copies is None:
            return values
        return values.pin_memory().to(self.ranks.device, non_blocking=True)

    def _synchronised(self, last: bool) -> AbstractContextManager[Any]:
        """Gradients are exchanged between ranks in the last pass of a step only."""
        if last or not isinstance(self.network, DistributedDataParallel):
            return nullcontext()
        return cast(AbstractContextManager[Any], self.network.no_sync())

    def _backward(self, batch: Batch) -> Tensor:
        """Add this pass's gradients; return its part of the loss and of each task's."""
        with self.autocast():
            outputs = self.network(batch.pictures)
        # Divided by the labels of the whole step, so that the parts of all passes and ranks add up
        # to its mean; DDP averages over ranks where they should be added.
        weights = {task: self.settings.loss_weight(task) * self.ranks.size for task in outputs}
        smoothing, counts = self.settings.label_smoothing, batch.label_counts
        loss, parts = self.model.loss(
            outputs, batch.labels, weights, smoothing, counts, self.label_weights
        )
        loss.backward()  # type: ignore[no-untyped-call]
        each = [parts[task.name].double() for task in self.model.tasks]
        return torch.stack([loss.detach().double() / self.ranks.size, *each])

    def _update(self, number: int, lr: float, finite: Tensor) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = lr * group["lr_scale"]
        # How a gradient scaler tells a fused optimiser to leave a step out. (The moving average of
        # such a step is lost with the run, which ends.)
        self.optimizer.found_inf = (~finite).float()  # type: ignore[attr-defined]
        self.optimizer.step()
        if self.ema is not None:
            self.ema.update(self.model, number + 2)

    @property
    def evaluated(self) -> SpecViT:
        """What is validated and kept: the moving average where there is one."""
        return self.model if self.ema is None else cast(SpecViT, self.ema.module)

    def state_dict(self) -> dict[str, Any]:
        """Network, optimiser and moving average."""
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "ema": self.ema.module.state_dict() if self.ema is not None else None,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` gave."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.ema is not None:
            self.ema.module.load_state_dict(state["ema"])


def moving_average(model: SpecViT, decay: float) -> ModelEmaV3:
    """Exponential moving average of a network's parameters; its buffers are constants.

    With these arguments timm's decay in update n = 2, 3, ... is at most (n - 1) / (n + 8), so that
    the initial weights are forgotten early in a short run (as TensorFlow's
    ExponentialMovingAverage does with num_updates).
    """
    return ModelEmaV3(
        *(model, decay), use_warmup=True, warmup_gamma=9, warmup_power=1, exclude_buffers=True
    )


@dataclass
class Meter:
    """Time and pictures of training steps: rate, share of time waiting for data, MFU."""

    flops: int
    """Floating-point operations of one picture, forward and backward."""
    peak: Peak
    ranks: int = 1
    pictures: int = 0
    seconds: float = 0.0
    waited: float = 0.0
    _start: float = field(default=0.0, repr=False)

    def start(self) -> None:
        """Begin to count time."""
        self._start = time.perf_counter()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Count the time inside as waiting for data."""
        begun = time.perf_counter()
        yield
        self.waited += time.perf_counter() - begun

    def lap(self, pictures: int) -> None:
        """Count the time since the start or the last lap as that of a step over these pictures."""
        now = time.perf_counter()
        self.seconds += now - self._start
        self._start = now
        self.pictures += pictures

    @property
    def rate(self) -> float:
        """Pictures a second, over all ranks."""
        return self.pictures / self.seconds if self.seconds else 0.0

    @property
    def data_wait(self) -> float:
        """Share of the time spent waiting for the loader."""
        return self.waited / self.seconds if self.seconds else 0.0

    @property
    def mfu(self) -> float:
        """Model FLOPs utilisation: FLOPs a picture x pictures/s / peak of all ranks."""
        return self.flops * self.rate / (self.peak.flops * self.ranks)

    def figures(self) -> dict[str, float]:
        """What is reported, rounded for people."""
        return {
            "pictures_per_s": round(self.rate, 1),
            "data_wait": round(self.data_wait, 4),
            "mfu": round(self.mfu, 4),
        }

    def state_dict(self) -> dict[str, float]:
        """What a resume goes on counting from."""
        return {"pictures": self.pictures, "seconds": self.seconds, "waited": self.waited}

    def load_state_dict(self, state: dict[str, float]) -> None:
        """Go on counting from what `state_dict` gave."""
        self.pictures = int(state["pictures"])
        self.seconds, self.waited = state["seconds"], state["waited"]


def fetch(batches: Iterator[Batch], passes: int) -> list[Batch]:
    """The passes of the next step."""
    return [next(batches) for _ in range(passes)]


def balanced(counts: Sequence[int]) -> Tensor:
    """Weights (labels,) that let every label of the train split weigh the same, with mean 1."""
    number = torch.tensor(counts, dtype=torch.float32)
    seen = int((number > 0).sum())
    return torch.where(number > 0, number.sum() / (number.clamp(min=1) * max(seen, 1)), 0.0)
