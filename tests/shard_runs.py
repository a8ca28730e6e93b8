"""A small run's inputs on disk, as catalogue and download would leave them."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from spectrum_files import galaxy_flux, lamost_image_file, sdss_file
from specvit.catalog.schema import CATALOG_SCHEMA, as_table
from specvit.config.data import ShardCounts, Split
from specvit.io import read_json, sha256_file, write_json, write_parquet
from specvit.paths import RunPaths
from specvit.plan import Plan
from specvit.shards.index import SUMMARY, index_path
from specvit.shards.make import ShardWriter
from specvit.shards.sample import Sample

LEDGER = pa.schema([("spectrum_id", pa.string()), ("url", pa.string()), ("status", pa.string())])
for name, kind in (("reason", pa.string()), ("bytes", pa.int64()), ("sha256", pa.string())):
    LEDGER = LEDGER.append(pa.field(name, kind))
LEDGER = LEDGER.append(pa.field("attempts", pa.int32()))

SPLIT = Split(shards=ShardCounts(train=1, val=1, test=1))
"""What the small runs are dealt by."""
PLAN = Plan.dealt(SPLIT, ())


def row(spectrum_id: str, shard: str = "train-000000", **over: Any) -> dict[str, Any]:
    """A catalogue row; the split is the shard's."""
    values = dict.fromkeys(CATALOG_SCHEMA.names)
    values |= {"survey": "sdss", "release": "dr17", "class": "GALAXY", "z": 0.1, "z_err": 1e-5}
    values |= {"snr": 10.0, "ra": 1.0, "dec": 2.0, "source": "sdss", "simulated": False}
    values |= {"spectrum_id": spectrum_id, "object_id": f"o-{spectrum_id}", "path": spectrum_id}
    return values | {"shard": shard, "split": shard.split("-")[0], **over}


def add_member(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    archive.addfile(member, io.BytesIO(data))


def write_shard(
    path: Path,
    samples: Iterable[Sample],
    render: str = "made up",
    plan: Plan = PLAN,
    listed: bool = True,
) -> None:
    """Write a shard of these samples and its index, and list it, as the shards stage does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as handle:
        writer = ShardWriter(handle)
        for sample in samples:
            writer.add(sample)
        writer.close()
    writer.index.write(path, path.stat().st_size, render, plan)
    if listed:
        summary = path.with_name(SUMMARY)
        others = read_json(summary)["shards"] if summary.exists() else []
        others = [other for other in others if other["shard"] != path.stem]
        entry = {
            "shard": path.stem,
            "spectra": len(writer.index.rows),
            "bytes": path.stat().st_size,
            "index_sha256": sha256_file(index_path(path)),
        }
        write_json(summary, {"shards": [*others, entry]})


def write_inputs(root: Path, entries: list[tuple[dict[str, Any], bytes | str]]) -> RunPaths:
    """Write catalogue, tars and ledgers; bytes are a file, text is why there is none."""
    paths = RunPaths(root)
    frame = pd.DataFrame([values for values, _ in entries])
    write_parquet(paths.catalog, as_table(frame, CATALOG_SCHEMA), PLAN.metadata)
    for shard in sorted({values["shard"] for values, _ in entries}):
        members = sorted((v["spectrum_id"], d) for v, d in entries if v["shard"] == shard)
        paths.spectra(shard).parent.mkdir(parents=True, exist_ok=True)
        ledger = []
        with tarfile.open(paths.spectra(shard), "w", format=tarfile.USTAR_FORMAT) as archive:
            for spectrum_id, data in members:
                line: dict[str, Any] = {"spectrum_id": spectrum_id, "url": "", "attempts": 1}
                if isinstance(data, bytes):
                    ending = ".fits.gz" if data[:2] == b"\x1f\x8b" else ".fits"
                    add_member(archive, spectrum_id + ending, data)
                    digest = hashlib.sha256(data).hexdigest()
                    line |= {"status": "ok", "bytes": len(data), "sha256": digest}
                else:
                    line |= {"status": "missing", "reason": data, "bytes": 0}
                ledger.append(line)
        table = pa.Table.from_pylist(ledger, schema=LEDGER)
        write_parquet(paths.ledger(shard), table, PLAN.metadata)
    return paths


def small_run(root: Path) -> RunPaths:
    """Eleven rows in three shards: galaxies and stars, one missing, one an HTML page."""
    entries: list[tuple[dict[str, Any], bytes | str]] = []
    for i, shard in enumerate(["train-000000"] * 5 + ["val-000000"] * 2 + ["test-000000"] * 2):
        z = 0.05 + 0.01 * i
        if i % 2:
            star = {"survey": "lamost", "class": "STAR", "stellar_type": "G", "source": "lamost"}
            entries.append(
                (row(f"star-{i}", shard, z=1e-4, **star), lamost_image_file(galaxy_flux(z)))
            )
        else:
            entries.append((row(f"galaxy-{i}", shard, z=z), sdss_file(galaxy_flux(z))))
    entries.append((row("gone-0", "train-000000"), "HTTP 404"))
    entries.append((row("page-0", "test-000000"), b"<html>not here</html>"))
    return write_inputs(root, entries)


SHARDS = ("train-000000", "val-000000", "test-000000")
