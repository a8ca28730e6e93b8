"""One trained network of a run, over its splits: the work of `specvit predict-split`."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch

from specvit.config import Config
from specvit.config.models import MAIN_NETWORK
from specvit.embedding_map import SCHEMA, write_map
from specvit.explain.failures import explain_failures
from specvit.explain.kept import write_relevance
from specvit.find_model import SETTINGS
from specvit.io import read_json
from specvit.locks import writing
from specvit.models import SpecViT, load_model
from specvit.novelty import Novelty
from specvit.paths import REFERENCE_SHARDS
from specvit.plan import KEY, Plan
from specvit.plot import render_hash
from specvit.predict.embed import embed_shards
from specvit.predict.split import check_plots, predict_split
from specvit.predictions import WEIGHTS_HASH, write_predictions
from specvit.shards.index import read_index
from specvit.shards.subset import Subset


@dataclass(frozen=True)
class _Trained:
    """A network, and what it was trained on."""

    name: str
    model: SpecViT
    plan: Plan
    weights: str
    description: Path
    device: torch.device


def predict_splits(config: Config, name: str, splits: Collection[str]) -> None:
    """Write a network's predictions of these splits, and what is made beside them.

    With test, what explains its failures and its map of embeddings, from all that it knows of
    novelty; with val, what its training spectra are like. Nothing is written before all shards
    are there. Raises DataError where network and shards do not belong together.
    """
    network = _load(config, name)
    found = {split: _shards(config, network, split) for split in splits}
    with writing(config.paths, f"predictions/{name}"):
        if "val" in splits:
            _fit_novelty(config, network)
        # The same in the map of the test split, whether it was fitted now or before.
        known = Novelty.read(config.paths.model_dir(name), network.weights)
        for split, (shards, plan) in found.items():
            _predict(config, network, split, shards, plan, known)


def _load(config: Config, name: str) -> _Trained:
    folder = config.paths.model_dir(name)
    model = load_model(folder)
    check_plots(model, config.render[0], config.grid)
    on_gpu = config.train.gpus > 0 and torch.cuda.is_available()
    description = folder / SETTINGS
    told = read_json(description)
    plan = Plan.of(told["training"].get(KEY), description)
    device = torch.device("cuda" if on_gpu else "cpu")
    return _Trained(name, model, plan, told[WEIGHTS_HASH], description, device)


def _shards(
    config: Config, network: _Trained, split: str, most: int | None = None
) -> tuple[list[Path], Plan]:
    """Shards of a split, which are of the plan that the network was trained by."""
    render = config.render[0]
    shards = [config.paths.shard(render.label, one) for one in config.shard_names(split)[:most]]
    plan = read_index(shards, ()).check(config.split, render_hash(render, config.grid))
    plan.check_same(shards[0], network.plan, network.description)
    return shards, plan


def _fit_novelty(config: Config, network: _Trained) -> None:
    (train, rows), (val, _) = (
        embed_shards(
            network.model,
            _shards(config, network, split, REFERENCE_SHARDS)[0],
            Subset.of(config, split),
            device=network.device,
            workers=config.train.workers,
        )
        for split in ("train", "val")
    )
    Novelty.fit(train, rows, val, network.weights).write(config.paths.novelty(network.name))


def _predict(
    config: Config,
    network: _Trained,
    split: str,
    shards: list[Path],
    plan: Plan,
    known: Novelty | None,
) -> None:
    name, model, paths = network.name, network.model, config.paths
    describe = None if known is None or split != "test" else known.describe
    frame = predict_split(
        model,
        shards,
        split,
        describe=describe,
        device=network.device,
        workers=config.train.workers,
    )
    write_predictions(paths.predictions(name, split), frame, model.tasks, plan, network.weights)
    if split == "test":
        # No rows for the other networks: the report does not show their failures.
        shown = frame if name == MAIN_NETWORK else frame.iloc[:0]
        relevance = explain_failures(model, shards, shown)
        write_relevance(paths.relevance(name), relevance, plan, network.weights)
        placed = pd.DataFrame(columns=SCHEMA.names) if describe is None else frame
        write_map(paths.embedding_map(name), placed, plan, network.weights)
