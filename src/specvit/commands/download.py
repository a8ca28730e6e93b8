"""`specvit download`."""

from __future__ import annotations

from pathlib import Path

import click

from specvit.commands.options import config_option


@click.command("download")
@config_option
@click.option("--shard", help="Only this shard, as train-000000; default: all, one by one.")
@click.option(
    "--retry-missing",
    is_flag=True,
    help="Ask again for spectra that a server said it does not have (failed and corrupt ones are "
    "always tried again).",
)
@click.option(
    "--write-list",
    "list_path",
    type=click.Path(path_type=Path),
    help="Fetch nothing: write here what to mirror with rsync, Globus or wget.",
)
@click.option(
    "--format",
    "list_format",
    type=click.Choice(["rsync", "globus", "urls"]),
    help="Format of the list; default: rsync for SDSS, urls for LAMOST (its nightly tars).",
)
def command(
    sources: tuple[str, ...],
    shard: str | None,
    retry_missing: bool,
    list_path: Path | None,
    list_format: str | None,
) -> None:
    """Fetch the spectra of a shard: one tar of the survey's own files, and a ledger."""
    from specvit.config import load_stage
    from specvit.download import download_shard, download_shards, write_list

    config = load_stage(sources, "download")
    if list_format is not None and list_path is None:
        raise click.UsageError("--format belongs to --write-list")
    if list_path is not None:
        click.echo(write_list(config, list_path, list_format))
    elif shard is None:
        download_shards(config, retry_missing)
    elif shard not in config.shard_names():
        raise click.UsageError(
            f"--shard {shard}: the shards of this run are {config.shard_names()[0]} to "
            f"{config.shard_names()[-1]}"
        )
    else:
        download_shard(config, shard, retry_missing)
