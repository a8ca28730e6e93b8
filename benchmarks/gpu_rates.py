"""Training rates on one card: a grid of networks, plots and batches, inside a box of time."""

from __future__ import annotations

import gc
import signal
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import cycle
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from benchmarks.gpu_grid import Case, Scale, case_config
from benchmarks.steps import block, kept_batches, skip_prepared
from specvit.io import write_json
from specvit.logs import get_logger
from specvit.machine import available_cores, processor_name
from specvit.train.engine import Run, StopRequest, prepare_torch
from specvit.train.hardware import synchronize
from specvit.train.loader import TrainOrder, train_batches
from specvit.train.ranks import Ranks, join_ranks

LOG = get_logger(__name__)
WARMUP = 3
EAGER_S, COMPILE_S, SHARDS_S = 8.0, 50.0, 12.0
"""What a measurement is thought to take before one of its kind was made."""
LONGEST_S = 90.0
TOP_KERNELS = 20


@dataclass
class Measured:
    """What is known of a case, and the run that is kept for its second part."""

    case: Case
    run: Run
    figures: dict[str, Any]
    batches: list[Any] = field(repr=False)


class TooLongError(Exception):
    """A measurement has used up its time."""


@contextmanager
def time_box(seconds: float) -> Iterator[None]:
    """Raise TooLongError inside when this many seconds have passed."""

    def ring(number: int, frame: FrameType | None) -> None:
        raise TooLongError(f"took longer than {seconds:.0f} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, max(seconds, 0.1))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class Bench:
    """Measures the grid and writes what it has after each figure."""

    def __init__(
        self, out: Path, folder: Path, scale: Scale, workers: int, seconds: float, ranks: Ranks
    ) -> None:
        self.out, self.folder, self.scale, self.workers = out, folder, scale, workers
        self.end = time.monotonic() + seconds
        self.ranks = ranks
        self.gpus = int(ranks.device.type == "cuda")
        self.takes = {"eager": EAGER_S, "compiled": COMPILE_S, "shards": SHARDS_S}
        self.found: dict[str, Any] = {"rows": [], "left_out": [], "readers": [], "profiles": {}}
        self.found["variants"] = []

    @property
    def left(self) -> float:
        """Seconds that are left."""
        return self.end - time.monotonic()

    def run(self, ready: Callable[[float], bool]) -> None:
        """Measure all cases from memory, then, once nothing else runs, from shards."""
        self.found["machine"] = self._machine()
        waiting = [kept for case in self.scale.grid if (kept := self._first_part(case)) is not None]
        quiet = ready(max(self.left - len(waiting) * SHARDS_S, 0))
        self.found["quiet_while_from_shards"] = quiet
        for measured in sorted(waiting, key=lambda one: not one.case.compile):
            self._guarded("shards", measured.case, partial(self._from_shards, measured))
        if waiting:
            self._guarded("shards", waiting[-1].case, partial(self._readers, waiting[-1]))
            for measured in waiting:
                if measured.case.batch == 256 and self.gpus:
                    self._guarded("eager", measured.case, partial(self._profile, measured))
            for measured in waiting[:1]:
                for name, variant in VARIANTS.items():
                    act = partial(self._variant, measured, name, variant)
                    self._guarded("eager", measured.case, act)
        self._write()

    def _guarded(self, kind: str, case: Case, measure: Callable[[], Any]) -> Any:
        """What `measure` gives, or None where time or memory are short; either is written down."""
        if self.left < self.takes[kind]:
            return self._leave(case, kind, f"{self.left:.0f} s were left")
        begun = time.monotonic()
        try:
            with time_box(min(self.left, LONGEST_S)):
                found = measure()
        except Exception as error:  # of memory, a compiler, a reader: the other cases go on
            self.takes[kind] = max(self.takes[kind], time.monotonic() - begun)
            return self._leave(case, kind, f"{type(error).__name__}: {error}"[:300])
        taken = time.monotonic() - begun
        self.takes[kind] = 1.1 * max(taken, self.takes[kind] if kind == "eager" else 0.0)
        LOG.info("%s, %s: %.1f s; %.0f s left", case.name, kind, taken, self.left)
        self._write()
        return found

    def _leave(self, case: Case, kind: str, why: str) -> None:
        LOG.warning("%s, %s: left out, %s", case.name, kind, why)
        self.found["left_out"].append({"case": case.name, "part": kind, "why": why})
        self._write()

    def _write(self) -> None:
        write_json(self.out, self.found)

    def _machine(self) -> dict[str, Any]:
        found = {
            "torch": torch.__version__,
            "processor": processor_name(),
            "cores": available_cores(),
            "readers": self.workers,
        }
        if self.gpus:
            found["device_memory_mb"] = torch.cuda.get_device_properties(0).total_memory / 1e6
            found["matmul_flops"] = _matmul_rate(self.ranks.device)
        return found

    def _first_part(self, case: Case) -> Measured | None:
        found = self._guarded(
            "compiled" if case.compile else "eager", case, partial(self._from_memory, case)
        )
        gc.collect()
        if self.gpus:
            torch.cuda.empty_cache()
        return found if found is not None and case.shards else None

    def _from_memory(self, case: Case) -> Measured:
        before = self._memory(reset=True)
        config = case_config(case, self.folder, self.scale, self.workers, self.gpus)
        run = Run(config, "vit", self.ranks, StopRequest())
        batches = kept_batches(run, max(2, min(8, 2048 // run.settings.batch_size)))
        begun = time.monotonic()
        block(run, cycle(batches), WARMUP)
        warmed = time.monotonic() - begun
        figures = block(run, cycle(batches), 10_000, self.scale.block_s)
        row = {
            **{"backbone": case.backbone, "mode": case.mode, "batch": run.settings.batch_size},
            **{"compiled": case.compile, "first_steps_s": round(warmed, 1)},
            **{"memory": figures, "peak_memory_mb": round(self._memory() - before, 1)},
            **run.machine(),
        }
        self.found["rows"].append(row)
        return Measured(case, run, row, batches)

    def _memory(self, reset: bool = False) -> float:
        """Largest memory of the card that tensors had since a reset, in MB; 0 without a card."""
        if not self.gpus:
            return 0.0
        if reset:
            torch.cuda.reset_peak_memory_stats()
        return torch.cuda.max_memory_allocated() / 1e6

    def _from_shards(self, measured: Measured) -> None:
        """Blocks from memory and from shards in turn, twice; the best of each counts."""
        run = measured.run
        render, pin = run.config.render[0], bool(self.gpus)
        reading = train_batches(run.order, render, workers=self.workers, pin=pin)
        found: dict[str, list[dict[str, float]]] = {"memory": [], "shards": []}
        seconds = self.scale.block_s
        try:
            for _ in range(2):
                found["memory"].append(
                    block(run, cycle(measured.batches), 10_000, self.scale.block_s)
                )
                skip_prepared(run, reading)
                found["shards"].append(block(run, reading, 10_000, 2 * seconds))
        finally:
            reading.close()
        best = {k: max(v, key=lambda b: b["pictures_per_s"]) for k, v in found.items()}
        measured.figures |= {**best, "blocks": found, "readers": self.workers}
        measured.figures["of_memory"] = round(
            best["shards"]["pictures_per_s"] / best["memory"]["pictures_per_s"], 4
        )

    def _readers(self, measured: Measured) -> None:
        """Pictures a second that readers hand on with nobody training, by their number."""
        run = measured.run
        for workers in sorted({max(1, self.workers // 4), max(1, self.workers // 2), self.workers}):
            order = TrainOrder(run.order.samples, 1, 10_000, run.settings.batch_size)
            reading = train_batches(
                order, run.config.render[0], workers=workers, pin=bool(self.gpus)
            )
            try:
                for _ in range(4 * workers):
                    next(reading)
                begun, count = time.monotonic(), 0
                while time.monotonic() - begun < self.scale.block_s:
                    count += next(reading).count
                rate = count / (time.monotonic() - begun)
            finally:
                reading.close()
            row = {"mode": measured.case.mode, "readers": workers, "pictures_per_s": round(rate, 1)}
            self.found["readers"].append(row)

    def _variant(self, measured: Measured, name: str, variant: Variant) -> None:
        """The rate from memory with one thing changed, beside the rate without it."""
        batches, seconds = cycle(measured.batches), self.scale.block_s
        with variant(measured.run):
            block(measured.run, batches, WARMUP)
            changed = block(measured.run, batches, 10_000, seconds)
        plain = block(measured.run, batches, 10_000, seconds)
        rates = {"changed": changed["pictures_per_s"], "plain": plain["pictures_per_s"]}
        self.found["variants"].append({"case": measured.case.name, "variant": name, **rates})

    def _profile(self, measured: Measured) -> None:
        """Where a step's time goes on the card, and what of the step waits for it."""
        from torch.profiler import ProfilerActivity, profile

        run, batches = measured.run, cycle(measured.batches)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            torch.cuda.set_sync_debug_mode("warn")
            block(run, batches, 2)
            torch.cuda.set_sync_debug_mode("default")
        waits = Counter(f"{Path(w.filename).name}:{w.lineno}" for w in caught)
        with profile(activities=[ProfilerActivity.CUDA, ProfilerActivity.CPU]) as traced:
            block(run, batches, 3)
            synchronize(self.ranks.device)
        events = [e for e in traced.key_averages() if e.self_device_time_total > 0]
        events = sorted(events, key=lambda e: -e.self_device_time_total)
        kernels = [e for e in events if str(e.device_type).endswith("CUDA")]
        self.found["profiles"][measured.case.name] = {
            "waits_for_the_card": dict(waits),
            "kernel_ms_a_step": round(sum(e.self_device_time_total for e in kernels) / 3e3, 3),
            "kernels": [
                {"name": e.key[:90], "ms_a_step": round(e.self_device_time_total / 3e3, 3),
                 "calls_a_step": round(e.count / 3, 1)}
                for e in kernels[:TOP_KERNELS]
            ],
        }  # fmt: skip


@contextmanager
def _cudnn_attention(run: Run) -> Iterator[None]:
    with sdpa_kernel([SDPBackend.CUDNN_ATTENTION, SDPBackend.MATH]):
        yield


@contextmanager
def _bfloat16_between_blocks(run: Run) -> Iterator[None]:
    """What blocks add to is float32 under autocast, as the position embedding is."""
    first = run.model.backbone.get_submodule("blocks.0")
    kind = torch.bfloat16 if run.stepper.bfloat16 else torch.float32
    hook = first.register_forward_pre_hook(lambda _, inputs: (inputs[0].to(kind), *inputs[1:]))
    try:
        yield
    finally:
        hook.remove()


Variant = Callable[[Run], AbstractContextManager[None]]
VARIANTS: dict[str, Variant] = {
    "attention by cuDNN": _cudnn_attention,
    "bfloat16 between blocks": _bfloat16_between_blocks,
}
"""Changes that a second look at a slow card would try first."""


def _matmul_rate(device: torch.device) -> float:
    """FLOP/s of a large bfloat16 matrix product of random numbers, the best of ten."""
    a, b = (torch.randn(8192, 8192, device=device, dtype=torch.bfloat16) for _ in range(2))
    best = float("inf")
    for _ in range(10):
        synchronize(device)
        begun = time.perf_counter()
        torch.mm(a, b)
        synchronize(device)
        best = min(best, time.perf_counter() - begun)
    return float(2 * 8192**3 / best)


def measure(
    out: Path,
    folder: Path,
    scale: Scale,
    workers: int,
    seconds: float,
    gpus: int,
    ready: Callable[[float], bool],
) -> None:
    """Measure the grid on the card (gpus: 1) or, to rehearse, on the CPU (0).

    `ready` waits, at most so many seconds, until nothing else runs here, and says whether it is so.
    """
    import torch._dynamo.config as dynamo

    # Each case is a network of its own: what was learned of another's batch must not make this
    # one's dynamic, nor their number stop the compilation.
    dynamo.automatic_dynamic_shapes = False
    dynamo.recompile_limit = 64
    with join_ranks(gpus) as ranks:
        prepare_torch(1, ranks)
        Bench(out, folder, scale, workers, seconds, ranks).run(ready)
