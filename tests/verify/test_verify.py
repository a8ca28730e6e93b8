"""`specvit verify` finds each kind of damage, and nothing in a sound run."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shard_runs import PLAN, SHARDS, SPLIT, small_run, write_shard
from specvit.cli import main
from specvit.config.data import Grid, Render
from specvit.errors import DataError
from specvit.io import read_json, sha256_file, write_json, write_parquet
from specvit.paths import RunPaths
from specvit.plan import KEY
from specvit.predictions import WEIGHTS_HASH
from specvit.shards import ShardJob, make_shards, write_summary
from specvit.shards.index import INDEX_SCHEMA, KINDS, read_index
from specvit.shards.sample import Sample, png_bytes
from specvit.shards.verify import verify_run

GRID = Grid(pixels=256)
RENDERS = (Render(size=32, rows=4), Render(mode="overlap", size=24))
TRAIN = SHARDS[0]


@pytest.fixture
def run(tmp_path: Path) -> RunPaths:
    paths = small_run(tmp_path / "run")
    for render in RENDERS:
        make_shards([ShardJob(paths, shard, render, GRID, SPLIT) for shard in SHARDS])
        write_summary(paths, render, GRID, SPLIT, SHARDS)
    return paths


def change_samples(
    run: RunPaths, change: Callable[[Sample], Sample | None], fix_hashes: bool = True
) -> None:
    """Write the train shard again, without the samples for which `change` gives None."""
    path = run.shard("stacked-32", TRAIN)
    index = read_index([path], INDEX_SCHEMA.names)
    members = [index.contents(kind) for kind in KINDS]
    old = [Sample(json.loads(row), png, npy) for png, npy, row in zip(*members, strict=True)]
    new = [sample for sample in map(change, old) if sample is not None]
    write_shard(path, new, index.renders[0], listed=False)
    if fix_hashes:
        fix_hashes_of(run)


def fix_hashes_of(run: RunPaths) -> None:
    """List the train shard as someone would who makes it by other means."""
    summary = read_json(run.shards_summary("stacked-32"))
    listed = summary["shards"][0]
    listed["sha256"] = sha256_file(run.shard("stacked-32", TRAIN))
    listed["index_sha256"] = sha256_file(run.shard_index("stacked-32", TRAIN))
    write_json(run.shards_summary("stacked-32"), summary)


def change_entry(run: RunPaths, number: int, **values: object) -> None:
    """Change a row of the train shard's index."""
    path = run.shard_index("stacked-32", TRAIN)
    table = pq.read_table(path)
    rows = table.to_pylist()
    rows[number] |= values
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), path)
    fix_hashes_of(run)


def change_row(key: str, **values: object) -> Callable[[Sample], Sample]:
    return lambda sample: replace(sample, row=sample.row | values) if sample.key == key else sample


def only_problem(run: RunPaths) -> str:
    problems = verify_run(run.root)
    assert len(problems) == 1, problems
    return problems[0]


def test_a_sound_run_has_no_problems(run: RunPaths, capsys: pytest.CaptureFixture[str]) -> None:
    assert verify_run(run.root) == []
    main(["verify", str(run.root)])
    assert "every hash, count, key, picture and row" in capsys.readouterr().out


@pytest.mark.parametrize("at", [700, 3000, 20_000])
def test_a_flipped_byte_is_found(
    run: RunPaths, at: int, capsys: pytest.CaptureFixture[str]
) -> None:
    path = run.shard("stacked-32", TRAIN)
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)
    assert any("has not the hash" in problem for problem in verify_run(run.root))
    with pytest.raises(SystemExit) as stop:
        main(["verify", str(run.root)])
    assert stop.value.code == DataError.exit_code
    assert f"{path} has not the hash" in capsys.readouterr().err


@pytest.mark.parametrize("where", ["spectra", "shards"])
@pytest.mark.parametrize("length", [10_000, -1024])
def test_a_truncated_tar_is_found(run: RunPaths, where: str, length: int) -> None:
    path = run.spectra(TRAIN) if where == "spectra" else run.shard("stacked-32", TRAIN)
    end = path.read_bytes().rstrip(b"\0") if length < 0 else path.read_bytes()[:length]
    path.write_bytes(end)
    problems = verify_run(run.root)
    found = "cut off" if where == "spectra" else "has not the hash"
    assert any(str(path) in p and found in p for p in problems), problems


def test_a_flipped_byte_of_a_download_is_found(run: RunPaths) -> None:
    path = run.spectra(TRAIN)
    data = bytearray(path.read_bytes())
    data[30_000] ^= 1
    path.write_bytes(data)
    assert "has not the bytes that its ledger says" in only_problem(run)


def test_a_swapped_label_is_found(run: RunPaths) -> None:
    change_samples(run, change_row("galaxy-2", **{"class": "QSO"}))
    problem = only_problem(run)
    assert "sample galaxy-2 has class = 'QSO', the catalogue has 'GALAXY'" in problem


@pytest.mark.parametrize(("key", "z"), [("galaxy-2", 0.0701), ("star-1", None)])
def test_a_changed_redshift_is_found(run: RunPaths, key: str, z: float | None) -> None:
    change_samples(run, change_row(key, z=z))
    assert f"sample {key} has z = {z}" in only_problem(run)


def test_a_sample_under_another_name_is_found(run: RunPaths) -> None:
    change_samples(run, change_row("galaxy-2", spectrum_id="galaxy-9"))
    problems = "\n".join(verify_run(run.root))
    assert "sample galaxy-9 is not of the catalogue's rows of this shard" in problems
    assert "galaxy-2 of the catalogue is neither in it nor dropped" in problems


def test_a_missing_sample_is_found(run: RunPaths) -> None:
    change_samples(run, lambda sample: None if sample.key == "star-3" else sample)
    problems = "\n".join(verify_run(run.root))
    assert "has 4 samples, shards.json says 5" in problems
    assert "star-3 of the catalogue is neither in it nor dropped" in problems


def test_a_missing_member_and_an_exchanged_row_are_found(run: RunPaths) -> None:
    path = run.shard("stacked-32", TRAIN)
    data = path.read_bytes()
    # The names alone, so that all else stays where the index says.
    path.write_bytes(renamed(data, "star-3.npy", "star-3.abc"))
    fix_hashes_of(run)
    assert "sample star-3 has png, abc, json, not png, npy, json" in "".join(verify_run(run.root))
    row = b'"spectrum_id":"galaxy-2"'
    path.write_bytes(data.replace(row, row.replace(b"2", b"4")))
    fix_hashes_of(run)
    assert "sample galaxy-2 says it is galaxy-4" in "".join(verify_run(run.root))


def renamed(data: bytes, name: str, other: str) -> bytes:
    """A tar in which a member has another name of the same length."""
    at = data.index(name.encode())
    header = tarfile.TarInfo.frombuf(data[at : at + 512], "utf-8", "strict")
    header.name = other
    return data[:at] + header.tobuf(tarfile.USTAR_FORMAT) + data[at + 512 :]


@pytest.mark.parametrize(
    ("picture", "sentence"),
    [
        (np.full((32, 31), 9), "has a picture of (32, 31), not (32, 32)"),
        (np.full((32, 32, 3), 9), "has a picture of (32, 32, 3), not (32, 32)"),
        (np.zeros((32, 32)), "has an empty picture"),
        (None, "cannot be read: not a readable PNG"),
    ],
)
def test_a_wrong_picture_is_found(run: RunPaths, picture: np.ndarray | None, sentence: str) -> None:
    png = b"<html>" if picture is None else png_bytes(picture.astype(np.uint8))
    change_samples(run, lambda s: replace(s, png=png) if s.key == "star-3" else s)
    assert f"sample star-3 {sentence}" in only_problem(run)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"npy_offset": 512}, "sample star-1 has its npy elsewhere than its index says"),
        ({"json_size": 9}, "sample star-1 has its json elsewhere than its index says"),
        ({"png_crc32": 9}, "sample star-1 has a png of another checksum than its index says"),
        ({"class": "QSO"}, "sample star-1 has class = 'STAR', its index has 'QSO'"),
        ({"flux_scale": 9.0}, "its index has 9.0"),
        ({"spectrum_id": "star-9"}, "sample star-9 of its index is not in it"),
    ],
)
def test_an_index_that_does_not_agree_with_its_tar_is_found(
    run: RunPaths, change: dict[str, object], sentence: str
) -> None:
    change_entry(run, 3, **change)
    assert any(sentence in problem for problem in verify_run(run.root))


def test_a_missing_or_changed_index_is_found(run: RunPaths) -> None:
    path = run.shard_index("stacked-32", TRAIN)
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.write_bytes(data)
    assert any(f"{path} has not the hash" in problem for problem in verify_run(run.root))
    path.unlink()
    assert f"{path} does not exist" in verify_run(run.root)


def test_an_object_in_two_splits_is_found(run: RunPaths) -> None:
    catalog = pd.read_parquet(run.catalog)
    catalog.loc[catalog["spectrum_id"].isin(["galaxy-0", "galaxy-6"]), "object_id"] = "both"
    write_parquet(run.catalog, catalog, PLAN.metadata)
    problem = verify_run(run.root)[0]
    assert problem == ("object both is in more than one split: galaxy-0 in train, galaxy-6 in val")


def test_a_file_of_another_plan_is_found(run: RunPaths) -> None:
    ledger = run.ledger(TRAIN)
    other = {"plan": json.dumps({**PLAN.values, "split.seed": 5})}
    pq.write_table(pq.read_table(ledger).replace_schema_metadata(other), ledger)
    assert (
        f"{ledger} and {run.catalog} are of different plans: split.seed = 5 and 1"
        in only_problem(run)
    )


def test_missing_and_unknown_shards_are_found(run: RunPaths) -> None:
    path = run.shard("overlap-24", TRAIN)
    path.rename(path.with_name("extra-000000.tar"))
    problems = verify_run(run.root)
    assert [p.split(".tar ")[1] for p in problems] == ["is not in shards.json", "is missing"]


def test_counts_that_do_not_add_up_are_found(run: RunPaths) -> None:
    index = read_json(run.shards_summary("overlap-24"))
    index["counts"]["spectra"] += 1
    index["dropped"].pop()
    write_json(run.shards_summary("overlap-24"), index)
    problems = "\n".join(verify_run(run.root))
    assert "its count of spectra is not the sum of its shards" in problems
    assert "page-0 of the catalogue is neither in it nor dropped" in problems


def test_an_unfinished_run_is_refused(tmp_path: Path, run: RunPaths) -> None:
    with pytest.raises(DataError, match=r"catalog\.parquet does not exist"):
        verify_run(tmp_path / "none")
    for index in run.root.glob("shards/*/shards.json"):
        index.unlink()
    with pytest.raises(DataError, match="nothing is finished yet"):
        verify_run(run.root)


def test_what_killed_writers_left_is_listed(
    run: RunPaths, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in (".x.csv.part", "spectra/.train-000000.parts", "models/vit/.last.pt.host-7.tmp"):
        path = run.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    main(["verify", str(run.root)])
    listed = ".x.csv.part, models/vit/.last.pt.host-7.tmp, spectra/.train-000000.parts"
    assert f"left when it was killed: 3 ({listed})\n" in capsys.readouterr().out


def test_predictions_of_other_weights_are_found(run: RunPaths) -> None:
    table = pa.table({"spectrum_id": ["star-3"]})
    write_parquet(run.predictions("vit"), table, {**PLAN.metadata, WEIGHTS_HASH: "ab" * 32})
    told = {KEY: dict(PLAN.values), WEIGHTS_HASH: "ab" * 32}
    write_json(run.model_dir("vit") / "training.json", told)
    assert verify_run(run.root) == []
    write_json(run.model_dir("vit") / "training.json", told | {WEIGHTS_HASH: "cd" * 32})
    assert "was predicted by other weights (abababababab) than" in only_problem(run)
