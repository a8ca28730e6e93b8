"""`specvit publish`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("publish")
@click.argument("run", type=click.Path(path_type=Path, file_okay=False))
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--push", "repo", help="Upload the folder to this data set of the hub.")
def command(run: Path, folder: Path, repo: str | None) -> None:
    """Write the spectra of a RUN's folder and what its models say of them into a new FOLDER.

    As parquet that `datasets` reads, as a HATS catalogue that lsdb reads, and with a card. Needs
    pip install 'specvit[publish]'. --push makes the data set, private, if there is none; the token
    is read from HF_TOKEN.
    """
    from specvit.share.publish import publish_run

    for line in publish_run(run, folder).lines():
        click.echo(line)
    if repo is not None:
        from specvit.share.hub import push

        click.echo(push(folder, repo, "dataset"))
