"""All stages of a run up to its shards in one command, where there is no Snakemake.

    python sky/make_shards.py --config config.yaml --config workflow/configs/sky.yaml --processes 16

What is made is what the workflow makes, to the byte. Next: `specvit train`, `predict-split`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Executor, as_completed
from functools import partial

import click

from specvit.catalog.build import build_catalog
from specvit.catalog.survey import select_survey
from specvit.commands.options import config_option
from specvit.config import Config, load_config
from specvit.download import download_shard
from specvit.logs import progress, setup_logging
from specvit.machine import worker_processes
from specvit.shards import ShardJob, write_summary
from specvit.shards.make import make_shard


def select(sources: tuple[str, ...], survey: str) -> None:
    """Select a survey's rows, in a process of its own."""
    select_survey(load_config(sources), survey)


def one_shard(sources: tuple[str, ...], shard: str) -> None:
    """Fetch the spectra of one shard and draw all its sets of plots, unless that is done."""
    config = load_config(sources)
    jobs = [
        ShardJob(config.paths, shard, render, config.grid, config.split)
        for render in config.renders.values()
    ]
    todo = [job for job in jobs if not config.paths.shard_stats(job.render.label, shard).exists()]
    if todo and not config.paths.ledger(shard).exists():
        download_shard(config, shard)
    for job in todo:
        make_shard(job)


def in_pool(pool: Executor, what: str, work: Callable[[str], None], names: Iterable[str]) -> None:
    """Do this work for all of these, several at a time; the first error ends it."""
    futures = [pool.submit(work, name) for name in names]
    with progress(what, len(futures), what) as tick:
        for future in as_completed(futures):
            future.result()
            tick.advance()


@click.command()
@config_option
@click.option("--processes", default=2, show_default=True)
def main(sources: tuple[str, ...], processes: int) -> None:
    """Make catalogue, spectra and shards of a run."""
    setup_logging()
    config: Config = load_config(sources)
    with worker_processes(processes, setup_logging) as pool:
        if not config.paths.catalog.exists():
            in_pool(pool, "surveys", partial(select, sources), config.surveys.active)
            build_catalog(config)
        in_pool(pool, "shards", partial(one_shard, sources), config.shard_names())
    for render in config.renders.values():
        write_summary(config.paths, render, config.grid, config.split, config.shard_names())


if __name__ == "__main__":
    main()
