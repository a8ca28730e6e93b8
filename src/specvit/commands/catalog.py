"""`specvit catalog`."""

from __future__ import annotations

from pathlib import Path

import click

from specvit.commands.options import config_option


@click.command("catalog")
@config_option
@click.option(
    "--from-files",
    "folder",
    type=click.Path(path_type=Path),
    help="Build the catalogue from the headers of all spectra in a folder, in place of surveys.",
)
@click.option("--run", help="Name of the run, with --from-files; default: the configuration's.")
@click.pass_context
def command(
    context: click.Context, sources: tuple[str, ...], folder: Path | None, run: str | None
) -> None:
    """Group, split and deal the selected rows to shards."""
    from specvit.catalog.build import build_catalog
    from specvit.config import load_stage
    from specvit.locks import writing

    if folder is not None:
        given = context.get_parameter_source("sources")
        default = given is click.core.ParameterSource.DEFAULT
        _from_files(sources, folder, run or ("files" if default else None))
        return
    if run is not None:
        raise click.UsageError("--run needs --from-files; elsewhere, `run` of the configuration")
    config = load_stage(sources, "catalog")
    with writing(config.paths, "catalog"):
        click.echo(f"{build_catalog(config).sentence()} in {config.paths.catalog}")


def _from_files(sources: tuple[str, ...], folder: Path, run: str | None) -> None:
    import json

    from specvit.catalog.build import build_catalog
    from specvit.catalog.from_files import describe_files
    from specvit.catalog.survey import select_survey
    from specvit.config import load_stage
    from specvit.locks import writing
    from specvit.registry import collections

    surveys = {**dict.fromkeys(collections()), "files": {"base_url": folder.resolve().as_uri()}}
    over: dict[str, object] = {"surveys": surveys}
    if run is not None:
        over["run"] = run
    # Without a configuration file here, the defaults do.
    sources = tuple(
        source for source in sources if source != "config.yaml" or Path(source).exists()
    )
    sources = (*sources, json.dumps(over))
    config = load_stage(sources, "survey")
    with writing(config.paths, "surveys/files"):
        select_survey(config, "files")
    click.echo(describe_files(config))
    config = load_stage(sources, "catalog")
    with writing(config.paths, "catalog"):
        click.echo(f"{build_catalog(config).sentence()} in {config.paths.catalog}")
    # The workflow has a config.yaml of its own, which may deal rows otherwise than was done here.
    over = {"surveys": surveys, "split": config.split.model_dump(mode="json")}
    settings = " ".join(f"{key}={json.dumps(value)!r}" for key, value in over.items())
    click.echo(f"go on with: snakemake --cores all --config run={config.run} {settings}")
