"""`specvit check`."""

from __future__ import annotations

import click

from specvit.commands.options import config_option


@click.command("check")
@config_option
def command(sources: tuple[str, ...]) -> None:
    """Validate a configuration, print what it plans, and what is missing on this machine.

    Exit code 2 where something is: a file of weights, a folder, space on the disk.
    """
    from specvit.config import load_config
    from specvit.config.backbones import check_backbones
    from specvit.errors import ConfigError
    from specvit.paths import SPLITS
    from specvit.preflight import look

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
    found = look(config)
    for warning in found.warnings:
        click.echo(f"  warning: {warning}")
    if found.problems:
        raise ConfigError("\n  ".join(["it cannot run here:", *found.problems]))
