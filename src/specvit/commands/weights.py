"""`specvit weights`."""

from __future__ import annotations

import click


@click.command("weights")
@click.argument("backbone")
def command(backbone: str) -> None:
    """Fetch the published weights of BACKBONE, as model.backbone names it, from the model hub.

    Once, where there is internet: training on a node without it finds them in the hub's cache
    ($HF_HOME, which both must see).
    """
    from specvit.models.hub import fetch_weights

    click.echo(f"{backbone}: {fetch_weights(backbone)}")
