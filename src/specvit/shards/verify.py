"""Check a finished run against its own records: hashes, counts, keys, pictures, rows, splits."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from specvit.errors import DataError, SpecvitError
from specvit.io import read_json, read_parquet, sha256_file
from specvit.logs import Ticker, progress
from specvit.paths import RunPaths
from specvit.shards.draws import SHIFT
from specvit.shards.sample import png_array
from specvit.shards.tar import read_members

MAX_PROBLEMS = 20  # of one shard: a damaged one would otherwise list every sample
KINDS = ("png", "npy", "json")
# A draw's redshift differs from the catalogue's by its shift, which is Gaussian.
FARTHEST_DRAW = 8 * SHIFT


def verify_run(root: Path) -> list[str]:
    """Return a sentence for each problem of a run's folder; an empty list if there is none.

    Checks that no object is in two splits; that each download ledger has the catalogue's rows and
    its tar their bytes; that each shard has its hash, its count, whole samples of one key each,
    pictures of the right size and rows equal to the catalogue's; that what came in went out or was
    dropped with a reason. Raises DataError where there is nothing to check.
    """
    paths = RunPaths(root)
    catalog = read_parquet(paths.catalog).set_index("spectrum_id", drop=False)
    problems = list(_catalog_problems(catalog))
    indexes = sorted(root.glob("shards/*/shards.json"))
    if not indexes:
        raise DataError(f"{root} has no shards.json: nothing is finished yet")
    by_shard = dict(tuple(catalog.groupby("shard", sort=True)))
    with progress("verify", len(by_shard) * (1 + len(indexes)), "shards") as tick:
        for shard, rows in by_shard.items():
            problems += _collect(_download_problems, paths, str(shard), rows)
            tick.advance()
        for index in indexes:
            problems += _collect(_index_problems, index, by_shard, tick)
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
    wrong = catalog["shard"].str.rpartition("-")[0] != catalog["split"]
    for row in catalog[wrong].head(MAX_PROBLEMS).itertuples():
        yield f"{row.spectrum_id} of split {row.split} is in shard {row.shard}"


def _download_problems(paths: RunPaths, shard: str, rows: pd.DataFrame) -> Iterator[str]:
    ledger = read_parquet(paths.ledger(shard)).set_index("spectrum_id")
    if set(ledger.index) != set(rows.index) or len(ledger) != len(rows):
        yield f"{paths.ledger(shard)} has {len(ledger)} rows, the catalogue {len(rows)} in {shard}"
    wanted = ledger["sha256"][ledger["status"] == "ok"].to_dict()
    for name, data in read_members(paths.spectra(shard)):
        key = name.partition(".")[0]
        if hashlib.sha256(data).hexdigest() != wanted.pop(key, None):
            yield f"{paths.spectra(shard)}: {name} has not the bytes that its ledger says"
    for key in wanted:
        yield f"{paths.spectra(shard)} has no {key}, which its ledger says is ok"


def _index_problems(path: Path, by_shard: dict[Any, pd.DataFrame], tick: Ticker) -> Iterator[str]:
    index = read_json(path)
    listed = {shard["shard"]: shard for shard in index["shards"]}
    found = {tar.stem for tar in path.parent.glob("*.tar")}
    for name in sorted(found ^ set(listed)):
        where = "not in shards.json" if name in found else "missing"
        yield f"{path.parent / name}.tar is {where}"
    for name in sorted(set(by_shard) - set(listed)):
        yield f"{path}: the catalogue's shard {name} is not in it"
    for total in ("rows", "spectra", "draws", "samples"):
        if index["counts"][total] != sum(shard[total] for shard in listed.values()):
            yield f"{path}: its count of {total} is not the sum of its shards"
    dropped: dict[str, set[str]] = {name: set() for name in listed}
    for row in index["dropped"]:
        dropped[row["shard"]].add(row["spectrum_id"])
        if not row["reason"]:
            yield f"{path}: {row['spectrum_id']} is dropped without a reason"
    for name in sorted(found & set(listed)):
        rows = by_shard.get(name, pd.DataFrame())
        tar = path.parent / f"{name}.tar"
        yield from _collect(_shard_problems, tar, listed[name], index, rows, dropped[name])
        tick.advance()


def _shard_problems(
    tar: Path, listed: dict[str, Any], index: dict[str, Any], rows: pd.DataFrame, dropped: set[str]
) -> Iterator[str]:
    if sha256_file(tar) != listed["sha256"]:
        yield f"{tar} has not the hash that shards.json gives: its bytes were changed"
    expected = {str(key): row for key, row in zip(rows.index, rows.to_dict("records"), strict=True)}
    seen: set[str] = set()
    samples = 0
    for key, files in _samples(tar):
        samples += 1
        if key in seen:
            yield f"{tar}: sample {key} is in it twice"
        seen.add(key)
        if tuple(files) != KINDS:
            yield f"{tar}: sample {key} has {', '.join(files) or 'nothing'}, not png, npy, json"
            continue
        yield from (
            f"{tar}: sample {key} {p}" for p in _sample_problems(key, files, index, expected)
        )
    if samples != listed["samples"]:
        yield f"{tar} has {samples} samples, shards.json says {listed['samples']}"
    spectra = {key for key in seen if key in expected}
    for key in sorted(set(expected) - spectra - dropped):
        yield f"{tar}: {key} of the catalogue is neither in it nor dropped with a reason"
    for key in sorted(dropped & spectra):
        yield f"{tar}: {key} is in it and dropped as well"


def _samples(tar: Path) -> Iterator[tuple[str, dict[str, bytes]]]:
    """Group neighbours with one key, as WebDataset does."""
    current, files = "", dict[str, bytes]()
    for name, data in read_members(tar):
        key, _, kind = name.partition(".")
        if key != current and files:
            yield current, files
            files = {}
        current = key
        files[kind] = data
    if files:
        yield current, files


def _sample_problems(
    key: str, files: dict[str, bytes], index: dict[str, Any], expected: dict[str, dict[str, Any]]
) -> Iterator[str]:
    try:
        picture = png_array(files["png"])
        flux = np.load(io.BytesIO(files["npy"]), allow_pickle=False)
        row = json.loads(files["json"])
        name, draw, drawn = row["spectrum_id"], row["draw"], row["render"]
    except (ValueError, KeyError, TypeError, EOFError) as error:
        yield f"cannot be read: {error}"
        return
    size = index["render"]["size"]
    shape = (size, size, 3) if index["channels"] == 3 else (size, size)
    if picture.shape != shape:
        yield f"has a picture of {picture.shape}, not {shape}"
    if not picture.any():
        yield "has an empty picture"
    if flux.shape != (index["grid"]["pixels"],) or flux.dtype != np.float16:
        yield f"has flux of {flux.dtype} {flux.shape}, not float16 ({index['grid']['pixels']},)"
    if drawn != index["render_hash"]:
        yield f"was drawn with other settings ({drawn})"
    if key != (f"{name}-d{draw}" if draw else name):
        yield f"says it is {name}, draw {draw}"
    elif name not in expected:
        yield "is not of the catalogue's rows of this shard"
    else:
        yield from _row_problems(row, expected[name])


def _row_problems(row: dict[str, Any], expected: dict[str, Any]) -> Iterator[str]:
    for column, value in expected.items():
        value = None if pd.isna(value) else value
        found = row.get(column)
        if column == "z" and row["draw"] and found is not None and value is not None:
            if abs(np.log((1 + found) / (1 + value))) > FARTHEST_DRAW:
                yield f"has z = {found}, too far from the catalogue's {value} for a draw"
        elif found != value:
            yield f"has {column} = {found!r}, the catalogue has {value!r}"
