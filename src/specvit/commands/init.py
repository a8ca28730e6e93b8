"""`specvit init`."""

from __future__ import annotations

from pathlib import Path

import click

from specvit.workflow import PRESETS


@click.command("init")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--preset",
    type=click.Choice(PRESETS),
    default="demo",
    show_default=True,
    help="The run to begin with: simulated spectra, your own, a survey, or two as in the paper.",
)
def command(folder: Path, preset: str) -> None:
    """Lay down a folder to run the workflow in: a Snakefile and a commented config.yaml."""
    from specvit.workflow import FILES, lay_down

    made = lay_down(folder, preset)
    click.echo(
        f"wrote {' and '.join(str(path) for path in made)}; go on with: specvit run {folder}"
    )
    click.echo(f"configurations to lay over it, and a SLURM profile to copy: {FILES / 'workflow'}")
