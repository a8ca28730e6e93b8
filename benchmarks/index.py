"""`python -m benchmarks index`: from the indexes of many shards to the samples training needs."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click
import numpy as np
import pyarrow as pa

from benchmarks.common import BenchResult, json_option
from specvit.machine import peak_rss_mb

ROWS_A_SHARD = 2000
# Plain sizes of a 224 x 224 `line` plot, a flux array of 3840 pixels and a row.
SIZES = {"png": 4200, "npy": 7808, "json": 700}
BLOCK = 512  # of a tar
# What a start costs, in a process of its own, so that nothing else counts to its memory.
START = (
    "import sys, json; from pathlib import Path; from benchmarks.index import start; "
    "print(json.dumps(start(Path(sys.argv[1]))))"
)


@click.command("index")
@click.option("--samples", default=4_000_000, show_default=True, help="Rows of all indexes.")
@json_option
def command(samples: int, json_path: Path | None) -> None:
    """Start training of very many made-up samples, by their indexes alone.

    Rates are of one core's time, so that other work on the machine does not count.
    """
    import json

    with tempfile.TemporaryDirectory() as folder:
        shards = write_indexes(Path(folder), samples)
        size = sum(path.stat().st_size for path in Path(folder).iterdir()) / 1e6
        done = subprocess.run(
            [sys.executable, "-c", START, folder], check=True, capture_output=True, text=True
        )
    told = json.loads(done.stdout)
    BenchResult(
        name="index",
        what=f"{samples:,} made-up samples in {shards} shards, indexes of {size:.0f} MB",
        unit="samples",
        rate=samples / told["ready_cpu_s"],
        reference="json.loads of a line with the labels, already in memory",
        reference_rate=told["json_rate"],
        cores=1,
        extra={key: value for key, value in told.items() if key != "json_rate"},
    ).show(json_path)


def write_indexes(folder: Path, samples: int) -> int:
    """Write the indexes of shards that are not there; return how many."""
    from specvit.config.data import Split
    from specvit.io import write_parquet
    from specvit.plan import Plan
    from specvit.shards.index import INDEX_SCHEMA, index_path

    shards = -(-samples // ROWS_A_SHARD)
    rng, plan = np.random.default_rng(1), Plan.dealt(Split(), ())
    for number in range(shards):
        rows = min(ROWS_A_SHARD, samples - number * ROWS_A_SHARD)
        table = pa.table(_columns(number, rows, rng), schema=INDEX_SCHEMA)
        tar = folder / f"train-{number:06d}.tar"
        about = {"tar_bytes": "0", "render": "made up", **plan.metadata}
        write_parquet(index_path(tar), table, about)
    return shards


def _columns(shard: int, rows: int, rng: np.random.Generator) -> dict[str, pa.Array]:
    from specvit.shards.index import INDEX_SCHEMA, place_columns

    columns = {field.name: pa.nulls(rows, field.type) for field in INDEX_SCHEMA}
    place = np.zeros(rows, np.int64)
    sizes = {kind: rng.integers(size // 2, size, rows) for kind, size in SIZES.items()}
    total = sum(BLOCK + -(-size // BLOCK) * BLOCK for size in sizes.values())
    place[1:] = np.cumsum(total)[:-1]
    for kind, size in sizes.items():
        checksums = rng.integers(0, 2**32, rows, dtype=np.uint32)
        for column, values in zip(
            place_columns(kind), (place + BLOCK, size, checksums), strict=True
        ):
            columns[column] = pa.array(values)
        place = place + BLOCK + -(-size // BLOCK) * BLOCK
    plates = rng.integers(266, 12_000, rows)
    names = [f"sdss-{plate:05d}-{shard:05d}-{i:05d}" for i, plate in enumerate(plates)]
    classes = np.array(["STAR", "GALAXY", "QSO"])[rng.integers(0, 3, rows)]
    columns |= {
        "spectrum_id": pa.array(names),
        "object_id": pa.array(names),
        "survey": pa.array(["sdss"] * rows),
        "class": pa.array(classes),
        "stellar_type": pa.array(["G" if c == "STAR" else None for c in classes]),
        "z": pa.array(rng.uniform(0, 4, rows)),
        "ra": pa.array(rng.uniform(0, 360, rows)),
        "dec": pa.array(rng.uniform(-90, 90, rows)),
        "split": pa.array(["train"] * rows),
        "shard": pa.array([f"train-{shard:06d}"] * rows),
    }
    return columns


def start(folder: Path) -> dict[str, float]:
    """Read what training needs, as it does at its start, and the first step's order."""
    import json

    from specvit.tasks import tasks_of
    from specvit.train.loader import epoch_order
    from specvit.train.samples import read_samples

    before = peak_rss_mb()
    tars = [
        path.with_name(path.name.replace(".index.parquet", ".tar"))
        for path in sorted(folder.iterdir())
    ]
    began, cpu = time.perf_counter(), time.process_time()
    samples = read_samples(tars, tasks_of(["class", "stellar_type", "redshift"]))
    hashed = samples.fingerprint
    epoch_order(samples.sizes, 1, 0)
    ready, cpu = time.perf_counter() - began, time.process_time() - cpu
    memory = peak_rss_mb()
    line = json.dumps({"spectrum_id": hashed, "class": "STAR", "stellar_type": None, "z": 0.1})
    began = time.process_time()
    for _ in range(100_000):
        json.loads(line)
    return {
        "ready_cpu_s": round(cpu, 2),
        "ready_wall_s": round(ready, 2),
        "samples_mb": round(sum(a.nbytes for a in samples.arrays().values()) / 1e6, 1),
        "start_peak_mb": round(memory, 1),
        "libraries_mb": round(before, 1),
        "json_rate": round(100_000 / (time.process_time() - began)),
    }
