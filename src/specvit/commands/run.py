"""`specvit run`."""

from __future__ import annotations

import click

ANYTHING = {"ignore_unknown_options": True, "help_option_names": []}


@click.command("run", context_settings=ANYTHING, options_metavar="[DIR]")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[SNAKEMAKE ARGUMENTS]...")
def command(arguments: tuple[str, ...]) -> None:
    """Run the workflow in DIR (default: here) with Snakemake, on all cores unless told otherwise.

    Whatever follows is Snakemake's: a stage to go up to (shards, train, ...), --dry-run,
    --configfile, --config, --profile; --help shows Snakemake's own help.
    """
    from pathlib import Path

    from specvit.workflow import run_snakemake

    first = arguments[0] if arguments else ""
    named = bool(first) and not first.startswith("-") and Path(first).is_dir()
    # `report` may be a folder and is a stage: a folder is meant where a workflow is in it.
    if named and ("/" in first or first in (".", "..") or Path(first, "Snakefile").exists()):
        run_snakemake(Path(first), arguments[1:])
    run_snakemake(Path(), arguments)
