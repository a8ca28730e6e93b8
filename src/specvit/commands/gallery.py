"""`specvit gallery`."""

from __future__ import annotations

import click

from specvit.commands.options import config_option


@click.command("gallery")
@config_option
def command(sources: tuple[str, ...]) -> None:
    """Make a page of plots of each class and set of plots, at the pixels the model sees."""
    from specvit.config import load_config, load_stage
    from specvit.locks import writing
    from specvit.plot.gallery import write_gallery

    config = load_stage(sources, "gallery")
    # Experiments bring sets of plots of their own, which the view of one stage leaves out.
    renders = load_config(sources).renders.values()
    with writing(config.paths, "gallery"):
        write_gallery(config, renders)
    click.echo(config.paths.gallery)
