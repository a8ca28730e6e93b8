"""Check a finished run against its own records: hashes, counts, keys, pictures, rows, splits."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd

from specvit.catalog.schema import CATALOG_SCHEMA
from specvit.errors import DataError, SpecvitError, on_one_line
from specvit.io import read_json, read_parquet, sha256_file
from specvit.logs import Ticker, progress
from specvit.paths import RunPaths
from specvit.plan import KEY, Plan
from specvit.predictions import WEIGHTS_HASH, check_weights
from specvit.shards.index import INDEX_SCHEMA, KINDS, index_path, read_index
from specvit.shards.sample import png_array
from specvit.shards.summary import COUNTS
from specvit.tar import members, read_members

LEDGER_COLUMNS = ["spectrum_id", "status", "sha256"]
UNFINISHED = (".tmp", ".part", ".part.json", ".parts")
NAMED = 3  # of them, in a sentence
MAX_PROBLEMS = 20  # of one shard: a damaged one would otherwise list every sample


def verify_run(root: Path) -> list[str]:
    """Return a sentence for each problem of a run's folder; an empty list if there is none.

    Checks that no object is in two splits; that every file is of the catalogue's plan; that each
    download ledger has the catalogue's rows and its tar their bytes; that each shard and its index
    have their hashes, their count, whole samples of one key each, pictures of the right size and
    rows equal to the catalogue's; that the index says where each member lies, and what it holds;
    that what came in went out or was dropped with a reason. Raises DataError where there is nothing
    to check.
    """
    paths = RunPaths(root)
    catalog = read_parquet(paths.catalog, CATALOG_SCHEMA.names).set_index("spectrum_id", drop=False)
    problems = [*_catalog_problems(catalog), *_collect(_plan_problems, paths)]
    problems += _collect(_prediction_problems, paths)
    summaries = sorted(root.glob("shards/*/shards.json"))
    if not summaries:
        raise DataError(f"{root} has no shards.json: nothing is finished yet")
    by_shard = dict(tuple(catalog.groupby("shard", sort=True)))
    with progress("verify", len(by_shard) * (1 + len(summaries)), "shards") as tick:
        for shard, rows in by_shard.items():
            problems += _collect(_download_problems, paths, str(shard), rows)
            tick.advance()
        for summary in summaries:
            problems += _collect(_summary_problems, summary, by_shard, tick)
    return problems


def _collect(check: Callable[..., Iterator[str]], *arguments: Any) -> list[str]:
    """Run a check; a file that cannot be read ends this check alone, as one more problem."""
    found = []
    try:
        for problem in check(*arguments):
            found.append(problem)
            if len(found) == MAX_PROBLEMS:
                found.append(
                    f"more than {MAX_PROBLEMS} problems in one place: the rest is left out"
                )
                break
    except SpecvitError as error:
        found.append(str(error))
    return found


def _catalog_problems(catalog: pd.DataFrame) -> Iterator[str]:
    splits = catalog.groupby("object_id")["split"].nunique()
    for name in splits.index[splits > 1][:MAX_PROBLEMS]:
        rows = catalog[catalog["object_id"] == name]
        where = ", ".join(f"{r.spectrum_id} in {r.split}" for r in rows.itertuples())
        yield f"object {name} is in more than one split: {where}"
    for name in catalog.index[catalog.index.duplicated()][:MAX_PROBLEMS]:
        yield f"spectrum_id {name} is twice in the catalogue"
    wrong = catalog["shard"].str.rsplit("-", n=1).str[0] != catalog["split"]
    for row in catalog[wrong].head(MAX_PROBLEMS).itertuples():
        yield f"{row.spectrum_id} of split {row.split} is in shard {row.shard}"


def _plan_problems(paths: RunPaths) -> Iterator[str]:
    """Files of the run that were not made from its catalogue."""
    plan = Plan.of_parquet(paths.catalog)
    tables = [*paths.root.glob("spectra/*.ledger.parquet")]
    tables += [*paths.root.glob("shards/*/*.index.parquet")]
    tables += [*paths.root.glob("predictions/**/*.parquet")]
    told = [*paths.root.glob("shards/*/shards.json"), *paths.root.glob("models/*/training.json")]
    told += [paths.metrics] if paths.metrics.exists() else []
    for path in sorted([*tables, *told]):
        try:
            is_table = path.suffix == ".parquet"
            found = Plan.of_parquet(path) if is_table else Plan.of(read_json(path).get(KEY), path)
            found.check_same(path, plan, paths.catalog)
        except DataError as error:
            yield str(error)


def _prediction_problems(paths: RunPaths) -> Iterator[str]:
    """Predictions of networks that were trained again since."""
    for path in sorted(paths.root.glob("predictions/**/*.parquet")):
        summary = paths.model_dir(path.stem) / "training.json"
        try:
            if summary.exists() and WEIGHTS_HASH in read_json(summary):
                check_weights(path, summary)
        except (DataError, TypeError) as error:  # TypeError: JSON that is no mapping
            yield str(error)


def unfinished(root: Path) -> str:
    """What writers that live, or were killed, have left below a run's folder; empty if nothing."""
    found = sorted(
        str(path.relative_to(root))
        for path in root.rglob(".*")
        if path.name.endswith(UNFINISHED) and path.is_file()
    )
    if not found:
        return ""
    first = ", ".join(found[:NAMED]) + (", ..." if len(found) > NAMED else "")
    return f"files that a job is writing, or left when it was killed: {len(found):,} ({first})"


def _download_problems(paths: RunPaths, shard: str, rows: pd.DataFrame) -> Iterator[str]:
    ledger = read_parquet(paths.ledger(shard), LEDGER_COLUMNS).set_index("spectrum_id")
    if set(ledger.index) != set(rows.index) or len(ledger) != len(rows):
        yield f"{paths.ledger(shard)} has {len(ledger)} rows, the catalogue {len(rows)} in {shard}"
    wanted = ledger["sha256"][ledger["status"] == "ok"].to_dict()
    for name, data in read_members(paths.spectra(shard)):
        key = name.partition(".")[0]
        if hashlib.sha256(data).hexdigest() != wanted.pop(key, None):
            yield f"{paths.spectra(shard)}: {name} has not the bytes that its ledger says"
    for key in wanted:
        yield f"{paths.spectra(shard)} has no {key}, which its ledger says is ok"


def _summary_problems(path: Path, by_shard: dict[Any, pd.DataFrame], tick: Ticker) -> Iterator[str]:
    try:
        yield from _listed_problems(path, read_json(path), by_shard, tick)
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        # It is JSON, but not as `write_summary` has it.
        what = f"{type(error).__name__}: {on_one_line(error)}"
        yield f"{path} is not what it should be: {what}"


def _listed_problems(
    path: Path, summary: dict[str, Any], by_shard: dict[Any, pd.DataFrame], tick: Ticker
) -> Iterator[str]:
    listed = {shard["shard"]: shard for shard in summary["shards"]}
    found = {tar.stem for tar in path.parent.glob("*.tar")}
    for name in sorted(found ^ set(listed)):
        where = "not in shards.json" if name in found else "missing"
        yield f"{path.parent / name}.tar is {where}"
    for name in sorted(set(by_shard) - set(listed)):
        yield f"{path}: the catalogue's shard {name} is not in it"
    for total in COUNTS:
        if summary["counts"][total] != sum(shard[total] for shard in listed.values()):
            yield f"{path}: its count of {total} is not the sum of its shards"
    dropped: dict[str, set[str]] = {name: set() for name in listed}
    for row in summary["dropped"]:
        dropped[row["shard"]].add(row["spectrum_id"])
        if not row["reason"]:
            yield f"{path}: {row['spectrum_id']} is dropped without a reason"
    for name in sorted(found & set(listed)):
        tar, rows = path.parent / f"{name}.tar", by_shard.get(name, pd.DataFrame())
        yield from _collect(_hash_problems, tar, listed[name])
        yield from _collect(_shard_problems, tar, listed[name], summary, rows, dropped[name])
        tick.advance()


def _hash_problems(tar: Path, listed: dict[str, Any]) -> Iterator[str]:
    for path, key in ((tar, "sha256"), (index_path(tar), "index_sha256")):
        if not path.exists():
            yield f"{path} does not exist"
        elif sha256_file(path) != listed[key]:
            yield f"{path} has not the hash that shards.json gives: its bytes were changed"


def _shard_problems(
    tar: Path,
    listed: dict[str, Any],
    summary: dict[str, Any],
    rows: pd.DataFrame,
    dropped: set[str],
) -> Iterator[str]:
    expected = {str(key): row for key, row in zip(rows.index, rows.to_dict("records"), strict=True)}
    index = read_index([tar], INDEX_SCHEMA.names)
    if index.renders[0] != summary["render_hash"]:
        yield f"{index_path(tar)} is of other settings ({index.renders[0]})"
    entries = {entry["spectrum_id"]: entry for entry in index.table.to_pylist()}
    seen: set[str] = set()
    samples = 0
    with tar.open("rb") as handle:
        for key, files in _samples(tar):
            samples += 1
            if key in seen:
                yield f"{tar}: sample {key} is in it twice"
            seen.add(key)
            if tuple(files) != KINDS:
                yield f"{tar}: sample {key} has {', '.join(files) or 'nothing'}, not png, npy, json"
                continue
            problems = [
                *_sample_problems(key, files, summary, expected),
                *_entry_problems(files, entries.pop(key, None), handle),
            ]
            yield from (f"{tar}: sample {key} {problem}" for problem in problems)
    for key in entries:
        yield f"{tar}: sample {key} of its index is not in it"
    if samples != listed["spectra"]:
        yield f"{tar} has {samples} samples, shards.json says {listed['spectra']}"
    spectra = {key for key in seen if key in expected}
    for key in sorted(set(expected) - spectra - dropped):
        yield f"{tar}: {key} of the catalogue is neither in it nor dropped with a reason"
    for key in sorted(dropped & spectra):
        yield f"{tar}: {key} is in it and dropped as well"


def _samples(tar: Path) -> Iterator[tuple[str, dict[str, bytes]]]:
    """Read a shard from front to end, as those do who train with webdataset."""
    from webdataset.tariterators import group_by_keys, tar_file_expander  # brings torch

    # First: webdataset seeks for ever behind a member that is larger than the file.
    deque(members(tar), maxlen=0)
    try:
        with tar.open("rb") as handle:
            for sample in group_by_keys(tar_file_expander([{"url": str(tar), "stream": handle}])):
                files = {kind: data for kind, data in sample.items() if kind[0] != "_"}
                yield sample["__key__"], files
    except (tarfile.TarError, ValueError, EOFError) as error:
        raise DataError(f"{tar} is damaged or cut off: {error or type(error).__name__}") from error


def _entry_problems(
    files: dict[str, bytes], entry: dict[str, Any] | None, tar: IO[bytes]
) -> Iterator[str]:
    """What a sample's entry in the index says that is not so."""
    if entry is None:
        yield "is not in its index"
        return
    for kind, data in files.items():
        tar.seek(entry[f"{kind}_offset"])
        if entry[f"{kind}_size"] != len(data) or tar.read(len(data)) != data:
            yield f"has its {kind} elsewhere than its index says"
        if zlib.crc32(data) != entry[f"{kind}_crc32"]:
            yield f"has a {kind} of another checksum than its index says"
    row = _json_row(files["json"])
    if row is None:
        return  # told already
    for column in ("flux_scale", *CATALOG_SCHEMA.names):
        if row.get(column) != entry[column]:
            yield f"has {column} = {row.get(column)!r}, its index has {entry[column]!r}"


def _json_row(data: bytes) -> dict[str, Any] | None:
    """The values of a sample's json; None where it holds no such thing."""
    try:
        row = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) else None


def _sample_problems(
    key: str, files: dict[str, bytes], summary: dict[str, Any], expected: dict[str, dict[str, Any]]
) -> Iterator[str]:
    try:
        picture = png_array(files["png"])
        flux = np.load(io.BytesIO(files["npy"]), allow_pickle=False)
        row = _json_row(files["json"])
        if row is None:
            raise ValueError("its json is no row")
        name, drawn = row["spectrum_id"], row["render"]
    except ValueError as error:
        yield f"cannot be read: {on_one_line(error)}"
        return
    except Exception as error:  # numpy raises nearly anything for a damaged array
        yield f"cannot be read: {type(error).__name__}: {on_one_line(error)}"
        return
    size = summary["render"]["size"]
    shape = (size, size, 3) if summary["channels"] == 3 else (size, size)
    if picture.shape != shape:
        yield f"has a picture of {picture.shape}, not {shape}"
    if not picture.any():
        yield "has an empty picture"
    if flux.shape != (summary["grid"]["pixels"],) or flux.dtype != np.float16:
        yield f"has flux of {flux.dtype} {flux.shape}, not float16 ({summary['grid']['pixels']},)"
    if drawn != summary["render_hash"]:
        yield f"was drawn with other settings ({drawn})"
    if key != name:
        yield f"says it is {name}"
    elif name not in expected:
        yield "is not of the catalogue's rows of this shard"
    else:
        yield from _row_problems(row, expected[name])


def _row_problems(row: dict[str, Any], expected: dict[str, Any]) -> Iterator[str]:
    for column, value in expected.items():
        value = None if pd.isna(value) else value
        if row.get(column) != value:
            yield f"has {column} = {row.get(column)!r}, the catalogue has {value!r}"
