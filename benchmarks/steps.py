"""Timed steps of the real training loop, fed from shards or from memory."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from specvit.train.engine import Run
    from specvit.train.loader import Batch
    from specvit.train.step import GivenStep


def block(
    run: Run, batches: Iterator[Batch], steps: int, seconds: float = float("inf")
) -> dict[str, float]:
    """Figures of this many steps, or of those that this time allows (but of two at least).

    Steps are given to the device as far ahead as in training; the last one is waited for.
    """
    from specvit.train.step import AHEAD, fetch, lagging

    meter = run.meter
    meter.load_state_dict({"pictures": 0, "seconds": 0.0, "waited": 0.0})
    end = time.perf_counter() + seconds

    def given() -> Iterator[tuple[int, GivenStep]]:
        for number in range(steps):
            if number >= 2 and time.perf_counter() > end:
                return
            with meter.waiting():
                passes = fetch(batches, run.settings.accumulate)
            yield sum(batch.count for batch in passes), run.stepper.step(passes, 0)

    run.stepper.network.train()
    meter.start()
    for pictures, step in lagging(given(), AHEAD[run.ranks.device.type]):
        step.result()
        meter.lap(pictures)
    return meter.figures()


def skip_prepared(run: Run, batches: Iterator[Batch]) -> None:
    """Pass over what readers have prepared while nobody asked: it was free."""
    from specvit.train.loader import prefetched, shape_of

    workers = run.settings.workers
    if workers:
        channels, *size = shape_of(run.config.render[0])
        pass_bytes = run.order.pass_size * channels * size[0] * size[1]
        for _ in range(workers * prefetched(workers, pass_bytes)):
            next(batches)


def kept_batches(run: Run, count: int) -> list[Any]:
    """The first passes of a run, in (pinned) memory."""
    from specvit.train.loader import train_batches

    pin = run.ranks.device.type == "cuda"
    batches = train_batches(run.order, run.config.render[0], workers=0, pin=pin)
    kept = list(islice(batches, count * run.settings.accumulate))
    batches.close()
    return kept
