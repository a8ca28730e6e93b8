"""`specvit schema`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("schema")
@click.option("--write", "path", type=click.Path(path_type=Path), help="Write here, not to stdout.")
def command(path: Path | None) -> None:
    """Print or write the JSON schema of the configuration."""
    from specvit.config.schema import schema_text
    from specvit.io import write_text

    if path is None:
        click.echo(schema_text(), nl=False)
    else:
        write_text(path, schema_text())
