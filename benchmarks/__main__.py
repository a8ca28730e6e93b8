"""`python -m benchmarks NAME`: each prints its figure beside a naive reference."""

from __future__ import annotations

from typing import Any

import click

from specvit.cli import LazyGroup, run
from specvit.logs import setup_logging

BENCHMARKS: dict[str, str] = {
    "download": "Fetching spectra from a local server.",
    "catalog": "Selecting from a survey's full catalogue table.",
    "shards": "FITS bytes to finished shard.",
    "index": "Starting training of millions of samples.",
    "loader": "Shard to training batch.",
    "train": "Training from shards and from memory.",
    "gpu": "Rates of one card, a fine-tuning and a million pictures (benchmarks/gpu.sh).",
    "baselines": "Classical models at growing size.",
    "scale": "Cost of the data stages in finished runs, and at survey size.",
    "sky": "The simulated sky beside real spectra: lines, colours, gaps and noise.",
    "real": "Networks and baselines on real spectra, same folds.",
    "explore": "The page of the test spectra in a browser: first paint, filters.",
    "faithful": "Whether networks rest on what explain says that they look at.",
    "novelty": "Which score finds spectra unlike those of training.",
    "transfer": "Pretrained weights and none, on a folder of real stars.",
}


@click.group(cls=LazyGroup, package="benchmarks", lines=BENCHMARKS)
def app() -> None:
    """Measure a stage; where there is a naive way, beside it in the same process."""
    setup_logging()


def main(args: list[str] | None = None) -> Any:
    """Run a benchmark."""
    return run(app, args)


if __name__ == "__main__":
    main()
