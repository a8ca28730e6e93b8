"""A run's spectra and answers as data sets that others' tools read: HATS, and `datasets`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from specvit.config import Config, load_config
from specvit.errors import ConfigError, DataError
from specvit.io import atomic_folder, read_json, write_text
from specvit.logs import progress
from specvit.paths import SPLITS, RunPaths
from specvit.share.dataset_card import dataset_card
from specvit.share.hats_folder import count, empty_map, write_hats, write_options
from specvit.share.published import DATA, HATS, NAMES, Published
from specvit.share.published_rows import NOWHERE, PLACE, Answers, Rows

CARD = "README.md"


def publish_run(root: Path, folder: Path) -> Published:
    """Write the spectra of a run into a new folder, with what its models say of them.

    `data/` has a parquet file for each shard, `hats/` the same rows by place on the sky, README.md
    is the card. All of it appears at once, when it is whole. Some hundred spectra are in memory at
    a time, then those of one pixel. Raises ConfigError without the extra `publish` and for a folder
    with files in it, DataError where the run is not finished or its files do not belong together.
    """
    try:
        import hats  # noqa: F401
    except ImportError as error:
        raise ConfigError(f"HATS needs {error.name}: pip install 'specvit[publish]'") from error
    there = sorted(path.name for path in folder.glob("*"))
    if there:
        raise ConfigError(f"{folder} has files in it ({there[0]}): name a new folder")
    paths = RunPaths(root)
    config = _config_of(paths)
    rows = _rows(paths, config)
    with atomic_folder(folder) as whole:
        published = _write(whole, rows, config)
        write_text(whole / CARD, dataset_card(config, rows, published))
    return published


def _config_of(paths: RunPaths) -> Config:
    path = paths.root / "config.json"
    if not path.exists():
        raise DataError(f"{paths.root} is not a run's folder: it has no {path.name}")
    return load_config([str(path)])


def _rows(paths: RunPaths, config: Config) -> Rows:
    """The rows with the answers of every model that has any."""
    models = [
        Answers.of(paths, name, config.asked, name in config.network_names)
        for name in config.model_names
        if paths.predictions(name).exists()
    ]
    return Rows(paths, config.render[0].label, tuple(model for model in models if model.tasks))


def _write(folder: Path, rows: Rows, config: Config) -> Published:
    published, histogram, files = Published(), empty_map(), []
    summary = read_json(rows.paths.shards_summary(rows.label))
    published.dropped.update(row["reason"] for row in summary["dropped"])
    (folder / DATA).mkdir()
    with progress("publish", len(config.shard_names()), "shards") as tick:
        for split in SPLITS:
            shards = config.shard_names(split)
            for number, shard in enumerate(shards):
                name = f"{NAMES[split]}-{number:05d}-of-{len(shards):05d}.parquet"
                files.append(folder / DATA / name)
                _write_shard(files[-1], rows, shard, published, histogram)
                tick.advance()
    if published.nowhere < published.total:
        about = {
            "catalog_name": config.run,
            "obs_title": f"{published.kind} of a run of specvit",
            "obs_description": f"{published.kind} on one grid of wavelengths, and models' answers",
            "obs_regime": "Optical",
        }
        published.pixels = write_hats(folder / HATS, files, histogram, about)
    return published


def _write_shard(
    path: Path, rows: Rows, shard: str, published: Published, histogram: np.ndarray
) -> None:
    with pq.ParquetWriter(path, rows.schema, **write_options(rows.schema)) as writer:
        for table in rows.of(shard):
            writer.write_table(table)
            place = table[PLACE].fill_null(NOWHERE).to_numpy()
            published.nowhere += count(histogram, place)
            published.spectra[shard.rpartition("-")[0]] += len(table)
            names = ("survey", "release", "simulated")
            whose = zip(*(table[name].to_pylist() for name in names), strict=True)
            published.surveys.update(whose)
