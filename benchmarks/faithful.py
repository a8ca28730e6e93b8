"""`python -m benchmarks faithful RUN`: whether a network rests on what `explain` shows."""

from __future__ import annotations

from pathlib import Path

import click
import pandas as pd

from benchmarks.common import json_option
from benchmarks.run_spectra import network_of, read_some
from specvit.explain.faithful import SHARE, faithfulness, summary
from specvit.io import write_json


@click.command("faithful")
@click.argument("run", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--spectra", default=200, show_default=True, help="Of test, spread over its shards.")
@click.option("--share", default=SHARE, show_default=True, help="Of the wavelengths taken away.")
@click.option("--seed", default=0, show_default=True)
@json_option
def command(run: Path, spectra: int, share: float, seed: int, json_path: Path | None) -> None:
    """Take from test spectra of RUN what its network is said to look at, or as much at random."""
    found = read_some(run, "test", spectra)
    table = summary(faithfulness(network_of(run), list(found.values()), share, seed))
    click.echo(f"{len(found)} test spectra of {run}; {share:.0%} of their wavelengths taken away")
    with pd.option_context("display.width", 160, "display.max_columns", None):
        click.echo(table.round(3).to_string(index=False))
    if json_path is not None:
        write_json(json_path, {"share": share, "rows": table.to_dict("records")})
