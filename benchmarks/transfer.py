"""What pretraining on photographs is worth on a few real stars."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import balanced_accuracy_score, f1_score
from sklearn.model_selection import StratifiedGroupKFold

from benchmarks.common import BenchResult, json_option
from specvit.catalog.group import components, key_pairs, sky_pairs
from specvit.config.data import Grid, Render
from specvit.config.learning import Model
from specvit.errors import DataError, SpectrumError
from specvit.logs import progress
from specvit.models import LabelStats, build_model
from specvit.plot import draw
from specvit.surveys.files import FilesSettings
from specvit.surveys.files.catalogue import FilesCatalogue
from specvit.surveys.read import read_spectrum
from specvit.tasks import STELLAR_TYPES, tasks_of
from specvit.train.hardware import has_bfloat16

TASKS = tasks_of(["stellar_type"])
GRID = Grid()
MATCH_ARCSEC = 2.0
ROWS = 6
BATCH_SIZE = 24
LR = 5e-4
WARMUP = 0.1
WEIGHT_DECAY = 0.05
LAYER_DECAY = 0.75
"""For pretrained weights only: it would hold the lower layers of a new network back."""


@dataclass(frozen=True)
class Stars:
    """Pictures (n, 1, size, size), positions in STELLAR_TYPES and object labels, both (n,)."""

    pictures: torch.Tensor
    types: NDArray[np.int64]
    objects: NDArray[np.int32]


def read_stars(root: Path, render: Render, folds: int) -> Stars:
    """Draw all stars below a folder whose type at least `folds` objects share."""
    catalogue = FilesCatalogue(root, FilesSettings(base_url=root.resolve().as_uri()))
    pictures, types, paths, keys, ra, dec = [], [], [], [], [], []
    for columns in catalogue.pieces():
        by_row = np.stack(catalogue.group_keys(columns), axis=1)
        for row in np.flatnonzero(columns["stellar_type"] >= 0):
            path = str(columns["path"][row])
            try:
                spectrum = read_spectrum((root / path).read_bytes())
                pictures.append(draw(spectrum, render, GRID))
            except SpectrumError:
                continue
            paths.append(path)
            types.append(int(columns["stellar_type"][row]))
            keys.append(by_row[row])
            ra.append(columns["ra"][row])
            dec.append(columns["dec"][row])
    if not pictures:
        raise DataError(f"{root} has no readable spectrum of a star with a spectral type")
    pairs = [key_pairs(key) for key in np.array(keys).T]
    pairs.append(sky_pairs(np.array(ra), np.array(dec), MATCH_ARCSEC))
    objects = components(len(pictures), np.concatenate(pairs))
    type_of = np.array(types, dtype=np.int64)
    enough = [t for t in np.unique(type_of) if len(set(objects[type_of == t])) >= folds]
    kept = np.isin(type_of, enough)
    if len(enough) < 2:
        raise DataError(f"{root} has fewer than two types with {folds} objects each")
    return Stars(torch.from_numpy(np.stack(pictures)[kept][:, None]), type_of[kept], objects[kept])


def learning_rates(steps: int) -> Iterator[float]:
    """Factors on the learning rate: linear warm-up, then a cosine to zero."""
    warmup = max(1, round(WARMUP * steps))
    for step in range(steps):
        if step < warmup:
            yield (step + 1) / warmup
        else:
            yield 0.5 * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup)))


def train_and_predict(
    model: Model,
    render: Render,
    stars: Stars,
    train: NDArray[np.int64],
    test: NDArray[np.int64],
    epochs: int,
    seed: int,
) -> NDArray[np.int64]:
    """Train on some stars and return the types predicted for others."""
    torch.manual_seed(seed)
    labels = torch.from_numpy(stars.types)
    stats = LabelStats.measure(TASKS, {"stellar_type": labels[train]})
    network = build_model(model, TASKS, render, stats, GRID).train()
    decay = LAYER_DECAY if model.pretrained else 1.0
    optimiser = torch.optim.AdamW(network.param_groups(WEIGHT_DECAY, decay), lr=LR)
    highest = [LR * group["lr_scale"] for group in optimiser.param_groups]
    rng = np.random.default_rng(seed)
    factors = learning_rates(epochs * math.ceil(len(train) / BATCH_SIZE))
    for _ in range(epochs):
        order = rng.permutation(train)
        for first in range(0, len(order), BATCH_SIZE):
            batch = torch.from_numpy(order[first : first + BATCH_SIZE])
            factor = next(factors)
            for group, lr in zip(optimiser.param_groups, highest, strict=True):
                group["lr"] = lr * factor
            with autocast():
                outputs = network(stars.pictures[batch])
            loss, _ = network.loss(outputs, {"stellar_type": labels[batch]}, {})
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
    network.eval()
    with torch.inference_mode(), autocast():
        chunks = torch.split(torch.from_numpy(test), BATCH_SIZE)
        outputs_ = [network(stars.pictures[chunk])["stellar_type"] for chunk in chunks]
    return torch.cat(outputs_).argmax(dim=1).numpy()


def autocast() -> torch.autocast:
    """Bfloat16 where the processor has it, as in training."""
    return torch.autocast("cpu", torch.bfloat16, enabled=has_bfloat16(torch.device("cpu")))


def scores(true: NDArray[np.int64], predicted: NDArray[np.int64]) -> dict[str, float]:
    """Accuracy, balanced accuracy and macro-F1."""
    labels = np.unique(true)
    return {
        "accuracy": float((true == predicted).mean()),
        "balanced_accuracy": float(balanced_accuracy_score(true, predicted)),
        "macro_f1": float(f1_score(true, predicted, labels=labels, average="macro")),
    }


def compare(
    stars: Stars, render: Render, networks: dict[str, Model], epochs: int, folds: int, seed: int
) -> tuple[dict[str, NDArray[np.int64]], dict[str, float], NDArray[np.int64]]:
    """Predict every star with each network when it is in the fold left out.

    Folds are by object and stratified by type, the same for all networks. Returns predictions and
    seconds of training by network, and the fold of each star.
    """
    splitter = StratifiedGroupKFold(n_splits=folds, shuffle=True, random_state=seed)
    fold = np.full(len(stars.types), -1)
    predicted = {name: np.full(len(stars.types), -1) for name in networks}
    seconds = dict.fromkeys(networks, 0.0)
    splits = list(splitter.split(stars.types, stars.types, stars.objects))
    with progress("transfer", len(splits) * len(networks), "trainings") as tick:
        for number, (train, test) in enumerate(splits):
            fold[test] = number
            for name, model in networks.items():
                start = time.perf_counter()
                predicted[name][test] = train_and_predict(
                    model, render, stars, train, test, epochs, seed + number
                )
                seconds[name] += time.perf_counter() - start
                tick.advance()
    return predicted, seconds, fold


def difference(
    stars: Stars, ours: NDArray[np.int64], theirs: NDArray[np.int64], seed: int
) -> dict[str, Any]:
    """Difference of accuracy with its 95 % interval from a bootstrap over objects."""
    gain = (ours == stars.types).astype(float) - (theirs == stars.types)
    objects, inverse = np.unique(stars.objects, return_inverse=True)
    total = np.bincount(inverse, weights=gain)
    count = np.bincount(inverse)
    drawn = np.random.default_rng(seed).integers(len(objects), size=(2000, len(objects)))
    means = total[drawn].sum(axis=1) / count[drawn].sum(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return {
        "accuracy_gain": round(float(gain.mean()), 4),
        "accuracy_gain_95": [round(float(low), 4), round(float(high), 4)],
    }


def measure(
    root: Path, backbone: str, weights: Path, size: int, epochs: int, folds: int, seed: int
) -> BenchResult:
    """Compare a pretrained network with the same one from scratch, fold by fold."""
    render = Render(mode="stacked", size=size, rows=ROWS)
    stars = read_stars(root, render, folds)
    networks = {
        "pretrained": Model(backbone=backbone, weights=str(weights)),
        "scratch": Model(backbone=backbone, pretrained=False),
    }
    predicted, seconds, fold = compare(stars, render, networks, epochs, folds, seed)
    extra: dict[str, Any] = {
        "stars": len(stars.types),
        "objects": len(set(stars.objects.tolist())),
        "types": {STELLAR_TYPES[t]: int((stars.types == t).sum()) for t in np.unique(stars.types)},
        "backbone": backbone,
        "size": size,
        "epochs": epochs,
        "folds": folds,
        "seed": seed,
        "precision": "bfloat16" if has_bfloat16(torch.device("cpu")) else "float32",
    }
    for name, answer in predicted.items():
        extra[name] = {k: round(v, 4) for k, v in scores(stars.types, answer).items()}
        extra[f"{name}_accuracy_by_fold"] = [
            round(scores(stars.types[fold == k], answer[fold == k])["accuracy"], 4)
            for k in range(folds)
        ]
    extra |= difference(stars, predicted["pretrained"], predicted["scratch"], seed)
    trained = len(stars.types) * (folds - 1) * epochs
    return BenchResult(
        name="transfer",
        what=f"stellar type of {len(stars.types)} real stars, {folds} folds by object",
        unit="pictures trained on",
        rate=trained / seconds["pretrained"],
        reference="the same network, pictures, folds and epochs from scratch",
        reference_rate=trained / seconds["scratch"],
        cores=torch.get_num_threads(),
        extra=extra,
    )


@click.command("transfer")
@click.argument("spectra", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option(
    "--weights", required=True, type=click.Path(path_type=Path), help="The pretrained weights."
)
@click.option("--backbone", default="vit_small_patch14_dinov2.lvd142m", show_default=True)
@click.option("--size", default=84, show_default=True, help="Pixels of the pictures.")
@click.option("--epochs", default=12, show_default=True)
@click.option("--folds", default=5, show_default=True)
@click.option("--seed", default=1, show_default=True)
@json_option
def command(
    spectra: Path,
    weights: Path,
    backbone: str,
    size: int,
    epochs: int,
    folds: int,
    seed: int,
    json_path: Path | None,
) -> None:
    """Fine-tune pretrained weights on the stars below SPECTRA, beside the same from scratch."""
    measure(spectra, backbone, weights, size, epochs, folds, seed).show(json_path)
