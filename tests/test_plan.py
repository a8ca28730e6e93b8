"""The plan that a run's files share: what differs is named, and nothing is read under another."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shard_runs import PLAN, SPLIT, row, small_run, write_inputs
from spectrum_files import galaxy_flux, sdss_file
from specvit.config.data import Grid, Render, ShardCounts, Split
from specvit.errors import DataError
from specvit.io import write_parquet
from specvit.plan import Plan, one_plan
from specvit.shards import ShardJob, make_shard, write_summary

GRID, RENDER = Grid(pixels=256), Render(size=32, rows=4)
MORE = Split(shards=ShardCounts(train=8, val=1, test=1), seed=2)


def test_a_file_keeps_its_plan_and_another_file_s_is_told_apart(tmp_path) -> None:
    tables = [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    for number, path in enumerate(tables):
        write_parquet(path, pa.table({"x": [number]}), PLAN.metadata)
        assert Plan.of_parquet(path) == PLAN
    one, other = (Plan.dealt(SPLIT, [path]) for path in tables)
    assert one == Plan.dealt(SPLIT, tables[:1]) != other
    write_parquet(tables[1], pa.table({"x": [1]}), other.metadata)
    with pytest.raises(
        DataError, match=r"b\.parquet and .*a\.parquet are of different plans: selec"
    ):
        one_plan((path, Plan.of_parquet(path)) for path in tables)


def test_settings_that_differ_are_named_with_both_values(tmp_path) -> None:
    PLAN.check_settings(SPLIT, tmp_path)
    with pytest.raises(
        DataError, match=r"split\.seed = 1, not 2, split\.shards\.train = 1, not 8;"
    ):
        PLAN.check_settings(MORE, tmp_path)


def test_a_file_without_a_plan_is_refused(tmp_path) -> None:
    path = tmp_path / "catalog.parquet"
    write_parquet(path, pa.table({"x": [1]}))
    with pytest.raises(DataError, match=r"catalog\.parquet names no plan"):
        Plan.of_parquet(path)
    with pytest.raises(DataError, match=r"none\.parquet does not exist"):
        Plan.of_parquet(tmp_path / "none.parquet")


def test_shards_are_made_of_one_plan_and_of_these_settings(tmp_path) -> None:
    paths = small_run(tmp_path / "run")
    with pytest.raises(DataError, match=r"catalog\.parquet is of another plan .*train = 1, not 8"):
        make_shard(ShardJob(paths, "train-000000", RENDER, GRID, MORE))
    make_shard(ShardJob(paths, "train-000000", RENDER, GRID, SPLIT))
    with pytest.raises(DataError, match=r"stats\.json is of another plan .*train = 1, not 8"):
        write_summary(paths, RENDER, GRID, MORE, ["train-000000"])
    # The same spectrum of another selection: its ledger is not this catalogue's.
    other = write_inputs(tmp_path / "other", [(row("a"), sdss_file(galaxy_flux()))])
    ledger = pq.read_table(other.ledger("train-000000"))
    metadata = Plan({**PLAN.values, "selection": "0123456789ab"}).metadata
    write_parquet(other.ledger("train-000000"), ledger, metadata)
    with pytest.raises(DataError, match=r"ledger\.parquet and .*catalog\.parquet are of different"):
        make_shard(ShardJob(other, "train-000000", RENDER, GRID, SPLIT))
