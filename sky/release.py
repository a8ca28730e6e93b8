"""The network that comes with specvit: from the benchmark's final model to src/specvit/released.

    python -m sky.release results/real --sky results/sky/models/vit

The benchmark (`python -m benchmarks real SPECTRA... --sky MODEL --only-folds 0,1,2,3,4,final`)
leaves the network that learned from all folds, and what those of the folds answered to spectra that
they had not seen: these calibrate it, and are its figures.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import numpy as np
import pandas as pd

from benchmarks.real_data import FINAL, Prepared
from benchmarks.real_systems import SKY_REAL, answers_of, fit_calibration, gather
from benchmarks.real_table import SAMPLES, SEED, counts
from specvit.config.reporting import Evaluate
from specvit.find_model import DEFAULT, RELEASED
from specvit.io import read_json, write_json, write_text
from specvit.metrics.answers import scores_of
from specvit.metrics.definitions import METRICS as DEFINED
from specvit.metrics.definitions import shown
from specvit.metrics.groups import make_groups
from specvit.metrics.score import score
from specvit.models import load_model, save_model
from specvit.novelty import NAME as NOVELTY
from specvit.novelty import Novelty
from specvit.paths import SPLITS, RunPaths, shard_name
from specvit.predict.calibrated import NAME, Calibration
from specvit.predict.embed import embed_shards
from specvit.predictions import WEIGHTS_HASH
from specvit.tasks import Task

METRICS = {
    "class": ("balanced_accuracy", "accuracy"),
    "stellar_type": ("balanced_accuracy", "accuracy"),
    "redshift": ("success", "sigma_nmad", "coverage_68"),
}
OF = {"all": "all", "class": "", "survey": "survey ", "snr": "S/N ", "z": "z "}


def calibration_of(fitted: Calibration, spectra: int) -> dict[str, Any]:
    """As `specvit evaluate` writes it."""
    tasks: dict[str, Any] = {
        name: {"temperature": value, "val": spectra} for name, value in fitted.temperatures.items()
    }
    for name, factors in fitted.factors.items():
        common = {"interval_factor": factors.common, "by_class": factors.by_class}
        tasks[name] = {**common, "val": factors.val}
    return {"format": 2, "model": DEFAULT, "tasks": tasks}


def figures(frame: pd.DataFrame, tasks: list[Task]) -> list[str]:
    """Lines of the card's table: each task's metrics in each group, with 95 % intervals."""
    lines = ["| of | spectra | figure | value | 95 % interval |", "|---|--:|---|--:|---|"]
    for task in tasks:
        known = frame[frame[f"{task.name}_true"].notna()].reset_index(drop=True)
        groups = [g for g in make_groups(known, Evaluate()) if g.by in OF and g.mask.sum() >= 10]
        objects = pd.factorize(known["object_id"])[0]
        found = score({"": scores_of(frame, task)}, groups, objects, SAMPLES, SEED)[""]
        for group in groups:
            for metric in METRICS[task.name]:
                estimate = found[group.by, group.name][metric]
                if not np.isfinite(estimate.value):
                    continue
                low, high = (shown(metric, end) for end in estimate.interval)
                of = OF[group.by] + ("" if group.by == "all" else group.name)
                title = f"{task.name}: {DEFINED[metric].title}".replace("|", "\\|")
                value = shown(metric, estimate.value)
                interval = "-" if np.isnan(estimate.interval[0]) else f"{low} to {high}"
                lines.append(f"| {of} | {group.mask.sum()} | {title} | {value} | {interval} |")
    return lines


def card(model: Any, told: dict[str, Any], frame: pd.DataFrame, tasks: list[Task]) -> str:
    """The model card."""
    spectra = counts(frame)
    by = spectra["by_class_and_survey"].items()
    template = (Path(__file__).parent / "card.md").read_text(encoding="utf-8")
    return template.format(
        millions=f"{sum(p.numel() for p in model.parameters()) / 1e6:.1f}",
        plots=f"`{model.render.mode}`, {model.render.size} x {model.render.size} pixels",
        spectra=spectra["all"],
        objects=spectra["objects"],
        counts=", ".join(f"{count['spectra']} {name}" for name, count in by),
        simulated=told["init"]["known"],
        table="\n".join(figures(frame, tasks)),
        samples=f"{SAMPLES:,}",
    )


def write_novelty(out: Path, run: Path, plots: str) -> None:
    """What the spectra are like that the final network learned from, for its rounded weights."""
    weights = read_json(out / "model.json")[WEIGHTS_HASH]
    shards = {split: [RunPaths(run).shard(plots, shard_name(split, 0))] for split in SPLITS}
    model = load_model(out)
    train, rows = embed_shards(model, shards["train"])
    val, _ = embed_shards(model, shards["val"])
    Novelty.fit(train, rows, val, weights).write(out / NOVELTY)


@click.command()
@click.argument("real", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--prepared", type=click.Path(path_type=Path), help="Default: REAL/prepared.")
@click.option(
    "--sky", type=click.Path(path_type=Path), required=True, help="The network of sky.yaml."
)
@click.option("--out", type=click.Path(path_type=Path), default=RELEASED / DEFAULT)
def main(real: Path, prepared: Path | None, sky: Path, out: Path) -> None:
    """Write model, calibration and card of the released network."""
    source = real / "runs" / f"fold-{FINAL}" / "models" / SKY_REAL
    model = load_model(source)
    tasks = model.tasks
    data = Prepared(prepared or real / "prepared")
    folds = data.folds
    answers = [answers_of(real, SKY_REAL, fold, "test") for fold in folds]
    honest = pd.concat(answers, ignore_index=True)
    told = read_json(source / "model.json")["training"]
    first = read_json(sky / "model.json")
    told["init"] |= {"folder": sky.name, "known": first["label_stats"]["known"]["class"]}
    model.settings = model.settings.model_copy(update={"init": None})
    save_model(out, model, told, half=True)
    write_novelty(out, source.parents[1], model.render.label)
    write_json(out / NAME, calibration_of(fit_calibration(honest, tasks), len(honest)))
    frame = gather(real, data, SKY_REAL, folds, tasks)
    write_text(out / "README.md", card(model, told, frame, tasks))
    click.echo(json.dumps({path.name: path.stat().st_size for path in sorted(out.iterdir())}))


if __name__ == "__main__":
    main()
