"""`specvit status`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("status")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--watch", type=click.FloatRange(min=1), help="Show again every so many seconds.")
def command(run: Path, watch: float | None) -> None:
    """Show how far RUN (results/demo, or demo) is: stages, rate, time left, failed jobs.

    Reads files only. What is older than what it is made from is out of date; what a changed
    configuration would make again, specvit run --dry-run says. Exit code 0 when the run is
    complete, 10 while it is not.
    """
    import time

    from specvit.status import find_run, read_status, show_status

    run = find_run(run)
    status = read_status(run)
    while watch is not None and not status.finished:
        click.clear()
        show_status(status, click.echo)
        time.sleep(watch)
        status = read_status(run)
    show_status(status, click.echo)
    if not status.finished:
        raise click.exceptions.Exit(10)
