"""`specvit predict-split`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

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
    from specvit.locks import writing

    config = load_stage(sources, "predict", model=name)

    import pandas as pd
    import torch

    from specvit.config.models import MAIN_NETWORK
    from specvit.embedding_map import SCHEMA, write_map
    from specvit.explain.failures import explain_failures
    from specvit.explain.kept import write_relevance
    from specvit.io import read_json
    from specvit.models import load_model
    from specvit.novelty import Novelty
    from specvit.paths import REFERENCE_SHARDS
    from specvit.plan import KEY, Plan
    from specvit.plot import render_hash
    from specvit.predict.embed import embed_shards
    from specvit.predict.split import check_plots, predict_split
    from specvit.predictions import WEIGHTS_HASH, write_predictions
    from specvit.shards.index import read_index
    from specvit.shards.subset import Subset

    model = load_model(config.paths.model_dir(name))
    render = config.render[0]
    check_plots(model, render, config.grid)
    on_gpu = config.train.gpus > 0 and torch.cuda.is_available()
    device = torch.device("cuda" if on_gpu else "cpu")
    description = config.paths.model_dir(name) / "model.json"
    told = read_json(description)
    trained = Plan.of(told["training"].get(KEY), description)

    def shards_of(split: str, most: int | None = None) -> tuple[list[Path], Plan]:
        names = config.shard_names(split)[:most]
        shards = [config.paths.shard(render.label, shard) for shard in names]
        plan = read_index(shards, ()).check(config.split, render_hash(render, config.grid))
        plan.check_same(shards[0], trained, description)
        return shards, plan

    how: dict[str, Any] = {"device": device, "workers": config.train.workers}
    weights = told[WEIGHTS_HASH]
    found = {split: shards_of(split) for split in splits}
    with writing(config.paths, f"predictions/{name}"):
        if "val" in splits:
            (train, rows), (val, _) = (
                embed_shards(
                    model, shards_of(split, REFERENCE_SHARDS)[0], Subset.of(config, split), **how
                )
                for split in ("train", "val")
            )
            novelty = Novelty.fit(train, rows, val, weights)
            novelty.write(config.paths.novelty(name))
        # The same in the map of the test split, whether it was fitted now or before.
        known = Novelty.read(config.paths.model_dir(name), weights)
        describe = None if known is None else known.describe
        for split, (shards, plan) in found.items():
            frame = predict_split(
                model, shards, split, describe=describe if split == "test" else None, **how
            )
            path = config.paths.predictions(name, split)
            write_predictions(path, frame, model.tasks, plan, weights)
            if split == "test":
                # No rows for the other networks: the report does not show their failures.
                shown = frame if name == MAIN_NETWORK else frame.iloc[:0]
                relevance = explain_failures(model, shards, shown)
                write_relevance(config.paths.relevance(name), relevance, plan, weights)
                placed = pd.DataFrame(columns=SCHEMA.names) if describe is None else frame
                write_map(config.paths.embedding_map(name), placed, plan, weights)
