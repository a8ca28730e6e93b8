"""`specvit verify`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("verify")
@click.argument("root", type=click.Path(exists=True, file_okay=False, path_type=Path))
def command(root: Path) -> None:
    """Check every hash, count, key and picture of the run in ROOT, as results/demo."""
    from specvit.errors import DataError
    from specvit.shards.verify import unfinished, verify_run

    problems = verify_run(root)
    for problem in problems:
        click.echo(problem, err=True)
    if left := unfinished(root):
        click.echo(f"{root}: {left}")
    if problems:
        raise DataError(f"{root}: {len(problems)} problems")
    click.echo(f"{root}: every hash, count, key, picture and row is as recorded")
