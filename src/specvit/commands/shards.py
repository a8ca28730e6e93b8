"""`specvit shards`."""

from __future__ import annotations

import click

from specvit.commands.options import config_option


@click.command("shards")
@config_option
@click.option("--render", "label", help="Only this set of plots, by its name; default: all.")
@click.option("--shard", help="Only this shard, as train-000000, and no shards.json.")
@click.option("--index", "index_only", is_flag=True, help="Only gather shards.json.")
@click.option(
    "--draws",
    type=click.IntRange(0, 64),
    help="Extra noise realisations of each train spectrum, instead of render.draws.",
)
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
    index_only: bool,
    draws: int | None,
    processes: int,
) -> None:
    """Draw the spectra of each shard as plots; shards.json then lists what each shard holds."""
    from specvit.config import load_config, load_stage
    from specvit.errors import ConfigError
    from specvit.shards import ShardJob, make_shards, write_index

    config = load_stage(sources, "shards")
    # Experiments bring sets of plots of their own, which the view of one stage leaves out.
    renders = load_config(sources).renders
    names = config.shard_names()
    if shard is not None and index_only:
        raise click.UsageError("--shard and --index exclude each other")
    if shard is not None and shard not in names:
        raise click.UsageError(
            f"--shard {shard}: the shards of this run are {names[0]} to {names[-1]}"
        )
    if label is not None and label not in renders:
        raise ConfigError(f"--render {label} is not one of {', '.join(renders)}")
    chosen = [render for name, render in renders.items() if label in (None, name)]
    if draws is not None:
        chosen = [render.model_copy(update={"draws": draws}) for render in chosen]
    if not index_only:
        wanted = names if shard is None else [shard]
        jobs = [
            ShardJob(config.paths, name, render, config.grid, config.seed)
            for render in chosen
            for name in wanted
        ]
        make_shards(jobs, processes)
    if shard is None:
        for render in chosen:
            write_index(config.paths, render, config.grid, names)
