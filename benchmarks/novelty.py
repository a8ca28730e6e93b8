"""`python -m benchmarks novelty RUN`: which score finds what no training spectrum is like."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import click
import numpy as np
import pandas as pd
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor

from benchmarks.common import json_option
from benchmarks.run_spectra import network_of, read_some
from specvit.errors import DataError, SpectrumError
from specvit.explain.answer import pictures_of
from specvit.io import write_json
from specvit.logs import progress
from specvit.models import LabelStats, SpecViT, build_model
from specvit.novelty import MOST, QUANTILE, Floats, gaussians
from specvit.paths import RunPaths
from specvit.spectrum import Spectrum
from specvit.tasks import CLASSES
from specvit.train.loader import evaluation_batches
from specvit.train.samples import read_samples

NEIGHBOURS = (1, 5, 20)
BATCH = 64
LR, WEIGHT_DECAY, WARMUP = 5e-4, 0.05, 0.1
Score = Callable[[Floats], Floats]


@dataclass(frozen=True)
class Split:
    """Pictures (n, channels, size, size) and labels by task, (n,), of one split."""

    pictures: Tensor
    labels: Mapping[str, Tensor]

    def take(self, chosen: Tensor) -> Split:
        """Some of them."""
        return Split(self.pictures[chosen], {name: v[chosen] for name, v in self.labels.items()})

    def without(self, label: int) -> Split:
        """All but one class."""
        return self.take(torch.nonzero(self.labels["class"] != label)[:, 0])


def read_split(run: Path, network: SpecViT, split: str) -> Split:
    """Every sample of a split of a run."""
    shards = sorted((RunPaths(run).root / "shards" / network.render.label).glob(f"{split}-*.tar"))
    if not shards:
        raise DataError(f"{run} has no shards of {split}")
    batches = list(evaluation_batches(read_samples(shards, network.tasks), network.render, 256))
    labels = {t.name: torch.cat([b.labels[t.name] for b in batches]) for t in network.tasks}
    return Split(torch.cat([batch.pictures for batch in batches]), labels)


def noise(spectrum: Spectrum, rng: np.random.Generator) -> Spectrum:
    """A sky fibre: what is left of no object once the sky is subtracted."""
    sigma = np.zeros(len(spectrum.ivar))
    np.divide(1, np.sqrt(spectrum.ivar), out=sigma, where=spectrum.ivar > 0)
    return replace(spectrum, flux=(rng.normal(size=len(sigma)) * sigma).astype(np.float32))


def step(spectrum: Spectrum, rng: np.random.Generator) -> Spectrum:
    """Two arms of a spectrograph that do not fit together: one is three times the other."""
    flux = np.where(spectrum.wavelength > 6000, rng.choice([1 / 3, 3.0]), 1) * spectrum.flux
    return replace(spectrum, flux=flux.astype(np.float32))


def backwards(spectrum: Spectrum, rng: np.random.Generator) -> Spectrum:
    """A spectrum whose wavelengths run the wrong way."""
    return replace(spectrum, flux=spectrum.flux[::-1].copy(), good=spectrum.good[::-1].copy())


def spikes(spectrum: Spectrum, rng: np.random.Generator) -> Spectrum:
    """Cosmic rays in a fiftieth of the pixels."""
    flux, count = spectrum.flux.copy(), len(spectrum.flux) // 50
    where = rng.choice(len(flux), count, replace=False)
    flux[where] += (20 * np.nanstd(flux[spectrum.good]) * rng.random(count)).astype(np.float32)
    return replace(spectrum, flux=flux)


def ripple(spectrum: Spectrum, rng: np.random.Generator) -> Spectrum:
    """Fringes of 40 %."""
    fringes = 1 + 0.4 * np.sin(2 * np.pi * (spectrum.loglam / 0.01 + rng.random()))
    return replace(spectrum, flux=(spectrum.flux * fringes).astype(np.float32))


def half(spectrum: Spectrum, rng: np.random.Generator) -> Spectrum:
    """A spectrum without its red arm."""
    return replace(spectrum, good=spectrum.good & (spectrum.wavelength < 5800))


MADE = {
    "sky fibre": noise,
    "arms apart": step,
    "backwards": backwards,
    "spikes": spikes,
    "fringes": ripple,
    "one arm": half,
}


def made(network: SpecViT, spectra: list[Spectrum], seed: int) -> dict[str, Tensor]:
    """Pictures of what no survey should have, made of a run's test spectra."""
    rng = np.random.default_rng(seed)
    found = {}
    for name, change in MADE.items():
        pictures = []
        for spectrum in spectra:
            try:
                pictures.append(pictures_of(network, [change(spectrum, rng)]))
            except SpectrumError:
                continue  # nothing is left to draw
        found[name] = torch.cat(pictures)
    return found


def train_without(like: SpecViT, train: Split, epochs: int, seed: int) -> SpecViT:
    """A network like another, trained on these spectra alone."""
    torch.manual_seed(seed)
    stats = LabelStats.measure(like.tasks, dict(train.labels))
    settings = like.settings.model_copy(update={"pretrained": False, "init": None})
    network = build_model(settings, like.tasks, like.render, stats, like.grid).train()
    optimiser = torch.optim.AdamW(network.parameters(), lr=LR, weight_decay=WEIGHT_DECAY)
    steps = epochs * math.ceil(len(train.pictures) / BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, LR, total_steps=steps, pct_start=WARMUP
    )
    with progress("train", steps, "steps") as tick:
        for _ in range(epochs):
            for chosen in torch.split(torch.randperm(len(train.pictures)), BATCH):
                batch = train.take(chosen)
                loss, _ = network.loss(network(batch.pictures), batch.labels, {})
                optimiser.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
                optimiser.step()
                schedule.step()
                tick.advance()
    return network.eval()


@torch.inference_mode()
def embed(network: SpecViT, pictures: Tensor) -> Floats:
    """Embeddings, (n, d)."""
    parts = [network.embedding(*network.tokens(some)) for some in torch.split(pictures, 256)]
    return torch.cat(parts).numpy().astype(np.float64)


def scores(train: Floats, classes: list[str]) -> dict[str, Score]:
    """Each way to say how far an embedding is from those of training."""
    unit = train / np.linalg.norm(train, axis=1, keepdims=True)
    means, whitening = gaussians(train, classes)
    centres = means @ whitening

    def mahalanobis(x: Floats) -> Floats:
        white = x @ whitening
        return np.asarray(np.min([np.linalg.norm(white - c, axis=1) for c in centres], axis=0))

    def neighbour(k: int) -> Score:
        def distance(x: Floats) -> Floats:
            near = x / np.linalg.norm(x, axis=1, keepdims=True) @ unit.T
            return np.asarray(np.sort(np.sqrt(np.maximum(2 - 2 * near, 0)), axis=1)[:, k - 1])

        return distance

    return {"mahalanobis": mahalanobis, **{f"{k}-th neighbour": neighbour(k) for k in NEIGHBOURS}}


def compare(
    network: SpecViT, splits: Mapping[str, Split], strange: Mapping[str, Tensor], seed: int
) -> pd.DataFrame:
    """Area under the ROC curve and share flagged, by kind of strange spectrum and score.

    The threshold is the QUANTILE of val; `known` is the share of test above it, which should be
    1 - QUANTILE.
    """
    train = splits["train"]
    order = torch.from_numpy(np.random.default_rng(seed).permutation(len(train.pictures))[:MOST])
    reference = train.take(order)
    classes = [CLASSES[label] for label in reference.labels["class"]]
    ways = scores(embed(network, reference.pictures), classes)
    val, test = (embed(network, splits[name].pictures) for name in ("val", "test"))
    rows = []
    for kind, pictures in strange.items():
        embeddings = embed(network, pictures)
        for name, score in ways.items():
            threshold = np.quantile(score(val), QUANTILE)
            ordinary, other = score(test), score(embeddings)
            truth = np.repeat([0, 1], [len(ordinary), len(other)])
            auc = roc_auc_score(truth, np.concatenate([ordinary, other]))
            flagged, known = (float((s > threshold).mean()) for s in (other, ordinary))
            rows.append((kind, name, len(other), float(auc), flagged, known))
    return pd.DataFrame(rows, columns=["spectra", "score", "n", "auc", "flagged", "known"])


@click.command("novelty")
@click.argument("run", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--hold-out", multiple=True, type=click.Choice(CLASSES), help="Classes, one by one.")
@click.option("--epochs", default=6, show_default=True, help="Of the networks without a class.")
@click.option("--spectra", default=100, show_default=True, help="Test spectra to make strange.")
@click.option("--seed", default=0, show_default=True)
@json_option
def command(
    run: Path,
    hold_out: tuple[str, ...],
    epochs: int,
    spectra: int,
    seed: int,
    json_path: Path | None,
) -> None:
    """Compare scores of novelty on spectra that are unlike those that RUN's network learned from.

    Sky fibres and broken spectra are made of test spectra, for the run's own network. For each
    --hold-out a network like it is trained on all other classes; that class is then new to it.
    """
    network = network_of(run)
    splits = {name: read_split(run, network, name) for name in ("train", "val", "test")}
    strange = made(network, list(read_some(run, "test", spectra).values()), seed)
    tables = [compare(network, splits, strange, seed)]
    for name in hold_out:
        label = CLASSES.index(name)
        left = {key: split.without(label) for key, split in splits.items()}
        other = train_without(network, left["train"], epochs, seed)
        new = splits["test"].take(torch.nonzero(splits["test"].labels["class"] == label)[:, 0])
        tables.append(compare(other, left, {f"{name}, held out": new.pictures}, seed))
    table = pd.concat(tables, ignore_index=True)
    click.echo(table.round(3).to_string(index=False))
    click.echo(table.groupby("score", sort=False)[["auc", "flagged", "known"]].mean().round(3))
    if json_path is not None:
        write_json(json_path, {"epochs": epochs, "rows": table.to_dict("records")})
