"""A published run says what the run does, to those who read it with lsdb and with datasets."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
import yaml
from made_run import MadeRun

from specvit.cli import main
from specvit.config import Config
from specvit.io import read_json, read_parquet, write_json
from specvit.predict.calibrated import Calibration
from specvit.shards.index import place_columns, read_index
from specvit.shards.npy import parse_npy
from specvit.share import hats_folder, published_rows
from specvit.share.dataset_card import MEANINGS
from specvit.share.published_rows import CATALOGUE

# lsdb and datasets are imported in the tests that need them: it takes seconds, in every process.
if TYPE_CHECKING:
    import datasets


class Unplaced(MadeRun):
    """A run in which every eighth spectrum has no position."""

    def _catalog(self, config: Config, generator: np.random.Generator) -> pd.DataFrame:
        frame = super()._catalog(config, generator)
        frame.loc[::8, ["ra", "dec"]] = np.nan
        return frame


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """A run that was evaluated."""
    root = tmp_path_factory.mktemp("published")
    settings = {"evaluate": {"bootstrap": 10}, "baselines": {"models": ["svm"]}}
    counts = {"train": 90, "val": 160, "test": 110}
    made = Unplaced(str(root), spectra=counts, settings=settings)
    config = made.write()
    made.call("evaluate")
    write_json(config.paths.root / "config.json", config.model_dump(mode="json"))
    return config


@pytest.fixture(scope="module")
def folder(config: Config) -> Path:
    """The run, published in small steps: many row groups and pixels."""
    folder = config.paths.root.parent / "shared"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(published_rows, "ROWS", 20)
        patch.setattr(hats_folder, "MOST_ROWS", 40)
        main(["publish", str(config.paths.root), str(folder)])
    return folder


@pytest.fixture(scope="module")
def kept(config: Config) -> pd.DataFrame:
    """The index of all shards: every spectrum that has flux."""
    label = config.render[0].label
    tars = [config.paths.shard(label, shard) for shard in config.shard_names()]
    columns = [*CATALOGUE.names, "shard", "flux_scale"]
    return read_index(tars, columns).table.to_pandas().set_index("spectrum_id")


@pytest.fixture(scope="module")
def loaded(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> datasets.DatasetDict:
    import datasets

    return datasets.load_dataset(str(folder), cache_dir=str(tmp_path_factory.mktemp("cache")))


def shard_flux(config: Config, shard: str, spectrum_id: str) -> np.ndarray:
    tar = config.paths.shard(config.render[0].label, shard)
    index = read_index([tar], ["spectrum_id", *place_columns("npy")])
    row = index.table["spectrum_id"].to_pylist().index(spectrum_id)
    return parse_npy(next(index.contents("npy", [row])), tar).astype(np.float32)


def test_datasets_reads_every_spectrum_of_each_split(
    loaded: datasets.DatasetDict, kept: pd.DataFrame
) -> None:
    names = {"train": "train", "validation": "val", "test": "test"}
    assert list(loaded) == list(names)
    for name, split in names.items():
        found = loaded[name].select_columns([*CATALOGUE.names, "flux_scale"]).to_pandas()
        wanted = kept[kept["split"] == split].drop(columns="shard")
        found = found.set_index("spectrum_id").loc[wanted.index]
        pd.testing.assert_frame_equal(found, wanted, check_dtype=False)


def test_flux_is_the_shards_own(
    config: Config, loaded: datasets.DatasetDict, kept: pd.DataFrame
) -> None:
    row = loaded["test"][17]
    wanted = shard_flux(config, kept["shard"][row["spectrum_id"]], row["spectrum_id"])
    np.testing.assert_array_equal(np.array(row["flux"], np.float32), wanted)
    assert np.isnan(wanted).any()


def test_predictions_are_calibrated_and_of_val_and_test_alone(
    config: Config, loaded: datasets.DatasetDict
) -> None:
    for name, split in (("validation", "val"), ("test", "test")):
        found = loaded[name].remove_columns("flux").to_pandas().set_index("spectrum_id")
        for model in ("vit", "svm"):
            given = read_parquet(config.paths.predictions(model, split)).set_index("spectrum_id")
            weights = read_json(config.paths.calibration(model))["weights_sha256"]
            calibration = Calibration.read(config.paths.model_dir(model), weights)
            wanted = calibration.applied(given, config.asked).loc[found.index]
            assert (found[f"{model}_class_pred"] == wanted["class_pred"]).all()
            for column in ("class_prob_QSO", "redshift_pred", "redshift_lo", "redshift_hi"):
                np.testing.assert_allclose(found[f"{model}_{column}"], wanted[column], rtol=1e-6)
            for column in ("class_prob_QSO", "redshift_lo"):  # and that did something
                assert not np.allclose(found[f"{model}_{column}"], given.loc[found.index, column])
    train = loaded["train"].remove_columns("flux").to_pandas()
    assert train[["vit_class_pred", "svm_redshift_lo"]].isna().all(axis=None)
    assert not [name for name in train if name.endswith(("_true", "_pit"))]


def test_lsdb_reads_what_has_a_position(folder: Path, kept: pd.DataFrame) -> None:
    import lsdb

    columns = ["spectrum_id", "ra", "dec", "vit_class_pred"]
    sky = lsdb.open_catalog(folder / "hats", columns=columns)
    placed = kept[kept["ra"].notna()]
    assert 0 < len(placed) < len(kept)
    assert len(sky) == sky.hc_structure.catalog_info.total_rows == len(placed)
    pixels = sky.get_healpix_pixels()
    assert len(pixels) > 12  # more than the sky has at order 0
    found = pd.concat([sky.get_partition(p.order, p.pixel).compute() for p in pixels[:3]])
    assert set(found["spectrum_id"]) <= set(placed.index)
    assert found.index.is_monotonic_increasing


def test_a_cone_holds_its_spectra_with_their_flux(
    config: Config, folder: Path, kept: pd.DataFrame
) -> None:
    import lsdb

    centre = kept[kept["ra"].notna()].iloc[5]
    sky = lsdb.open_catalog(folder / "hats", columns=["spectrum_id", "flux", "vit_redshift_pred"])
    found = sky.cone_search(centre["ra"], centre["dec"], radius_arcsec=36_000).compute()
    assert set(found["spectrum_id"]) == set(within(kept, centre, np.deg2rad(10)))
    row = found[found["spectrum_id"] == centre.name].iloc[0]
    wanted = shard_flux(config, centre["shard"], centre.name)
    np.testing.assert_array_equal(np.asarray(row["flux"], np.float32), wanted)


def within(rows: pd.DataFrame, centre: Any, radius: float) -> pd.Index:
    """Rows within an angle of another, radians."""
    ra, dec = np.deg2rad(rows["ra"]), np.deg2rad(rows["dec"])
    ra0, dec0 = np.deg2rad(centre["ra"]), np.deg2rad(centre["dec"])
    cosine = np.sin(dec) * np.sin(dec0) + np.cos(dec) * np.cos(dec0) * np.cos(ra - ra0)
    return rows.index[cosine >= np.cos(radius)]


def test_the_card_says_simulated_and_what_became_of_every_row(
    config: Config, folder: Path, kept: pd.DataFrame
) -> None:
    header, text = (folder / "README.md").read_text().removeprefix("---\n").split("---\n", 1)
    told = yaml.safe_load(header)
    assert "simulated-data" in told["tags"]
    assert "**Every spectrum here is simulated**" in text
    assert "Simulated" in (folder / "hats" / "hats.properties").read_text()
    nowhere = int(kept["ra"].isna().sum())
    assert f"{nowhere} have no right ascension" in text
    lost = 360 - len(kept)
    assert f"Rows of the catalogue without a spectrum: {lost} (" in text
    assert "no good pixel on the grid" in text
    for words in (
        "`vit`: ",
        "| SDSS (simulated) | dr17 | none | MIT |",
        "seed 1 decides",
        "2 arcsec",
    ):
        assert words in text, words
    assert str(config.paths.root) not in text


def test_every_column_is_explained() -> None:
    assert list(MEANINGS) == CATALOGUE.names


def refused(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    with pytest.raises(SystemExit):
        main(["publish", *map(str, arguments)])
    return capsys.readouterr().err


def test_what_cannot_be_published_is_a_sentence(
    config: Config, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "name a new folder" in refused(capsys, config.paths.root, folder)
    assert "has no config.json" in refused(capsys, tmp_path, tmp_path / "out")
    tar = config.paths.shard(config.render[0].label, "test-000001")
    whole = tar.read_bytes()
    tar.write_bytes(whole[:-512])
    try:
        assert "cut off" in refused(capsys, config.paths.root, tmp_path / "out")
    finally:
        tar.write_bytes(whole)
    assert list(tmp_path.iterdir()) == []


def test_without_the_extra_it_says_how_to_get_it(
    config: Config,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "hats", None)
    told = refused(capsys, config.paths.root, tmp_path / "out")
    assert "pip install 'specvit[publish]'" in told
