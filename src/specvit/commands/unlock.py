"""`specvit unlock`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("unlock")
@click.option(
    "--directory",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    default=Path(),
    show_default="the current one",
    help="The folder Snakemake was started in.",
)
def command(directory: Path) -> None:
    """Remove Snakemake's lock if the run that made it is dead.

    A Snakemake that was killed with -9 leaves its lock behind and the next one refuses to start.
    The lock is kept, with exit code 1, while a Snakemake runs in the folder on this machine.
    """
    from specvit.locks import remove_stale_lock

    removed = remove_stale_lock(directory.resolve())
    if removed:
        click.echo("removed the lock of a Snakemake run that is dead")
