"""`specvit report`."""

from __future__ import annotations

from pathlib import Path

import click

from specvit.commands.options import config_option


@click.command("report")
@config_option
@click.option(
    "--claims",
    type=click.Path(path_type=Path),
    help="A paper's claims, to be held against the run: workflow/report/paper.yaml.",
)
def command(sources: tuple[str, ...], claims: Path | None) -> None:
    """Write the report.

    results/<run>/report.html is one file that asks for nothing else; figures/overview.png beside
    it shows the run in one picture; explore.html is the test split to look through. Fails where the
    counts of spectra do not add up.
    """
    from specvit.config import load_stage
    from specvit.explore.write import write_explorer
    from specvit.locks import writing
    from specvit.report.claims import read_paper
    from specvit.report.gathered import Gathered
    from specvit.report.write import write_report

    paper = None if claims is None else read_paper(claims)
    config = load_stage(sources, "report")
    with writing(config.paths, "report"):
        run = Gathered.read(config)
        # First what the report links to.
        write_explorer(run)
        write_report(run, paper)
