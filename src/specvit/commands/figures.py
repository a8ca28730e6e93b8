"""`specvit figures`."""

from __future__ import annotations

import click

from specvit.commands.options import config_option


@click.command("figures")
@config_option
def command(sources: tuple[str, ...]) -> None:
    """Draw the figures from predictions and metrics.

    Writes figures/*.pdf and *.png (`report.formats`) below results/<run>/, one A&A column (88 mm)
    or page (180 mm, `report.width_mm`) wide. `report.figures` names those to make, `report.style`
    a matplotlib style sheet.
    """
    from specvit.config import load_stage
    from specvit.locks import writing
    from specvit.report.figures import write_figures

    config = load_stage(sources, "figures")
    with writing(config.paths, "figures"):
        write_figures(config)
