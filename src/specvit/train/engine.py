"""Fine-tuning from shards to `models/<network>/`, readable from top to bottom.

What a resume needs lies in `models/<network>/checkpoints/`, which no Snakemake rule declares as its
output: Snakemake removes declared outputs before it runs a job again, and would remove the state
with them. Outputs are written at the end. The same command, run again, goes on where the state
stands; writes its outputs at once if the run was finished; starts anew if settings or data have
changed, or with `fresh`.
"""

from __future__ import annotations

import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import torch
from torch.utils import deterministic

from specvit.config import Config, network_settings
from specvit.config.learning import monitors
from specvit.errors import Preempted, TrainingError
from specvit.find_model import model_folder
from specvit.io import sha256_file, stable_hash, write_json, write_text
from specvit.locks import writing
from specvit.logs import Ticker, get_logger, progress
from specvit.machine import processor_name
from specvit.models.labels import LabelStats
from specvit.models.start import start_from
from specvit.models.store import WEIGHTS, save_model
from specvit.models.vit import build_model
from specvit.plan import KEY
from specvit.predictions import WEIGHTS_HASH
from specvit.shards.subset import Subset
from specvit.train.checkpoint import (
    LAST,
    check_same,
    generator_states,
    load_checkpoint,
    load_weights,
    restore_generators,
    save_checkpoint,
    save_weights,
)
from specvit.train.data import order_of, read_splits, without_unlearnable
from specvit.train.doubts import doubts_after, doubts_before
from specvit.train.hardware import flops_per_picture, peak_flops, peak_memory_mb
from specvit.train.loader import Batch, evaluation_batches, train_batches
from specvit.train.metrics import Figures, Validation, untrained_losses
from specvit.train.ranks import Ranks, join_ranks
from specvit.train.runlog import LINES, RunLog
from specvit.train.step import AHEAD, GivenStep, Meter, Stepper, StepResult, fetch, lagging

LOG = get_logger(__name__)
LOG_EVERY = 10  # steps between lines of the log
NAMED = 8  # samples that a message names; the log has all
# Unreadable samples that are counted and passed over: a few in any run, and in millions of spectra
# what a disk may damage. More say that the shards are broken, and a network should not learn on.
BAD_SAMPLES = 10
BAD_SHARE = 1e-4


def train(config: Config, network: str = "vit", *, fresh: bool = False) -> Path:
    """Train a network of this run, or go on with it; return its folder.

    `config` is that network's own (`load_stage(..., model=network)`). Writes `model.safetensors`,
    `model.json`, `log.jsonl` and `training.json`. Raises Preempted after SIGTERM or SIGUSR1, with
    the state saved; TrainingError where training cannot start or go on.
    """
    with join_ranks(config.train.gpus) as ranks, _stop_signals() as stop, ExitStack() as stack:
        if ranks.is_main:
            stack.enter_context(writing(config.paths, f"models/{network}"))
        run = Run(config, network, ranks, stop)
        try:
            run.resume(fresh)
            if not run.finished:
                run.fit()
            run.write_outputs()
        finally:
            run.close()
    return run.folder


class StopRequest:
    """Set by SIGTERM (preemption, scancel) and SIGUSR1 (SLURM's warning before the time limit)."""

    signal: str | None = None

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Remember the signal's name; the loop looks after each step."""
        self.signal = signal.Signals(number).name


@contextmanager
def _stop_signals() -> Iterator[StopRequest]:
    stop = StopRequest()
    kept = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGUSR1)}
    try:
        yield stop
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)


class Run:
    """One training run on this rank: what it reads, where it stands, what it writes."""

    def __init__(self, config: Config, network: str, ranks: Ranks, stop: StopRequest) -> None:
        config = config.settled()
        self.config, self.settings, self.ranks, self.stop = config, config.train, ranks, stop
        self.name = f"{config.run}/{network}"
        self.folder = config.paths.model_dir(network)
        self.checkpoints = self.folder / "checkpoints"
        self.tasks = config.asked

        prepare_torch(config.train.seed, ranks)
        samples, self.val_samples = read_splits(config)
        self.plan = samples.plan
        self.val_samples.plan.check_same(self.val_samples.tars[0], self.plan, samples.tars[0])
        labels = {task: torch.from_numpy(values) for task, values in samples.labels.items()}
        stats = LabelStats.measure(self.tasks, labels)
        self.model = build_model(config.model, self.tasks, config.render[0], stats, config.grid)
        self.untrained = untrained_losses(self.model, self.val_samples.labels)
        init = config.model.init
        self.start = None if init is None else start_from(self.model, init)
        self.order = order_of(config, without_unlearnable(samples, self.model), ranks)
        self.steps = self.settings.epochs * self.order.steps_per_epoch
        self.stepper = Stepper(self.model, self.settings, ranks, self.steps)
        flops = flops_per_picture(self.model, ranks.device)
        self.meter = Meter(flops, peak_flops(ranks.device, self.stepper.bfloat16), ranks.size)
        torch.manual_seed(config.train.seed + 1 + ranks.rank)  # drop path differs between ranks
        self.fits = {
            "settings": settings_hash(config),
            "data": stable_hash([samples.fingerprint, self.val_samples.fingerprint]),
            "ranks": ranks.size,
        }

        self.doubts = doubts_before(config, self.steps, Subset.of(config, "train"))

        # Where the run stands: all of it goes into the checkpoint.
        self.epoch = self.step = 0
        self.finished = False
        self.epoch_loss = 0.0  # sum over this epoch's steps
        self.best: dict[str, Any] | None = None
        self.history: list[dict[str, Any]] = []
        self.bad: dict[str, str] = {}  # samples whose picture cannot be read
        self.new_bad: dict[str, str] = {}  # met by this rank, not yet told to the others
        self.earlier_seconds = 0.0
        self._begun = self._saved = time.monotonic()
        self._runlog: RunLog | None = None
        self._asked = False  # to stop or to save the state, by some rank

    # Where to start ---------------------------------------------------------------------------

    def resume(self, fresh: bool) -> None:
        """Take over the state of an earlier session, unless there is none that fits."""
        state, why = None, "asked to start anew"
        if not fresh:
            state, why = load_checkpoint(self.checkpoints, self.fits)
        self.ranks.wait()  # every rank has read before anything is moved
        if state is not None:
            self._restore(state)
        elif self.ranks.is_main and self.checkpoints.exists():
            # Kept, not removed: it may be days of work, and the change of a setting a slip.
            previous = self.checkpoints.with_name("checkpoints.previous")
            shutil.rmtree(previous, ignore_errors=True)
            self.checkpoints.rename(previous)
        settings = network_settings(self.config)
        if self.ranks.is_main:
            self._runlog = RunLog(self.checkpoints, self.name, self.number, settings)
            LOG.info("%s: %s", self.name, why)
            if self.start is not None:
                LOG.info("%s: %s", self.name, self.start.sentence())
            machine = self.machine()
            LOG.info(
                "%s: %s, ranks: %d, processor threads of each: %d",
                self.name,
                *(machine[key] for key in ("device", "ranks", "threads")),
            )
        self._tell(
            "start",
            why=why,
            settings=settings,
            bad_samples=self.bad,
            epochs=self.settings.epochs,
            steps=self.steps,
            **self._started(),
            **self.machine(),
        )
        self._check_bad(len(self.bad))

    def _restore(self, state: dict[str, Any]) -> None:
        self.epoch, self.step, self.finished = state["epoch"], state["step"], state["finished"]
        self.epoch_loss, self.best = state["epoch_loss"], state["best"]
        self.history, self.bad = state["history"], state["bad"]
        self.earlier_seconds = state["seconds"]
        self.meter.load_state_dict(state["meter"])
        if not self.finished:
            check_same(self.checkpoints / LAST, state["stepper"]["model"], self.model)
            self.stepper.load_state_dict(state["stepper"])
            mine = state["ranks"][self.ranks.rank]
            self.new_bad = mine["bad"]
            restore_generators(mine["generators"])

    # Training ---------------------------------------------------------------------------------

    def fit(self) -> None:
        """Train to the last epoch, or until the monitored figure has stopped getting better."""
        batches = train_batches(
            replace(self.order, start=(self.epoch, self.step)),
            self.config.render[0],
            workers=self.settings.workers,
            pin=self.ranks.device.type == "cuda",
        )
        with closing(batches):
            while self.epoch < self.settings.epochs and not self._is_stale():
                self._train_epoch(batches)
                self._end_epoch()
        self.finished = True
        self._save()

    def _train_epoch(self, batches: Iterator[Batch]) -> None:
        self.stepper.network.train()
        label = f"{self.name}: epoch {self.epoch + 1}/{self.settings.epochs}"
        total = len(self.order.samples)
        with progress(label, total, "pictures") if self.ranks.is_main else nullcontext() as tick:
            if tick is not None:
                tick.done = min(self.step * self.settings.batch_size, total)
            while self.step < self.order.steps_per_epoch:
                self._train_until_asked(batches, tick)

    def _train_until_asked(self, batches: Iterator[Batch], tick: Ticker | None) -> None:
        """Train to the end of the epoch, or until a rank asks to stop or to save the state."""
        stopping = due = False
        self._asked = False
        self.meter.start()
        for passes, given in lagging(self._given(batches), AHEAD[self.ranks.device.type]):
            result = given.result()
            pictures, stops, saves, bad = result.messages
            self._check_finite(result, passes)
            self._check_bad(len(self.bad) + int(bad))
            self.step += 1
            self.epoch_loss += result.loss
            self._log_step(result)
            if tick is not None:
                tick.advance(int(pictures), self._note(result))
            stopping, due = stopping or bool(stops), due or bool(saves)
            self._asked = stopping or due
            self.meter.lap(int(pictures))
        if stopping:
            self._stop()
        if due:
            self._save()

    def _given(self, batches: Iterator[Batch]) -> Iterator[tuple[list[Batch], GivenStep]]:
        """Give the device this epoch's steps from where it stands on, until something is asked."""
        first, begun = self.step, self.number
        for k in range(self.order.steps_per_epoch - first):
            if self._asked:
                return
            with self.meter.waiting():
                passes = fetch(batches, self.settings.accumulate)
            yield passes, self.stepper.step(passes, begun + k, self._messages(passes))

    def _messages(self, passes: list[Batch]) -> list[float]:
        """What the ranks add up in each step: pictures, wish to stop, state due, bad samples."""
        for batch in passes:
            self._collect_bad(batch)
        due = time.monotonic() - self._saved > 60 * self.settings.checkpoint_minutes
        return [
            sum(batch.count for batch in passes),
            self.stop.signal is not None,
            due and self.ranks.is_main,
            len(self.new_bad),
        ]

    def _check_finite(self, result: StepResult, passes: list[Batch]) -> None:
        if result.is_finite:
            return
        samples = self.order.samples
        names = [samples.name(s) for batch in passes for s in batch.samples if s >= 0]
        where = f"step {self.step + 1} of epoch {self.epoch + 1}"
        self._tell("not_finite", loss=result.loss, grad_norm=result.grad_norm, samples=names)
        raise TrainingError(
            f"{where}: loss = {result.loss:g} and gradient norm = {result.grad_norm:g} are not "
            f"both finite, so the step was not taken; its samples on rank {self.ranks.rank}: "
            f"{', '.join(names[:NAMED])}{', ...' if len(names) > NAMED else ''} (all in "
            f"{self.checkpoints / LINES}). Look at them, lower train.lr, or use precision: float32"
        )

    # The end of an epoch ----------------------------------------------------------------------

    def _end_epoch(self) -> None:
        figures = self._validate()
        better = figures is not None and self._is_better(figures)
        if better and self.ranks.is_main:
            save_weights(self.checkpoints, self.stepper.evaluated)
        if figures is None:
            self._stop()
        record = {
            "epoch": self.epoch + 1,
            "train_loss": self.epoch_loss / self.order.steps_per_epoch,
            **figures,
        }
        if better:
            self.best = record
        self.history.append(record)
        self.epoch, self.step, self.epoch_loss = self.epoch + 1, 0, 0.0
        self._tell("epoch", **record, best=better, **self.meter.figures())
        if self.ranks.is_main:
            shown = [f"{k} {v:.4g}" for k, v in figures.items() if v is not None]
            LOG.info("%s: after epoch %d: validation %s", self.name, self.epoch, ", ".join(shown))
        self._save()

    def _validate(self) -> Figures | None:
        """Figures of the validation split with the weights now in the network; None: told to stop.

        Ranks share the split, and speak again only after it.
        """
        self.stepper.network.eval()
        validation = Validation(self.stepper, self.untrained)
        batches = evaluation_batches(
            self.val_samples,
            self.config.render[0],
            self.settings.batch_size // self.settings.accumulate // self.ranks.size,
            workers=self.settings.workers,
            rank=self.ranks.rank,
            ranks=self.ranks.size,
            pin=self.ranks.device.type == "cuda",
        )
        for batch in batches:
            if self.stop.signal is not None:
                break
            self._collect_bad(batch)
            validation.add(batch)
        if any(self.ranks.gather(self.stop.signal is not None)):
            return None
        self._share_bad()
        return validation.figures()

    def _is_better(self, figures: Figures) -> bool:
        if self.best is None:
            return True
        new, old = figures[self.settings.monitor], self.best[self.settings.monitor]
        if old is None or new is None:
            return new is not None
        way = monitors(self.config.tasks)[self.settings.monitor]
        return bool(new < old if way == "min" else new > old)

    def _is_stale(self) -> bool:
        if self.settings.patience is None or self.best is None:
            return False
        return bool(self.epoch - self.best["epoch"] >= self.settings.patience)

    # Samples that cannot be read --------------------------------------------------------------

    def _collect_bad(self, batch: Batch) -> None:
        new = {b.name: b.reason for b in batch.bad if b.name not in self.bad}
        for name in new.keys() - self.new_bad.keys():
            LOG.warning("%s: passed over %s: %s", self.name, name, new[name])
        self.new_bad |= new

    def _share_bad(self) -> None:
        """Tell every rank what each has met: another rank may meet it in the next epoch."""
        for found in self.ranks.gather(self.new_bad):
            self.bad |= found
            for name, reason in found.items():
                self._tell("bad_sample", name=name, reason=reason)
        self.new_bad = {}
        self._check_bad(len(self.bad))

    def _check_bad(self, count: int) -> None:
        most = max(BAD_SAMPLES, round(BAD_SHARE * len(self.order.samples)))
        if count > most:
            named = [f"{name}: {why}" for name, why in {**self.bad, **self.new_bad}.items()]
            raise TrainingError(
                f"{count} samples cannot be read, more than the {most} that are passed over: make "
                f"the shards again (specvit verify finds what is damaged); "
                f"{'; '.join(named[:NAMED])}"
            )

    # What is written --------------------------------------------------------------------------

    def _save(self) -> None:
        """Write the state; a finished run keeps only what tells its story."""
        mine = {"bad": self.new_bad, "generators": generator_states()}
        state = {
            "epoch": self.epoch,
            "step": self.step,
            "finished": self.finished,
            "epoch_loss": self.epoch_loss,
            "best": self.best,
            "history": self.history,
            "bad": self.bad,
            "seconds": self.seconds,
            "meter": self.meter.state_dict(),
            "stepper": None if self.finished else self.stepper.state_dict(),
            "ranks": self.ranks.gather(mine),
        }
        if self.ranks.is_main:
            save_checkpoint(self.checkpoints, state, self.fits)
        self._saved = time.monotonic()

    def _stop(self) -> NoReturn:
        self._save()
        self._tell("stopped", signal=self.stop.signal)
        raise Preempted(
            f"{self.name}: stopped by {self.stop.signal or 'a signal to another rank'} after step "
            f"{self.number} of {self.steps}; the state is saved, run the same command to go on"
        )

    def write_outputs(self) -> None:
        """Write the best epoch's model, the log and the summary of the run."""
        if self.ranks.is_main:
            assert self.best is not None
            load_weights(self.checkpoints, self.model)
            made = {
                "monitor": self.settings.monitor,
                **self.best,
                **self._started(),
                KEY: dict(self.plan.values),
            }
            save_model(self.folder, self.model, made)
            self._tell("finished", best_epoch=self.best["epoch"])
            log = (self.checkpoints / LINES).read_text(encoding="utf-8")
            write_text(self.folder / LINES, log)
            write_json(self.folder / "training.json", self._summary())
            for doubt in self._doubts():
                LOG.warning("%s: %s", self.name, doubt)
        self.ranks.wait()

    def _summary(self) -> dict[str, Any]:
        assert self.best is not None
        return {
            "network": self.name,
            KEY: dict(self.plan.values),
            "epochs": self.epoch,
            "steps": self.number,
            "monitor": self.settings.monitor,
            "best": self.best,
            "history": self.history,
            "stopped_early": self.epoch < self.settings.epochs,
            "seconds": round(self.seconds, 1),
            "training_seconds": round(self.meter.seconds, 1),
            **self.meter.figures(),
            **self.machine(),
            "peak_memory_mb": round(peak_memory_mb(self.ranks.device), 1),
            WEIGHTS_HASH: sha256_file(self.folder / WEIGHTS),
            "samples": {"train": len(self.order.samples), "val": len(self.val_samples)},
            "bad_samples": self.bad,
            **self._started(),
            "settings": network_settings(self.config)["train"],
            "doubts": self._doubts(),
        }

    def _started(self) -> dict[str, Any]:
        """What the network took from another model, where it did."""
        return {} if self.start is None else {"init": self.start.as_dict()}

    def _doubts(self) -> list[str]:
        assert self.best is not None
        return [*self.doubts, *doubts_after(self.best, self.model.stats.counts)]

    def machine(self) -> dict[str, Any]:
        """What the run is computed on, and what MFU is measured against."""
        device = self.ranks.device
        gpu = device.type == "cuda"
        return {
            "device": torch.cuda.get_device_name(device) if gpu else processor_name(),
            "ranks": self.ranks.size,
            "threads": torch.get_num_threads(),
            "precision": "bfloat16" if self.stepper.bfloat16 else "float32",
            "flops_per_picture": self.meter.flops,
            "mfu_formula": "flops_per_picture x pictures_per_s / (peak_flops x ranks)",
            "peak_flops": self.meter.peak.flops,
            "peak_source": self.meter.peak.source,
        }

    # What is told -----------------------------------------------------------------------------

    @property
    def number(self) -> int:
        """Steps taken since the run began."""
        return self.epoch * self.order.steps_per_epoch + self.step

    @property
    def seconds(self) -> float:
        """Seconds since the run began, without the pauses between sessions."""
        return self.earlier_seconds + time.monotonic() - self._begun

    def _tell(self, event: str, **values: Any) -> None:
        if self._runlog is not None:
            self._runlog.write(event, self.number, seconds=round(self.seconds, 2), **values)

    def _log_step(self, result: StepResult) -> None:
        if self.number % LOG_EVERY == 0:
            tasks = {f"{task}_loss": value for task, value in result.parts.items()}
            figures = {**tasks, **self.meter.figures()}
            self._tell(
                "step", loss=result.loss, grad_norm=result.grad_norm, lr=result.lr, **figures
            )

    def _note(self, result: StepResult) -> str:
        memory = peak_memory_mb(self.ranks.device)
        return (
            f"loss {result.loss:.3f}, waiting for data {self.meter.data_wait:.1%}, "
            f"MFU {self.meter.mfu:.0%}, memory {memory:.0f} MB"
        )

    def close(self) -> None:
        """Close the log."""
        if self._runlog is not None:
            self._runlog.close()


def prepare_torch(seed: int, ranks: Ranks) -> None:
    """Seed torch alike on every rank; on CPUs, the same settings then give the same bits."""
    torch.manual_seed(seed)
    if ranks.device.type == "cpu":
        torch.use_deterministic_algorithms(True)
        # Deterministic mode fills new memory to show its unset use: time for nothing here.
        deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    else:
        torch.set_float32_matmul_precision("high")  # TF32 for what is not in bfloat16


def settings_hash(config: Config) -> str:
    """12 hex digits that change with any setting that changes what a run computes."""
    values = network_settings(config)
    if config.model.weights is not None and Path(config.model.weights).is_file():
        values["weights"] = sha256_file(Path(config.model.weights))
    if config.model.init is not None:
        values["init"] = sha256_file(model_folder(config.model.init) / WEIGHTS)
    return stable_hash(values)
