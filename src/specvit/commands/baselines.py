"""`specvit baselines`."""

from __future__ import annotations

import click

from specvit.commands.options import config_option


@click.command("baselines")
@config_option
@click.option("--model", "name", help="Only this baseline; all of baselines.models without it.")
def command(sources: tuple[str, ...], name: str | None) -> None:
    """Train and run one classical baseline, or all of them."""
    from specvit.baselines import run_baseline
    from specvit.config import load_config, load_stage
    from specvit.locks import writing

    for each in load_config(sources).baselines.models if name is None else (name,):
        config = load_stage(sources, "baselines", baseline=each)
        with writing(config.paths, f"models/{each}"):
            summary = run_baseline(config, each)
        seconds = sum(summary["seconds"].values())
        click.echo(
            f"{each}: {summary['spectra']['train']} train spectra, {summary['predicted']['test']} "
            f"test spectra predicted, {seconds:.1f} s, {summary['peak_rss_mb']:.0f} MB"
        )
