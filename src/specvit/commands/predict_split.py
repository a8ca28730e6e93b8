"""`specvit predict-split`."""

from __future__ import annotations

import click

from specvit.commands.options import config_option


@click.command("predict-split")
@config_option
@click.option("--model", "name", default="vit", show_default=True, help="Name of the network.")
@click.option(
    "--split",
    "splits",
    multiple=True,
    type=click.Choice(["test", "val"]),
    default=("test", "val"),
    show_default=True,
    help="Which spectra; may be repeated.",
)
def command(sources: tuple[str, ...], name: str, splits: tuple[str, ...]) -> None:
    """Predict a split with the trained ViT.

    With test, write for the report where it looked when it was wrong and sure, too, and where the
    spectra lie in its embedding: predictions/relevance/<model>.parquet and predictions/map/. With
    val, what its training spectra are like: models/<model>/novelty.safetensors.
    """
    from specvit.config import load_stage

    config = load_stage(sources, "predict", model=name)

    from specvit.predict.splits import predict_splits

    predict_splits(config, name, splits)
