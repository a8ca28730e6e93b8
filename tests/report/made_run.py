"""A whole run made up for the report's tests: every file that evaluation and report read.

Answers are drawn, not learned: the ViT is the best on the whole, Random Forest better on stars.
"""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image, ImageDraw
from scipy.stats import norm

from shard_runs import write_shard
from specvit.catalog.schema import CATALOG_SCHEMA, as_table
from specvit.cli import main
from specvit.config import Config, load_config
from specvit.embedding_map import write_map
from specvit.explain.kept import SCHEMA, write_relevance
from specvit.io import read_json, write_json, write_parquet, write_text
from specvit.metrics.answers import labelled, worst
from specvit.plan import KEY, Plan
from specvit.plot import render_hash
from specvit.predictions import IDENTITY, WEIGHTS_HASH, prob_columns, write_predictions
from specvit.shards.sample import Sample, npy_bytes
from specvit.shards.subset import Subset
from specvit.tasks import CLASSES, STELLAR_TYPES, Task, tasks_of

CLAIMS = Path(__file__).resolve().parents[2] / "workflow" / "report" / "paper.yaml"
# Skill at classes, error in dz, and how much worse at stars, of each model.
SKILL = {"vit": (3.4, 6e-4), "svm": (2.4, 9e-3), "random_forest": (2.6, 4e-3)}
SUBCLASSES = {
    "STAR": ("A0", "F5", "G2", "K3", "M4"),
    "GALAXY": ("STARFORMING", "AGN", None),
    "QSO": ("BROADLINE", None),
}
SHARES = (0.4, 0.4, 0.2)


def rewrite(path: Path, frame: pd.DataFrame) -> None:
    """Write other rows to a table of the run, of the same plan and network."""
    metadata = pq.read_schema(path).metadata
    write_parquet(path, frame, {key.decode(): value.decode() for key, value in metadata.items()})


def weights_of(network: str) -> str:
    """SHA-256 of a made-up network's weights, which are its name."""
    return hashlib.sha256(network.encode()).hexdigest()


@dataclass
class MadeRun:
    """What to make; `root` is the folder of all runs."""

    root: str
    spectra: dict[str, int] = field(default_factory=lambda: {"train": 300, "val": 200, "test": 600})
    settings: dict[str, Any] = field(default_factory=dict)
    simulated: bool = True
    seed: int = 0
    plan: Plan = field(init=False)
    config: Config = field(init=False)

    @property
    def inline(self) -> list[str]:
        """Sources for load_config and load_stage."""
        base = "simulated:" if self.simulated else "https://example.org/"
        lamost = {"base_url": base, "stellar_parameters": True}
        surveys = {"sdss": {"base_url": base}, "lamost": lamost}
        fixed = {
            "results_dir": str(self.root),
            "run": "made",
            "surveys": surveys,
            "split": {"shards": {"train": 2, "val": 1, "test": 2}},
            "render": {"size": 64, "rows": 8},
            "evaluate": {"bootstrap": 200},
        }

        return [json.dumps(fixed), json.dumps(self.settings)]

    def write(self) -> Config:
        """Write every input of evaluate, figures and report."""
        config = self.config = load_config(self.inline)
        generator = np.random.default_rng(self.seed)
        catalog = self._catalog(config, generator)
        self.plan = Plan.dealt(config.split, ())
        write_parquet(config.paths.catalog, as_table(catalog, CATALOG_SCHEMA), self.plan.metadata)
        lost = self._ledgers(config, catalog, generator)
        dropped = self._shards(config, catalog, lost)
        kept = catalog[~catalog["spectrum_id"].isin([*lost, *dropped])]
        for split in ("val", "test"):
            rows = kept[kept["split"] == split].reset_index(drop=True)
            for model in config.model_names:
                frame = answers(rows, model, tasks_of(config.tasks), generator)
                path = config.paths.predictions(model, split)
                made_by = weights_of(model) if model in config.network_names else None
                write_predictions(path, frame, tasks_of(config.tasks), self.plan, made_by)
                if made_by and split == "test":
                    found = relevance(frame, tasks_of(config.tasks))
                    write_relevance(config.paths.relevance(model), found, self.plan, made_by)
                    placed = places(frame, catalog)
                    write_map(config.paths.embedding_map(model), placed, self.plan, made_by)
        self._cuts(config, catalog)
        self._summaries(config, catalog[~catalog["spectrum_id"].isin([*lost, *dropped])])
        return config

    def call(self, command: str) -> None:
        """Run a command of specvit as people do."""
        claims = ["--claims", str(CLAIMS)] if command == "report" else []
        main([command, *(part for source in self.inline for part in ("--config", source)), *claims])

    def _catalog(self, config: Config, generator: np.random.Generator) -> pd.DataFrame:
        n = sum(self.spectra.values())
        split = np.repeat(list(self.spectra), list(self.spectra.values()))
        class_ = generator.choice(CLASSES, n, p=SHARES)
        z = np.select(
            [class_ == "STAR", class_ == "GALAXY"],
            [generator.normal(0, 2e-4, n), generator.gamma(3, 0.08, n)],
            generator.uniform(0.3, 3.5, n),
        )
        star = class_ == "STAR"
        survey = generator.choice(["sdss", "lamost"], n, p=[0.6, 0.4])
        number = np.arange(n)
        return pd.DataFrame(
            {
                "spectrum_id": [f"{s}-{i:06d}" for s, i in zip(survey, number, strict=True)],
                "survey": survey,
                "release": np.where(survey == "sdss", "dr17", "dr10 v2.0"),
                # Some objects were observed twice, in the same split.
                "object_id": [
                    f"{p}{i - (i % 12 == 1)}" for p, i in zip(split, number, strict=True)
                ],
                "path": [f"path/{i}" for i in number],
                "identity": [
                    f"{266 + i}-51602-{i % 640 + 1}" if s == "sdss" else str(100_000 + i)
                    for s, i in zip(survey, number, strict=True)
                ],
                "class": class_,
                "subclass": [generator.choice(SUBCLASSES[c]) for c in class_],
                "stellar_type": np.where(star, generator.choice(STELLAR_TYPES[2:], n), None),
                "z": z,
                "z_err": 1e-5,
                "snr": np.where(
                    generator.random(n) < 0.01, np.nan, generator.lognormal(2.3, 0.7, n)
                ),
                "ra": generator.uniform(0, 360, n),
                "dec": generator.uniform(-10, 60, n),
                "teff": np.where(star, generator.normal(5800, 900, n), np.nan),
                "logg": np.where(star, generator.normal(4, 0.6, n), np.nan),
                "feh": np.where(star, generator.normal(-0.4, 0.4, n), np.nan),
                "source": survey,
                "simulated": self.simulated,
                "split": split,
                "shard": [
                    f"{s}-{i % config.split.shards.of(s):06d}"
                    for s, i in zip(split, number, strict=True)
                ],
            }
        )

    def _ledgers(
        self, config: Config, catalog: pd.DataFrame, generator: np.random.Generator
    ) -> dict[str, str]:
        """Write the ledgers; returns what was not downloaded, with its reason."""
        fate = generator.random(len(catalog))
        frame = pd.DataFrame(
            {
                "spectrum_id": catalog["spectrum_id"],
                "url": "simulated:" + catalog["path"],
                "status": np.select([fate < 0.006, fate < 0.01], ["missing", "corrupt"], "ok"),
                "bytes": np.where(fate < 0.01, 0, 150_000),
                "attempts": 1,
                "shard": catalog["shard"],
            }
        )
        reasons = {"missing": "HTTP 404", "corrupt": "not a FITS file (starts with '<html')"}
        frame["reason"] = frame["status"].map(reasons)
        for shard, part in frame.groupby("shard"):
            table = part.drop(columns="shard")
            write_parquet(config.paths.ledger(str(shard)), table, self.plan.metadata)
        gone = frame[frame["status"] != "ok"]
        return dict(zip(gone["spectrum_id"], gone["reason"], strict=True))

    def _shards(
        self, config: Config, catalog: pd.DataFrame, lost: dict[str, str]
    ) -> dict[str, str]:
        """Write shards with pictures and their index; returns what was dropped besides."""
        present = catalog[~catalog["spectrum_id"].isin(lost)]
        dropped = dict.fromkeys(present["spectrum_id"].iloc[::251], "no good pixel on the grid")
        present = present[~present["spectrum_id"].isin(dropped)]
        for label, render in config.renders.items():
            for shard, part in present.groupby("shard"):
                rows = part.astype(object).where(part.notna(), None).to_dict("records")
                samples = [Sample(row, picture(row, render.size), flux(row)) for row in rows]
                path = config.paths.shard(label, str(shard))
                write_shard(path, samples, render_hash(render, config.grid), self.plan)
            counts = present["split"].value_counts()
            listed = read_json(config.paths.shards_summary(label))["shards"]
            index = {
                "label": label,
                KEY: dict(self.plan.values),
                "render": {"mode": render.mode, "size": render.size},
                "counts": {"classes": present["class"].value_counts().to_dict()},
                "shards": [{"split": s["shard"].split("-")[0], **s} for s in listed],
                "splits": {split: {"spectra": int(counts[split])} for split in self.spectra},
                "dropped": [
                    {"spectrum_id": name, "reason": reason}
                    for name, reason in {**lost, **dropped}.items()
                ],
            }
            write_json(config.paths.shards_summary(label), index)
        return dropped

    def _cuts(self, config: Config, catalog: pd.DataFrame) -> None:
        for key in config.surveys.active:
            left = int((catalog["source"] == key).sum())
            lines = ["cut,before,removed,after", f"in the catalogue,{left + 40},0,{left + 40}"]
            lines.append(f"ZWARNING = 0,{left + 40},40,{left}")
            write_text(config.paths.survey_cuts(key), "\n".join(lines) + "\n")

    def _summaries(self, config: Config, kept: pd.DataFrame) -> None:
        for model in config.model_names:
            folder = config.paths.model_dir(model)
            if model in config.network_names:
                summary: dict[str, Any] = {"device": "made-up processor", "seconds": 61.5}
                summary[WEIGHTS_HASH] = weights_of(model)
                write_text(folder / "model.safetensors", model)
                write_text(folder / "log.jsonl", training_log(tasks_of(config.tasks)))
            else:
                summary = {"threads": 2, "seconds": {"read": 1.0, "fit": 9.0, "predict": 0.5}}
            own = config.variant(model) if model in config.network_names else config
            summary["samples" if model in config.network_names else "spectra"] = {
                split: int(Subset.of(own, split).mask(pa.Table.from_pandas(part)).sum())
                for split in ("train", "val")
                for part in [kept[kept["split"] == split]]
            }
            summary[KEY] = dict(self.plan.values)
            write_json(folder / "training.json", summary)
        header = "s\th:m:s\tmax_rss\tcpu_time\n"
        for name in ("survey/sdss", "catalog", "shard/stacked-64/train-000000", "train/vit"):
            path = config.paths.root / "benchmarks" / f"{name}.tsv"
            peak = "-" if name == "catalog" else "310.2"
            write_text(path, f"{header}12.5\t0:00:12\t{peak}\t20.5\n")


EXPLAINED = 4
"""Failures of each task with relevance: fewer than the report shows."""


def relevance(frame: pd.DataFrame, tasks: list[Task]) -> pd.DataFrame:
    """Made-up relevance for the first failures of each task."""
    share = np.random.default_rng(0).dirichlet(np.full(64, 0.3))
    rows = [
        (name, task.name, 3800.0, 9200.0, share)
        for task in tasks
        if task.kind in ("classification", "redshift")
        for name in labelled(frame, task)["spectrum_id"].iloc[worst(frame, task, EXPLAINED)]
    ]
    return pd.DataFrame(rows, columns=SCHEMA.names)


def places(frame: pd.DataFrame, catalog: pd.DataFrame) -> pd.DataFrame:
    """A made-up embedding: redshift and S/N; the first training spectra are nearest to all."""
    near = catalog.loc[catalog["split"] == "train", "spectrum_id"].head(3).tolist()
    return pd.DataFrame(
        {
            "spectrum_id": frame["spectrum_id"],
            "x": np.log1p(frame["z"]),
            "y": np.log(frame["snr"].fillna(1)),
            "novelty": 0.5,
            "nearest": [near] * len(frame),
            "distance": [np.arange(1.0, 1 + len(near))] * len(frame),
        }
    )


def answers(
    rows: pd.DataFrame, model: str, tasks: list[Task], generator: np.random.Generator
) -> pd.DataFrame:
    """Predictions of a model of the given skill."""
    skill, error = SKILL.get(model, (2.9, 1.5e-3))
    frame = rows[list(IDENTITY)].copy()
    steady = np.clip(np.nan_to_num(rows["snr"].to_numpy(), nan=5.0) / 8, 0.3, 1.5)
    if model == "random_forest":
        steady = np.where(rows["class"] == "STAR", 3.0, steady)
    for task in tasks:
        if task.kind == "classification":
            # The SVM is made too sure of itself, so that there is something to calibrate.
            sharpness = 4.0 if model == "svm" else 1.6
            _classify(frame, rows, task, skill * steady, sharpness, generator)
        else:
            _measure(frame, rows, task, error, steady, generator)
    return frame


def _classify(
    frame: pd.DataFrame,
    rows: pd.DataFrame,
    task: Task,
    skill: np.ndarray[Any, Any],
    sharpness: float,
    generator: np.random.Generator,
) -> None:
    true = rows[task.column]
    code = true.map({label: i for i, label in enumerate(task.labels)}).fillna(0).astype(int)
    logits = generator.normal(size=(len(rows), len(task.labels)))
    logits += skill[:, None] * np.eye(len(task.labels))[code]
    prob = np.exp(sharpness * logits)
    prob /= prob.sum(axis=1, keepdims=True)
    frame[f"{task.name}_true"] = true
    frame[f"{task.name}_pred"] = np.array(task.labels)[prob.argmax(axis=1)]
    frame[prob_columns(task)] = prob.astype(np.float32)


def _measure(
    frame: pd.DataFrame,
    rows: pd.DataFrame,
    task: Task,
    error: float,
    steady: np.ndarray[Any, Any],
    generator: np.random.Generator,
) -> None:
    true = rows[task.column].to_numpy(dtype=float)
    n = len(true)
    scale = error * (1 + true) if task.kind == "redshift" else 40 * error * np.nanstd(true)
    width = scale / steady
    pred = true + width * generator.normal(size=n)
    if task.kind == "redshift":
        bad = generator.random(n) < 0.03
        pred = np.where(bad, generator.uniform(0, 3, n), pred)
        width = np.where(bad & (generator.random(n) < 0.8), 0.3, width)
    frame[f"{task.name}_true"] = true
    frame[f"{task.name}_pred"] = np.where(np.isnan(true), 0.1, pred)
    frame[f"{task.name}_lo"] = frame[f"{task.name}_pred"] - 0.9 * width
    frame[f"{task.name}_hi"] = frame[f"{task.name}_pred"] + 0.9 * width
    frame[f"{task.name}_pit"] = norm.cdf((true - pred) / width)


def training_log(tasks: list[Task], epochs: int = 4, chosen: int = 3) -> str:
    """A network's log: the loss falls, the validation loss rises again after the chosen epoch."""
    lines: list[dict[str, Any]] = [{"event": "start", "step": 0}]
    for epoch in range(1, epochs + 1):
        for step in (20 * epoch - 10, 20 * epoch):
            losses = {f"{task.name}_loss": 20 / step for task in tasks}
            lines.append({"event": "step", "step": step, **losses})
        found: dict[str, float] = {}
        for task in tasks:
            found[f"{task.name}_loss"] = 0.5 + abs(epoch - chosen)
            for name in ("accuracy", "outlier_fraction", "mae"):
                found[f"{task.name}_{name}"] = 0.1 * abs(epoch - chosen)
        lines.append({"event": "epoch", "step": 20 * epoch, "epoch": epoch, **found})
    lines.append({"event": "finished", "step": 20 * epochs, "best_epoch": chosen})
    return "".join(json.dumps(line) + "\n" for line in lines)


def flux(row: dict[str, Any], pixels: int = 3840) -> bytes:
    """A .npy of the common grid with one emission line, and no data in the first tenth."""
    at = np.arange(pixels)
    values = 1 + 3 * np.exp(-(((at - pixels / (1.5 + row["z"])) / 10) ** 2))
    values[: pixels // 10] = np.nan
    return npy_bytes(values.astype(np.float16))


def picture(row: dict[str, Any], size: int) -> bytes:
    """A grey PNG with a curve that depends on class and redshift."""
    image = Image.new("L", (size, size), 255)
    x = np.arange(size)
    phase = CLASSES.index(row["class"]) + row["z"]
    y = size * (0.5 + 0.3 * np.sin(x / 5 + phase) * np.exp(-x / size))
    ImageDraw.Draw(image).line(list(zip(x.tolist(), y.tolist(), strict=True)), fill=0)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()
