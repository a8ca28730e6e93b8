"""`specvit report`."""

from __future__ import annotations

import click

from specvit.commands.options import config_option


@click.command("report")
@config_option
def command(sources: tuple[str, ...]) -> None:
    """Write the report.

    results/<run>/report.html is one file that asks for nothing else; figures/overview.png beside
    it shows the run in one picture. Fails where the counts of spectra do not add up.
    """
    from specvit.config import load_stage
    from specvit.report.write import write_report

    write_report(load_stage(sources, "report"))
