"""`specvit shards`."""

from __future__ import annotations

import click

from specvit.commands.options import config_option


@click.command("shards")
@config_option
@click.option("--render", "label", help="Only this set of plots, by its name; default: all.")
@click.option("--shard", help="Only this shard, as train-000000, and no shards.json.")
@click.option("--summary", "summary_only", is_flag=True, help="Only gather shards.json.")
@click.option(
    "--processes",
    type=click.IntRange(1, 1024),
    default=1,
    show_default=True,
    help="Shards that are made at the same time.",
)
def command(
    sources: tuple[str, ...],
    label: str | None,
    shard: str | None,
    summary_only: bool,
    processes: int,
) -> None:
    """Draw the spectra of each shard as plots; shards.json then lists what each shard holds."""
    from specvit.config import load_config, load_stage
    from specvit.errors import ConfigError
    from specvit.shards import ShardJob, make_shards, write_summary

    config = load_stage(sources, "shards")
    # Experiments bring sets of plots of their own, which the view of one stage leaves out.
    renders = load_config(sources).renders
    names = config.shard_names()
    if shard is not None and summary_only:
        raise click.UsageError("--shard and --summary exclude each other")
    if shard is not None and shard not in names:
        raise click.UsageError(
            f"--shard {shard}: the shards of this run are {names[0]} to {names[-1]}"
        )
    if label is not None and label not in renders:
        raise ConfigError(f"--render {label} is not one of {', '.join(renders)}")
    chosen = [render for name, render in renders.items() if label in (None, name)]
    if not summary_only:
        wanted = names if shard is None else [shard]
        jobs = [
            ShardJob(config.paths, name, render, config.grid, config.split)
            for render in chosen
            for name in wanted
        ]
        make_shards(jobs, processes)
    if shard is None:
        for render in chosen:
            write_summary(config.paths, render, config.grid, config.split, names)
