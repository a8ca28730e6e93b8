"""From survey tables to the catalogue: objects across surveys, same bytes, nothing lost."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from specvit.catalog import build, cluster, survey
from specvit.catalog.build import build_catalog
from specvit.catalog.rows import shard_rows
from specvit.catalog.schema import CATALOG_SCHEMA, SURVEY_SCHEMA
from specvit.catalog.select import select
from specvit.catalog.survey import select_survey, write_survey_table
from specvit.config import Config
from specvit.errors import DataError
from specvit.io import read_parquet, write_text
from specvit.surveys.simulated import SimulatedSky

Simulated = Callable[..., Config]


def run(config: Config) -> pd.DataFrame:
    for key in config.surveys.active:
        select_survey(config, key)
    build_catalog(config)
    return read_parquet(config.paths.catalog)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Config, pd.DataFrame]:
    from specvit.config import validate

    folder = tmp_path_factory.mktemp("catalog")
    config = validate(
        {
            "run": "t",
            "results_dir": str(folder / "results"),
            "surveys": {
                "sdss": {"base_url": "simulated:"},
                "lamost": {"base_url": "simulated:", "stellar_parameters": True},
            },
            "simulated": {"sdss_spectra": 600, "lamost_spectra": 400, "repeat_fraction": 0.3},
            "split": {"shards": {"train": 3, "val": 1, "test": 2}},
            "download": {"cache_dir": str(folder / "cache")},
        }
    )
    return config, run(config)


def test_the_catalogue_has_the_contracts_columns(made: tuple[Config, pd.DataFrame]) -> None:
    config, frame = made
    assert pq.read_schema(config.paths.catalog).equals(CATALOG_SCHEMA)
    assert pq.read_schema(config.paths.survey_table("sdss")).equals(SURVEY_SCHEMA)
    assert frame["spectrum_id"].is_unique
    assert frame["simulated"].all()
    assert (frame["source"] == frame["survey"]).all()
    shards = frame["shard"].str.rsplit("-", n=1).str[0]
    assert (shards == frame["split"]).all()
    assert set(frame["shard"]) == set(config.shard_names())


def test_each_shard_is_a_row_group_by_spectrum_id(made: tuple[Config, pd.DataFrame]) -> None:
    config, frame = made
    with pq.ParquetFile(config.paths.catalog) as file:
        names = config.shard_names()
        assert file.num_row_groups == len(names)
        for number, name in enumerate(names):
            group = file.read_row_group(number).to_pandas()
            assert set(group["shard"]) == {name}
            assert group["spectrum_id"].is_monotonic_increasing
    rows = shard_rows(config.paths.catalog, "test-000001", ["spectrum_id", "z"]).to_pandas()
    expected = frame.loc[frame["shard"] == "test-000001", ["spectrum_id", "z"]]
    pd.testing.assert_frame_equal(rows, expected.reset_index(drop=True))


def test_a_coarse_sort_on_disk_gives_the_same_bytes(
    made: tuple[Config, pd.DataFrame], monkeypatch: pytest.MonkeyPatch
) -> None:
    config, _ = made
    before = config.paths.catalog.read_bytes()
    monkeypatch.setattr(cluster, "BUCKET_ROWS", 150)  # several files of a few shards each
    build_catalog(config)
    assert config.paths.catalog.read_bytes() == before
    assert [path.name for path in config.paths.root.glob(".catalog-*")] == []


def test_no_object_sits_on_two_sides(made: tuple[Config, pd.DataFrame]) -> None:
    _, frame = made
    assert (frame.groupby("object_id")["split"].nunique() == 1).all()
    both = frame.groupby("object_id")["survey"].nunique() == 2
    assert both.sum() > 10  # there are objects that both surveys saw


def test_objects_are_those_of_the_simulated_sky(made: tuple[Config, pd.DataFrame]) -> None:
    config, frame = made
    universe = SimulatedSky(config.simulated).universe
    truth = {}
    for row in universe.sdss:
        truth[f"{row['plate']}-{row['mjd']}-{row['fiber']}"] = row["object"]
    for row in universe.lamost:
        truth[str(row["obsid"])] = row["object"]
    frame = frame.assign(truth=[truth[identity] for identity in frame["identity"]])
    # The same partition of rows: each found object is one true object, and the other way round.
    assert (frame.groupby("object_id")["truth"].nunique() == 1).all()
    assert (frame.groupby("truth")["object_id"].nunique() == 1).all()


def test_an_object_is_named_by_its_first_spectrum_sdss_before_lamost(
    made: tuple[Config, pd.DataFrame],
) -> None:
    _, frame = made
    ordered = frame.sort_values(["survey", "spectrum_id"], ascending=[False, True])
    first = ordered.groupby("object_id")["spectrum_id"].first()
    assert (first == first.index).all()


def test_labels_that_are_missing_are_null(made: tuple[Config, pd.DataFrame]) -> None:
    config, _ = made
    table = pq.read_table(config.paths.catalog)
    assert table["teff"].null_count > 0
    assert not np.isnan(table["teff"].drop_null().to_numpy()).any()
    star = np.array(table["class"].to_pylist()) == "STAR"
    typed = np.array([value is not None for value in table["stellar_type"].to_pylist()])
    assert not typed[~star].any()
    assert typed[star].mean() > 0.8


def test_made_twice_the_bytes_are_the_same(
    made: tuple[Config, pd.DataFrame], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, _ = made
    again = config.model_copy(update={"results_dir": str(tmp_path)})
    run(again)
    for name in ("catalog", "catalog_stats"):
        assert getattr(again.paths, name).read_bytes() == getattr(config.paths, name).read_bytes()
    for key in ("sdss", "lamost"):
        for file in ("survey_table", "survey_cuts"):
            one, two = (getattr(c.paths, file)(key).read_bytes() for c in (config, again))
            assert one == two
    # And the same rows, whatever the piece that is held in memory.
    for module in (build, survey):
        monkeypatch.setattr(module, "ROWS_A_PIECE", 37)
    run(again)
    pd.testing.assert_frame_equal(
        read_parquet(again.paths.catalog), read_parquet(config.paths.catalog)
    )


def test_the_statistics_add_up(made: tuple[Config, pd.DataFrame]) -> None:
    config, frame = made
    with config.paths.catalog_stats.open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    table = {(row["survey"], row["row"]): row for row in rows}
    for key in ("sdss", "lamost"):
        part = frame[frame["source"] == key]
        for class_ in ("STAR", "GALAXY", "QSO"):
            for split in ("train", "val", "test"):
                count = ((part["class"] == class_) & (part["split"] == split)).sum()
                assert int(table[key, class_][split]) == count
        assert int(table[key, "spectra"]["total"]) == len(part)
        cuts = [row for row in rows if row["survey"] == key and row["removed"]]
        removed = sum(int(row["removed"]) for row in cuts)
        assert int(cuts[0]["total"]) - removed == int(cuts[-1]["total"]) == len(part)
    assert int(table["all", "spectra"]["total"]) == len(frame)
    assert int(table["all", "objects"]["total"]) == frame["object_id"].nunique()
    sizes = frame.groupby("object_id").agg({"survey": "nunique", "spectrum_id": "size"})
    assert (
        int(table["all", "objects with several spectra"]["total"])
        == (sizes["spectrum_id"] > 1).sum()
    )
    assert int(table["all", "objects in several surveys"]["total"]) == (sizes["survey"] > 1).sum()


def test_a_survey_that_is_added_moves_no_object_of_the_first(
    made: tuple[Config, pd.DataFrame], tmp_path: Path
) -> None:
    config, both = made
    only = config.surveys.model_copy(update={"lamost": None})
    alone = run(config.model_copy(update={"surveys": only, "results_dir": str(tmp_path)}))
    shared = both[both["survey"] == "sdss"].reset_index(drop=True)
    pd.testing.assert_frame_equal(alone, shared)


def test_later_spectra_move_no_object(array_survey: Any, selection: Any, tmp_path: Path) -> None:
    """Rows with later numbers join objects or make new ones; none that was there moves."""
    config = array_config(tmp_path)
    random = np.random.default_rng(5)
    columns = {
        "number": np.arange(900),
        "object": random.integers(1, 500, 900),
        "ra": random.uniform(0, 300, 900),
        "dec": random.uniform(-60, 60, 900),
    }
    frames = []
    for rows in (600, 900):
        part = {name: values[:rows] for name, values in columns.items()}
        write_array_table(config, array_survey(**part), selection)
        build_catalog(config)
        frames.append(read_parquet(config.paths.catalog))
    before, after = frames
    still = after[after["spectrum_id"].isin(before["spectrum_id"])]
    pd.testing.assert_frame_equal(before, still.reset_index(drop=True))


def test_surveys_are_matched_within_the_angle_and_not_beyond(
    array_survey: Any, selection: Any, tmp_path: Path
) -> None:
    config = array_config(tmp_path)
    steps = np.array([0.0, 1.9, 5.0, 7.1]) / 3600
    columns = {"number": np.arange(4), "ra": 50 + steps / np.cos(np.radians(60)), "dec": [60.0] * 4}
    many = {name: np.concatenate([v, v]) for name, v in columns.items()}
    many["number"] = np.arange(8)
    many["dec"] = np.concatenate([[60.0] * 4, [-10.0, -11.0, -12.0, -13.0]])
    write_array_table(config, array_survey(**many), selection)
    first = build.deal_rows(config).first
    assert first.tolist() == [0, 0, 2, 3, 4, 5, 6, 7]


def array_config(folder: Path) -> Config:
    from specvit.config import validate

    return validate(
        {
            "run": "t",
            "results_dir": str(folder),
            "surveys": {"sdss": {}},
            "split": {"shards": {"train": 1, "val": 1, "test": 1}},
            "train": {"workers": 1},
        }
    )


def write_array_table(config: Config, catalogue: Any, selection: Any) -> None:
    result = select(catalogue, selection(), 1, "sdss")
    write_survey_table(config.paths.survey_table("sdss"), catalogue, result, "sdss", False)
    write_text(config.paths.survey_cuts("sdss"), result.ladder.as_csv())


def test_missing_and_broken_tables_are_refused(simulated_config: Simulated) -> None:
    config = simulated_config()
    with pytest.raises(DataError, match="run `specvit survey --survey sdss`"):
        build_catalog(config)
    config.paths.survey_table("sdss").parent.mkdir(parents=True)
    config.paths.survey_table("sdss").write_bytes(b"PAR1 no")
    with pytest.raises(DataError, match="not a readable parquet file"):
        build_catalog(config)


def test_too_few_rows_for_the_shards_are_refused(simulated_config: Simulated) -> None:
    config = simulated_config(split={"shards": {"train": 4, "val": 1, "test": 4000}})
    for key in config.surveys.active:
        select_survey(config, key)
    with pytest.raises(DataError, match=r"would be empty: .* split\.shards\.test to at most"):
        build_catalog(config)
    assert not config.paths.catalog.exists()
