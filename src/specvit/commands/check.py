"""`specvit check`."""

from __future__ import annotations

import click

from specvit.commands.options import config_option


@click.command("check")
@config_option
def command(sources: tuple[str, ...]) -> None:
    """Validate a configuration and print what it plans."""
    from specvit.config import load_config
    from specvit.config.backbones import check_backbones
    from specvit.paths import SPLITS

    config = load_config(sources)
    check_backbones(config)
    shards = ", ".join(f"{config.split.shards.of(split)} {split}" for split in SPLITS)
    click.echo(f"run {config.run}: the configuration is valid")
    for key, survey in config.surveys.active.items():
        click.echo(f"  survey {key}: {survey.base_url}")
    click.echo(f"  tasks: {', '.join(config.tasks)}")
    click.echo(f"  shards: {shards}")
    click.echo(f"  plots: {', '.join(config.renders)}")
    for name in config.network_names:
        train = config.variant(name).train
        recipe = (
            f"lr {train.lr:g}, layer_decay {train.layer_decay:g}, batch_size {train.batch_size}"
        )
        click.echo(f"  network {name}: {recipe}")
    click.echo(f"  models: {', '.join(config.model_names)}")
    click.echo(f"  outputs: {config.paths.root}/")
