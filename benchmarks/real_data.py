"""Real spectra for the benchmark `real`: read and drawn once, dealt to folds by object."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold

from specvit.catalog.build import build_catalog
from specvit.catalog.hashing import hashes
from specvit.catalog.schema import CATALOG_SCHEMA
from specvit.catalog.survey import select_survey
from specvit.config import Config, merge, validate
from specvit.config.data import Grid, Render
from specvit.errors import DataError, SpectrumError, blamed_on_the_file
from specvit.io import atomic_path, read_parquet, write_json, write_parquet
from specvit.logs import get_logger, progress
from specvit.paths import SPLITS, shard_name
from specvit.plan import KEY, Plan
from specvit.shards import write_summary
from specvit.shards.make import ShardWriter, recorded
from specvit.shards.sample import Drawing, Sample, npy_bytes
from specvit.surveys.read import read_spectrum

VAL_PARTS = 5
"""One part in so many of what a fold leaves for training is its val: it picks the epoch and the
baselines' settings, and calibrates."""
SEED = 1
FINAL = "final"
"""The name of the fold without a test: its network is the one to keep."""
LEFT_OUT = "left out"
ONE_SHARD = {"split": {"shards": dict.fromkeys(SPLITS, 1)}}

log = get_logger(__name__)


@dataclass(frozen=True)
class Prepared:
    """What `prepare` left in a folder."""

    folder: Path

    @property
    def rows_path(self) -> Path:
        """Catalogue rows, and for each fold in which split a row is."""
        return self.folder / "rows.parquet"

    @property
    def flux_path(self) -> Path:
        """The rows' flux on the common grid; networks can do without."""
        return self.folder / "flux.parquet"

    def plots_path(self, render: Render) -> Path:
        """The rows' pictures of one set of plots."""
        return self.folder / f"{render.label}.parquet"

    def has(self, renders: Sequence[Render]) -> bool:
        """Whether rows and all these sets of plots are there."""
        return all(path.exists() for path in (self.rows_path, *map(self.plots_path, renders)))

    @property
    def rows(self) -> pd.DataFrame:
        """One row a spectrum. Raises DataError where another version of specvit prepared them."""
        rows = read_parquet(self.rows_path)
        missing = {*CATALOG_SCHEMA.names, "flux_scale", f"fold_{FINAL}"} - {*rows}
        if missing:
            raise DataError(
                f"{self.rows_path} has no {', '.join(sorted(missing))}: prepare again, with "
                "FOLDERS and another --out"
            )
        return rows

    @property
    def folds(self) -> list[str]:
        """Names of the folds that are tested."""
        names = [name.removeprefix("fold_") for name in self.rows if name.startswith("fold_")]
        return [name for name in names if name != FINAL]


def prepare(
    folders: Sequence[Path], out: Path, renders: Sequence[Render], grid: Grid, folds: int
) -> Prepared:
    """Read all spectra with a class below some folders; write rows, pictures, flux to `out`."""
    spectra = out / "spectra"
    spectra.mkdir(parents=True, exist_ok=True)
    for number, folder in enumerate(folders):
        link = spectra / f"{number}-{folder.name}"
        link.unlink(missing_ok=True)
        link.symlink_to(folder.resolve())
    rows = _catalogue(out / "catalogue", spectra)
    prepared = Prepared(out / "prepared")
    drawings = [Drawing(render, grid) for render in renders]
    kept, samples = [], []
    with progress("drawing", len(rows), "spectra") as tick:
        for row in rows.to_dict("records"):
            tick.advance()
            try:
                with blamed_on_the_file():
                    spectrum = read_spectrum((spectra / row["path"]).read_bytes())
                    samples.append([drawing.sample(spectrum, row) for drawing in drawings])
            except SpectrumError as error:
                log.info("left out %s: %s", row["path"], error)
                continue
            kept.append(row)
    frame = pd.DataFrame(kept, columns=CATALOG_SCHEMA.names)
    frame["flux_scale"] = [first.row["flux_scale"] for first, *_ in samples]
    write_parquet(prepared.rows_path, deal(frame, folds))
    ids = frame["spectrum_id"]
    flux = [first.npy for first, *_ in samples]
    write_parquet(prepared.flux_path, pd.DataFrame({"spectrum_id": ids, "npy": flux}))
    for number, render in enumerate(renders):
        pictures = [drawn[number].png for drawn in samples]
        plots = pd.DataFrame({"spectrum_id": ids, "png": pictures})
        write_parquet(prepared.plots_path(render), plots)
    log.info("%d of %d spectra with a class can be drawn", len(kept), len(rows))
    return prepared


def _catalogue(work: Path, spectra: Path) -> pd.DataFrame:
    """The files' own headers, spectra of one object under one object_id, rows without class out."""
    config = validate(
        {
            **ONE_SHARD,
            "run": "all",
            "results_dir": str(work),
            "surveys": {"files": {"base_url": spectra.resolve().as_uri()}},
        }
    )
    select_survey(config, "files")
    build_catalog(config)
    rows = read_parquet(config.paths.catalog)
    classless = rows["class"].isna()
    log.info("%d of %d readable files name no class", classless.sum(), len(rows))
    # Missing text must be None, as the shards have it.
    rows = rows[~classless].sort_values("spectrum_id", ignore_index=True)
    return rows.astype(object).where(rows.notna(), None)


def deal(rows: pd.DataFrame, folds: int) -> pd.DataFrame:
    """Add a column fold_0, fold_1, ... for each fold, and fold_final: train, val or test.

    By object, stratified by class and survey. The final one has no test. Raises DataError where a
    class has fewer objects than there are folds.
    """
    objects = pd.factorize(rows["object_id"])[0]
    fewest = rows.groupby("class")["object_id"].nunique()
    if fewest.min() < folds:
        raise DataError(f"{fewest.idxmin()}: {fewest.min()} objects are too few for {folds} folds")
    strata = _strata(rows, folds)
    dealt = rows.copy()
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=SEED)
    everything = np.arange(len(rows))
    splits = {str(n): rest for n, (rest, _) in enumerate(splitter.split(strata, strata, objects))}
    for number, (fold, rest) in enumerate({**splits, FINAL: everything}.items()):
        inner = StratifiedGroupKFold(VAL_PARTS, shuffle=True, random_state=SEED + number)
        _, val = next(inner.split(rest, strata[rest], objects[rest]))
        split = np.full(len(rows), "test", dtype=object)
        split[rest] = "train"
        split[rest[val]] = "val"
        dealt[f"fold_{fold}"] = split
    return dealt


def _strata(rows: pd.DataFrame, folds: int) -> np.ndarray:
    """Class and survey of each row; the class's most frequent survey where they are too few."""
    strata = rows["class"].astype(str) + " " + rows["survey"].astype(str)
    few = strata.map(strata.value_counts()) < folds
    most = strata.groupby(rows["class"]).agg(lambda of_class: of_class.mode()[0])
    return np.asarray(strata.where(~few, rows["class"].map(most)))


def fold_config(config: Config, work: Path, fold: str) -> Config:
    """The same settings for the run that a fold is."""
    over: dict[str, Any] = {
        **ONE_SHARD,
        "run": f"fold-{fold}",
        "results_dir": str(work),
        "surveys": {**dict.fromkeys(config.surveys.active), "files": {"base_url": "file:///"}},
        "render": [config.render[0].model_dump(mode="json")],
        "experiments": [],
    }
    return validate(merge(json.loads(config.model_dump_json()), over))


def fewer(rows: pd.DataFrame, split_of: pd.Series, most: int) -> pd.Series:
    """A fold's splits with `most` spectra in train and val together, as the classes are in them.

    A smaller set is part of a larger one; what is left out is in no split.
    """
    learned = split_of != "test"
    order = pd.Series(hashes(SEED, "fewer", rows["object_id"]), index=rows.index)
    rank = order[learned].groupby(rows.loc[learned, "class"]).rank(method="first")
    size = rows.loc[learned, "class"].map(rows.loc[learned, "class"].value_counts())
    kept = ((rank - 0.5) / size).sort_values(kind="stable").index[:most]
    return split_of.where(~learned | split_of.index.isin(kept), LEFT_OUT)


def write_fold(prepared: Prepared, config: Config, fold: str, most: int | None = None) -> None:
    """Write the shards of a fold's run, once for each set of plots; `config` has that of the run.

    With `most`, no more spectra are learned from (`fewer`). Where there is no test, val stands in
    its place: every run has one. Raises DataError where its plots were not drawn.
    """
    render, paths = config.render[0], config.paths
    if paths.shards_summary(render.label).exists():
        return
    if not prepared.plots_path(render).exists():
        raise DataError(
            f"{prepared.folder} has no plots {render.label}: prepare again, with FOLDERS in place "
            "of --prepared"
        )
    rows = prepared.rows
    plan = Plan.dealt(config.split, [prepared.rows_path])
    pictures = read_parquet(prepared.plots_path(render))["png"]
    flux = [npy_bytes(np.full(config.grid.pixels, np.nan, np.float16))] * len(rows)
    if prepared.flux_path.exists():
        flux = read_parquet(prepared.flux_path)["npy"].tolist()
    drawn = Drawing(render, config.grid).hash
    split_of = rows[f"fold_{fold}"]
    if most is not None:
        split_of = fewer(rows, split_of, most)
    values = rows[[*CATALOG_SCHEMA.names, "flux_scale"]]
    records = values.astype(object).where(values.notna(), None).to_dict("records")
    for split in SPLITS:
        shard = shard_name(split, 0)
        about = {"split": split, "shard": shard, "render": drawn}
        here = split if (split_of == split).any() else "val"
        chosen = np.flatnonzero(split_of == here)
        samples = [Sample(records[i] | about, pictures[i], flux[i]) for i in chosen]
        _write_shard(paths.shard(render.label, shard), samples, drawn, plan)
        counts = pd.Series([sample.row["class"] for sample in samples]).value_counts().to_dict()
        stats = {
            **about,
            KEY: dict(plan.values),
            **recorded(paths.shard(render.label, shard)),
            "rows": len(samples),
            "spectra": len(samples),
            "classes": counts,
            "dropped": [],
            "simulated": False,
        }
        write_json(paths.shard_stats(render.label, shard), stats)
    write_summary(paths, render, config.grid, config.split, config.shard_names())


def _write_shard(path: Path, samples: Sequence[Sample], drawn: str, plan: Plan) -> None:
    with atomic_path(path) as temporary:
        with temporary.open("wb") as handle:
            writer = ShardWriter(handle)
            for sample in samples:
                writer.add(sample)
            writer.close()
        writer.index.write(path, temporary.stat().st_size, drawn, plan)
