"""`specvit verify` finds each kind of damage, and nothing in a sound run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from shard_runs import SHARDS, small_run
from specvit.cli import main
from specvit.config.data import Grid, Render
from specvit.errors import DataError
from specvit.io import read_json, sha256_file, write_json
from specvit.paths import RunPaths
from specvit.shards import ShardJob, make_shards, write_index
from specvit.shards.sample import png_bytes
from specvit.shards.tar import TarWriter, read_members
from specvit.shards.verify import verify_run

GRID = Grid(pixels=256)
RENDERS = (Render(size=32, rows=4, draws=1), Render(mode="overlap", size=24))
TRAIN = SHARDS[0]


@pytest.fixture
def run(tmp_path: Path) -> RunPaths:
    paths = small_run(tmp_path / "run")
    for render in RENDERS:
        make_shards([ShardJob(paths, shard, render, GRID, 1) for shard in SHARDS])
        write_index(paths, render, GRID, SHARDS)
    return paths


def change_members(
    run: RunPaths, change: Callable[[str, bytes], bytes | None], fix_hash: bool = True
) -> None:
    """Rewrite the train shard, dropping members for which `change` gives None."""
    path = run.shard("stacked-32", TRAIN)
    members = [(name, change(name, data)) for name, data in read_members(path)]
    with path.open("wb") as handle:
        writer = TarWriter(handle)
        for name, data in members:
            if data is not None:
                writer.add(name, data)
        writer.close()
    if fix_hash:  # as someone would who makes a shard by other means
        index = read_json(run.shards_index("stacked-32"))
        index["shards"][0]["sha256"] = sha256_file(path)
        write_json(run.shards_index("stacked-32"), index)


def change_row(key: str, **values: object) -> Callable[[str, bytes], bytes]:
    def change(name: str, data: bytes) -> bytes:
        return json.dumps(json.loads(data) | values).encode() if name == f"{key}.json" else data

    return change


def only_problem(run: RunPaths) -> str:
    problems = verify_run(run.root)
    assert len(problems) == 1, problems
    return problems[0]


def test_a_sound_run_has_no_problems(run: RunPaths, capsys: pytest.CaptureFixture[str]) -> None:
    assert verify_run(run.root) == []
    main(["verify", str(run.root)])
    assert "every hash, count, key, picture and row" in capsys.readouterr().out


@pytest.mark.parametrize("at", [700, 3000, 30_000])
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
@pytest.mark.parametrize("length", [20_000, -1024])
def test_a_truncated_tar_is_found(run: RunPaths, where: str, length: int) -> None:
    path = run.spectra(TRAIN) if where == "spectra" else run.shard("stacked-32", TRAIN)
    end = path.read_bytes().rstrip(b"\0") if length < 0 else path.read_bytes()[:length]
    path.write_bytes(end)
    problems = verify_run(run.root)
    assert any(str(path) in p and "cut off" in p for p in problems), problems


def test_a_flipped_byte_of_a_download_is_found(run: RunPaths) -> None:
    path = run.spectra(TRAIN)
    data = bytearray(path.read_bytes())
    data[30_000] ^= 1
    path.write_bytes(data)
    assert "has not the bytes that its ledger says" in only_problem(run)


def test_a_swapped_label_is_found(run: RunPaths) -> None:
    change_members(run, change_row("galaxy-2", **{"class": "QSO"}))
    problem = only_problem(run)
    assert "sample galaxy-2 has class = 'QSO', the catalogue has 'GALAXY'" in problem


@pytest.mark.parametrize(
    ("key", "z"), [("galaxy-2", 0.0701), ("galaxy-2-d1", 0.2), ("star-1", None)]
)
def test_a_changed_redshift_is_found(run: RunPaths, key: str, z: float | None) -> None:
    change_members(run, change_row(key, z=z))
    assert f"sample {key} has z = {z}" in only_problem(run)


def test_an_exchanged_row_is_found(run: RunPaths) -> None:
    change_members(run, change_row("galaxy-2", spectrum_id="galaxy-0"))
    assert "sample galaxy-2 says it is galaxy-0" in only_problem(run)


def test_a_missing_sample_is_found(run: RunPaths) -> None:
    change_members(run, lambda name, data: None if name.startswith("star-3.") else data)
    problems = "\n".join(verify_run(run.root))
    assert "has 9 samples, shards.json says 10" in problems
    assert "star-3 of the catalogue is neither in it nor dropped" in problems


def test_a_missing_member_is_found(run: RunPaths) -> None:
    change_members(run, lambda name, data: None if name == "star-3.npy" else data)
    assert "sample star-3 has png, json, not png, npy, json" in only_problem(run)


@pytest.mark.parametrize(
    ("picture", "sentence"),
    [
        (np.full((32, 31), 9), "has a picture of (32, 31), not (32, 32)"),
        (np.full((32, 32, 3), 9), "has a picture of (32, 32, 3), not (32, 32)"),
        (np.zeros((32, 32)), "has an empty picture"),
    ],
)
def test_a_wrong_picture_is_found(run: RunPaths, picture: np.ndarray, sentence: str) -> None:
    png = png_bytes(picture.astype(np.uint8))
    change_members(run, lambda name, data: png if name == "star-3.png" else data)
    assert f"sample star-3 {sentence}" in only_problem(run)


def test_an_unreadable_picture_is_found(run: RunPaths) -> None:
    change_members(run, lambda name, data: data[:50] if name == "star-3.png" else data)
    assert "sample star-3 cannot be read: not a readable PNG" in only_problem(run)


def test_an_object_in_two_splits_is_found(run: RunPaths) -> None:
    catalog = pd.read_parquet(run.catalog)
    catalog.loc[catalog["spectrum_id"].isin(["galaxy-0", "galaxy-6"]), "object_id"] = "both"
    catalog.to_parquet(run.catalog)
    problem = verify_run(run.root)[0]
    assert problem == ("object both is in more than one split: galaxy-0 in train, galaxy-6 in val")


def test_missing_and_unknown_shards_are_found(run: RunPaths) -> None:
    path = run.shard("overlap-24", TRAIN)
    path.rename(path.with_name("extra-000000.tar"))
    problems = verify_run(run.root)
    assert [p.split(".tar ")[1] for p in problems] == ["is not in shards.json", "is missing"]


def test_counts_that_do_not_add_up_are_found(run: RunPaths) -> None:
    index = read_json(run.shards_index("overlap-24"))
    index["counts"]["spectra"] += 1
    index["dropped"].pop()
    write_json(run.shards_index("overlap-24"), index)
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
