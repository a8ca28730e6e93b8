"""`specvit bench NAME`: each benchmark prints its figure beside a naive reference."""

from __future__ import annotations

import importlib

import click

BENCHES: dict[str, str] = {
    "download": "Fetching spectra from a local server.",
    "catalog": "Selecting from a survey's full catalogue table.",
    "shards": "FITS bytes to finished shard.",
    "loader": "Shard to training batch.",
    "train": "Training from shards and from memory.",
    "baselines": "Classical models at growing size.",
    "scale": "Cost of the data stages in finished runs, and at survey size.",
    "transfer": "Pretrained weights and none, on a folder of real stars.",
}


class _LazyBenches(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(BENCHES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in BENCHES:
            return None
        command: click.Command = importlib.import_module(f"specvit.bench.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Benchmarks"):
            formatter.write_dl(list(BENCHES.items()))


@click.group("bench", cls=_LazyBenches)
def command() -> None:
    """Measure a stage; where there is a naive way, beside it in the same process."""
