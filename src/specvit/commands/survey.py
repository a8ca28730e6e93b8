"""`specvit survey`."""

from __future__ import annotations

import click

from specvit.commands.options import config_option


@click.command("survey")
@config_option
@click.option("--survey", "key", help="Key under `surveys:`; all that are switched on if left out.")
def command(sources: tuple[str, ...], key: str | None) -> None:
    """Fetch one survey's catalogue and select rows from it."""
    from specvit.catalog.survey import select_survey
    from specvit.config import load_stage
    from specvit.errors import ConfigError
    from specvit.locks import writing

    config = load_stage(sources, "survey")
    active = list(config.surveys.active)
    if key is not None and key not in active:
        raise ConfigError(f"--survey {key}: switched on are {', '.join(active)}")
    for name in active if key is None else [key]:
        with writing(config.paths, f"surveys/{name}"):
            ladder = select_survey(config, name)
        click.echo(f"{name}: {ladder.steps[-1].left} spectra in {config.paths.survey_table(name)}")
