"""The real Snakefile with an S3 store in place of a disk."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from servers.s3_server import BUCKET, SECRET, client, s3_server

pytestmark = pytest.mark.workflow

RUN = "prefix/results/tiny"
SMALL: dict[str, Any] = {
    "surveys": {"lamost": None},
    "simulated": {"sdss_spectra": 160},
    "split": {"shards": {"train": 1}},
    "baselines": {"models": ["random_forest"]},
}


@pytest.fixture
def storage() -> Iterator[list[str]]:
    """Options of Snakemake that put a run into a bucket."""
    with s3_server() as url:
        provider = ["--default-storage-provider", "s3", f"--storage-s3-endpoint-url={url}"]
        yield [*provider, "--default-storage-prefix", f"s3://{BUCKET}/prefix"]


def stored() -> dict[str, bytes]:
    """Every object of the run, by its name below results/<run>."""
    pages = client().get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
    keys = [found["Key"] for page in pages for found in page.get("Contents", [])]
    assert all(key.startswith(f"{RUN}/") for key in keys)
    read = {key: client().get_object(Bucket=BUCKET, Key=key)["Body"].read() for key in keys}
    return {key.removeprefix(f"{RUN}/"): data for key, data in read.items()}


def test_a_run_in_a_bucket_leaves_nothing_on_the_disk(workflow, storage) -> None:
    """Another machine, without the copies of the first, makes the report."""
    workflow.run(*storage, "evaluate", over=SMALL)
    copies = workflow.folder / ".snakemake" / "storage"
    written = [*workflow.folder.rglob("*"), *copies.rglob("*")]
    assert not any(SECRET.encode() in path.read_bytes() for path in written if path.is_file())
    shutil.rmtree(copies)
    workflow.run(*storage, over=SMALL)

    objects = stored()
    shards = [f"shards/stacked-32/{name}-000000" for name in ("train", "val", "test")]
    assert {
        *("surveys/sdss.parquet", "surveys/sdss.cuts.csv", "catalog.parquet", "catalog_stats.csv"),
        *("spectra/train-000000.tar", "spectra/train-000000.ledger.parquet"),
        *(f"{shard}.{kind}" for shard in shards for kind in ("tar", "index.parquet", "stats.json")),
        *(f"models/vit/{name}" for name in ("model.safetensors", "model.json", "log.jsonl")),
        *("models/vit/training.json", "models/random_forest/model.skops"),
        *("predictions/vit.parquet", "predictions/val/random_forest.parquet"),
        *("metrics.json", "tables/headline_class.csv", "figures/confusion_class.png"),
        *("figures/overview.png", "report.html", "gallery.html"),
        *("logs/train/vit.log", "benchmarks/train/vit.tsv"),
    } <= set(objects)
    assert not any(SECRET.encode() in data for data in objects.values())
    assert not workflow.run_folder.exists()
    assert workflow.planned(*storage, over=SMALL) == {}
