"""`specvit status`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("status")
@click.argument("run", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--watch", type=click.FloatRange(min=1), help="Show again every so many seconds.")
def command(run: Path, watch: float | None) -> None:
    """Show how far results/<run> is: stages, rate, time left, failures so far.

    Reads files only. Exit code 0 when the run is complete, 10 while it is not.
    """
    import time

    from specvit.status import read_status, show_status

    status = read_status(run)
    while watch is not None and not status.finished:
        click.clear()
        show_status(status, click.echo)
        time.sleep(watch)
        status = read_status(run)
    show_status(status, click.echo)
    if not status.finished:
        raise click.exceptions.Exit(10)
