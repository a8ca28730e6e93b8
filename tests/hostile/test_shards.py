"""Damage in what a run has on disk is a sentence to all who read it, and verify finds it."""

from __future__ import annotations

import io
import json
import os
import random
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from damage import Became
from limits import little_memory, no_hang
from mutate import PLAIN

from shard_runs import SHARDS, SPLIT, small_run
from specvit.baselines.rows import read_shard
from specvit.config.data import Grid, Render
from specvit.download.archive import EarlierArchive
from specvit.errors import DataError, SpecvitError
from specvit.paths import RunPaths
from specvit.shards import ShardJob, make_shard, make_shards, write_summary
from specvit.shards.index import KINDS, place_columns, read_index
from specvit.shards.verify import verify_run
from specvit.tar import read_members
from specvit.tasks import TASKS
from specvit.train.loader import evaluation_batches
from specvit.train.samples import read_samples

FILES = 12  # of a round
GRID, RENDER = Grid(pixels=64), Render(size=24, rows=4)
SHARD = SHARDS[0]
PARTS = ("tar", "index", "spectra", "ledger", "stats", "catalog")


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> RunPaths:
    paths = small_run(tmp_path_factory.mktemp("sound") / "run")
    make_shards([ShardJob(paths, shard, RENDER, GRID, SPLIT) for shard in SHARDS])
    write_summary(paths, RENDER, GRID, SPLIT, SHARDS)
    assert read_all(paths) == []
    return paths


def part_of(paths: RunPaths, part: str) -> Path:
    return {
        "tar": paths.shard(RENDER.label, SHARD),
        "index": paths.shard_index(RENDER.label, SHARD),
        "spectra": paths.spectra(SHARD),
        "ledger": paths.ledger(SHARD),
        "stats": paths.shards_summary(RENDER.label),
        "catalog": paths.catalog,
    }[part]


def read_all(paths: RunPaths) -> list[str]:
    """Read a run as every stage does; what verify and the others say of it."""
    said = []
    tar = paths.shard(RENDER.label, SHARD)

    def train() -> None:
        samples = read_samples([tar], list(TASKS.values())[:3])
        for batch in evaluation_batches(samples, RENDER, 4):
            said.extend(str(bad) for bad in batch.bad)

    def earlier() -> None:
        archive = EarlierArchive(paths.spectra(SHARD), paths.ledger(SHARD))
        for entry in archive.entries.values():
            if entry.status == "ok":
                archive.holds(entry)
        archive.close()

    for read in (
        lambda: said.extend(verify_run(paths.root)),
        train,
        lambda: read_shard(tar),
        lambda: list(read_members(paths.spectra(SHARD))),
        earlier,
        lambda: make_shard(ShardJob(paths, SHARD, RENDER, GRID, SPLIT)),
    ):
        with no_hang():
            try:
                read()
            except SpecvitError as error:
                said.append(str(error))
    return said


# --- mutators of whole tars and tables


def _members(data: bytes) -> list[tuple[str, bytes]]:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return [(m.name, tar.extractfile(m).read()) for m in tar]  # type: ignore[union-attr]


def _tar(members: list[tuple[str, bytes]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in members:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def swap_members(rng: random.Random, data: bytes) -> bytes:
    """Two members have each other's content."""
    members = _members(data)
    i, j = rng.sample(range(len(members)), 2)
    (one, first), (other, second) = members[i], members[j]
    members[i], members[j] = (one, second), (other, first)
    return _tar(members)


def order_members(rng: random.Random, data: bytes) -> bytes:
    """Members in another order, some of them twice or not at all."""
    members = _members(data)
    return _tar(rng.choices(members, k=rng.randrange(2 * len(members))))


def set_size(rng: random.Random, data: bytes) -> bytes:
    """A member says that it has another size: 2^40 bytes, or fewer than none."""
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        member = rng.choice(tar.getmembers())
    member.size = rng.choice([2**40, 2**62, -512, -(2**40), -1, 0, 1, len(data), member.size + 512])
    member.type = rng.choice([member.type] * 4 + [b"x", b"g", b"L", b"K", b"S", b"1", b"2", b"5"])
    header = member.tobuf(tarfile.GNU_FORMAT)[-512:]
    return data[: member.offset] + header + data[member.offset + 512 :]


def edit_json(rng: random.Random, data: bytes) -> bytes:
    """A sample's json holds something else."""
    members = _members(data)
    places = [i for i, (name, _) in enumerate(members) if name.endswith(".json")]
    if not places:
        return flip(rng, data)
    i = rng.choice(places)
    row = json.loads(members[i][1])
    row[rng.choice([*row, "z", "z"])] = rng.choice(["0.1", None, [], {}, True, 1e300, "é", -1])
    new = rng.choice([json.dumps(row), "[]", "1", "null", "{", "[" * 9999, '{"z": NaN}', "\udcff"])
    members[i] = members[i][0], new.encode("utf-8", "surrogateescape")
    return _tar(members)


def edit_npy(rng: random.Random, data: bytes) -> bytes:
    """A sample's array or picture is another."""
    members = _members(data)
    i = rng.randrange(len(members))
    arrays = [np.zeros(10**6), np.zeros((8, 8), np.float16), np.array(["a"]), np.zeros(64, ">f2")]
    buffer = io.BytesIO()
    np.save(buffer, rng.choice(arrays))
    huge = members[i][1].replace(b"(64,)", rng.choice([b"(2**9,)", b"(-1,)", b"(1e9,)", b"[[[[["]))
    members[i] = (
        members[i][0],
        rng.choice([buffer.getvalue(), huge, b"PK\x03\x04", b"", b"\x80\x04."]),
    )
    return _tar(members)


def flip(rng: random.Random, data: bytes) -> bytes:
    """One bit."""
    changed = bytearray(data)
    changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


NUMBERS = {
    pa.int64(): [2**40, -1, 0, -(2**62)],
    pa.int32(): [2**31 - 1, -1, 0],
    pa.uint32(): [1, 2**32 - 1],
}


def edit_table(rng: random.Random, data: bytes) -> bytes:
    """A value, a row or a column of a table is another."""
    table = pq.read_table(io.BytesIO(data))
    name = rng.choice(table.column_names)
    rows = table.to_pylist()
    row = rng.randrange(len(rows))
    kind = table.schema.field(name).type
    value = rng.choice(NUMBERS[kind]) if pa.types.is_integer(kind) else None
    if pa.types.is_string(kind):
        value = rng.choice(["", "spec-é", "../../x", None, "a" * 500, "=1+1"])
    rows[row][name] = value
    changed = rng.choice(
        [
            lambda: pa.Table.from_pylist(rows, schema=table.schema),
            lambda: pa.Table.from_pylist(rows, schema=table.schema),
            lambda: pa.concat_tables([table, table.slice(row, 1)]),
            lambda: table.slice(0, rng.randrange(len(rows))),
            lambda: table.drop_columns([name]),
            lambda: table.set_column(0, table.column_names[0], [["x"] * len(table)]),
            lambda: table.replace_schema_metadata({"tar_bytes": "many", "render": "\u00e9"}),
            lambda: table.replace_schema_metadata(None),
        ]
    )()
    buffer = io.BytesIO()
    pq.write_table(changed, buffer)
    return buffer.getvalue()


TAR = [*PLAIN, flip, flip, swap_members, order_members, set_size, set_size, edit_json, edit_npy]
TABLE = [*PLAIN, flip, flip, edit_table, edit_table, edit_table]
MUTATORS = {"tar": TAR, "spectra": TAR, "stats": PLAIN}


@pytest.mark.parametrize("part", PARTS)
def test_damaged_runs(
    part: str, round_: int, sound: RunPaths, tmp_path: Path, became: Became
) -> None:
    whole = part_of(sound, part).read_bytes()
    with little_memory():
        for seed in range(round_ * FILES, (round_ + 1) * FILES):
            rng = random.Random(f"{part} {seed}")
            mutator = rng.choice(MUTATORS.get(part, TABLE))
            root = tmp_path / str(seed)
            shutil.copytree(sound.root, root)
            paths = RunPaths(root)
            try:
                changed = mutator(rng, whole)
                part_of(paths, part).write_bytes(changed)
                said = read_all(paths)
                assert all(5 < len(text) < 2000 for text in said)
                # A hash stands for all bytes of these.
                assert said or changed == whole or part not in ("tar", "index")
                became("found in words" if said else "as sound as before")
            except BaseException as error:
                error.add_note(f"{part}, seed {seed}, {mutator.__name__}")
                raise
            shutil.rmtree(root)


@pytest.mark.parametrize("kind", KINDS)
def test_each_flipped_bit_of_a_member_is_refused(
    kind: str, sound: RunPaths, tmp_path: Path
) -> None:
    root = shutil.copytree(sound.root, tmp_path / "run")
    index = read_index([part_of(RunPaths(root), "tar")], place_columns(kind))
    (tar,) = index.tars
    whole = tar.read_bytes()
    first = index.table[f"{kind}_offset"][0].as_py()
    behind = first + index.table[f"{kind}_size"][0].as_py()
    assert next(index.contents(kind)) == whole[first:behind]
    with tar.open("r+b", buffering=0) as handle:
        for bit in range(8 * first, 8 * behind):
            place = bit // 8
            os.pwrite(handle.fileno(), bytes([whole[place] ^ (1 << bit % 8)]), place)
            with pytest.raises(DataError, match=f"the {kind} at byte {first} has not the checksum"):
                next(index.contents(kind))
            os.pwrite(handle.fileno(), whole[place : place + 1], place)


@pytest.mark.parametrize("byte", [0, 20, 60, -1])
def test_a_flipped_bit_of_a_picture_is_no_sample_to_learn_from(
    byte: int, sound: RunPaths, tmp_path: Path
) -> None:
    root = shutil.copytree(sound.root, tmp_path / "run")
    tar = part_of(RunPaths(root), "tar")
    table = read_index([tar], place_columns("png")).table.slice(1, 1).to_pylist()[0]
    data = bytearray(tar.read_bytes())
    data[table["png_offset"] + byte % table["png_size"]] ^= 1
    tar.write_bytes(data)
    samples = read_samples([tar], [TASKS["class"]])
    bad = [bad for batch in evaluation_batches(samples, RENDER, 4) for bad in batch.bad]
    assert len(bad) == 1
    assert "has not the checksum of its index" in str(bad[0])
