"""DESI's catalogue zall-pix: pieces, exact targets, cuts, names; and a run on the simulated sky."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from astropy.io import fits
from astropy.table import Table

from specvit.catalog.build import build_catalog
from specvit.catalog.select import Selection, select
from specvit.catalog.survey import select_survey
from specvit.config import Config, validate
from specvit.download import download_shards
from specvit.errors import ConfigError, DataError
from specvit.registry import survey_named
from specvit.shards import ShardJob, make_shard
from specvit.spectrum import fits_table
from specvit.surveys.catalogue import finished
from specvit.surveys.desi.catalogue import DesiCatalogue, expected_snr
from specvit.tar import read_members

TARGETS = [39627640566453451, 39627640566453452, 39627640566453452, -7, 39627640566453453]


def zall(folder: Path, **columns: Any) -> Path:
    """Five rows: two programmes of one target, a broken positioner, sky."""
    rows = {
        "TARGETID": np.array(TARGETS),
        "SURVEY": ["main", "sv3", "main", "main", "main"],
        "PROGRAM": ["dark", "bright", "dark", "dark", "bright"],
        "HEALPIX": np.array([27247, 9, 9, 9, 9], np.int32),
        "Z": [0.5, 1e-4, 2e-4, 0.1, 2.0],
        "ZERR": [1e-5] * 5,
        "ZWARN": [0, 0, 0, 0, 4],
        "SPECTYPE": ["GALAXY", "STAR", "STAR", "GALAXY", "QSO"],
        "SUBTYPE": ["", "WD", "M", "", ""],
        "TARGET_RA": [150.0, 151, 151, 152, 153],
        "TARGET_DEC": [2.0] * 5,
        "OBJTYPE": ["TGT", "TGT", "TGT", "BAD", "SKY"],
        "FIBERFLUX_R": np.array([3.5, 100, 100, 0, 0], np.float32),
        "TSNR2_LRG_R": np.array([100, 35, 6, 6, 6], np.float32),
        "ZCAT_PRIMARY": np.array([True, False, True, True, True]),
        "COEFF": np.ones((5, 10)),
    }
    path = folder / "zall-pix-iron.fits"
    table = Table({name: columns.get(name, value) for name, value in rows.items()})
    fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU(table, name="ZCATALOG")]).writeto(path)
    return path


def selected(path: Path, **over: Any) -> tuple[DesiCatalogue, Selection]:
    keep_all = {"zwarning_zero": False, "science_only": False, "z_range": None, **over}
    settings = validate({"surveys": {"desi": {"select": keep_all}}}).surveys.desi
    catalogue = DesiCatalogue(path, settings)
    return catalogue, select(catalogue, settings.select, 1, "desi")


def names(path: Path, **over: Any) -> list[str]:
    catalogue, selection = selected(path, **over)
    return finished(catalogue, selection.columns)["spectrum_id"].tolist()


def test_rows_say_file_and_target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = zall(tmp_path)
    catalogue, selection = selected(path)
    frame = finished(catalogue, selection.columns).set_index("spectrum_id")
    assert list(frame.index) == [
        "desi-main-bright-00009-0039627640566453453",
        "desi-main-dark-00009-0039627640566453452",
        "desi-main-dark-27247-0039627640566453451",
        "desi-sv3-bright-00009-0039627640566453452",
    ]
    assert list(frame.index) == sorted(frame.index)
    row = frame.loc["desi-main-dark-27247-0039627640566453451"]
    assert row["path"] == (
        "public/dr1/spectro/redux/iron/healpix/main/dark/272/27247/coadd-main-dark-27247.fits"
    )
    assert (row["survey"], row["release"], row["identity"]) == ("desi", "dr1", str(TARGETS[0]))
    assert frame["path"].iloc[0].endswith("/main/bright/0/9/coadd-main-bright-9.fits")
    assert frame["class"].tolist() == ["QSO", "STAR", "GALAXY", "STAR"]
    assert frame["stellar_type"].fillna("").tolist() == ["", "M", "", ""]  # WD is none of the list
    # Both programmes' spectra of a target are of one object.
    assert len(np.unique(selection.first)) == 3
    page = survey_named("desi").page("dr1", str(TARGETS[0]))
    assert page == f"https://www.legacysurvey.org/viewer/desi-spectrum/dr1/targetid{TARGETS[0]}"
    # In pieces of two rows it is the same.
    monkeypatch.setattr(fits_table, "MOST_PIECE", 2 * catalogue.table.layout.row_bytes)
    catalogue, selection = selected(path)
    assert [len(piece["z"]) for piece in catalogue.pieces()] == [2, 2, 1]
    pd.testing.assert_frame_equal(
        finished(catalogue, selection.columns).set_index("spectrum_id"), frame
    )


def test_cuts(tmp_path: Path) -> None:
    path = zall(tmp_path)
    first, second, third, fourth = names(path)
    assert names(path, zwarning_zero=True) == [second, third, fourth]
    assert names(path, science_only=True) == [second, third, fourth]
    assert names(path, primary_only=True) == [first, second, third]
    assert names(path, surveys=["sv3"]) == [fourth]
    assert names(path, programs=["dark"]) == [second, third]
    assert names(path, min_snr=0.0) == [second, third, fourth]  # of sky there is no estimate
    # Sky is the class of nothing, where it is asked for, whatever redrock made of it.
    over = {"classes": ["GALAXY", "NONE"], "zwarning_zero": True, "science_only": True}
    catalogue, selection = selected(path, **over)
    frame = finished(catalogue, selection.columns)
    assert frame["class"].tolist() == ["NONE", "GALAXY"]
    assert frame["z"].isna().tolist() == [True, False]
    listed = tmp_path / "ids"
    listed.write_text(f"{TARGETS[1]}\n{third}\n")
    assert names(path, ids=str(listed)) == [second, third, fourth]
    with pytest.raises(ConfigError, match="no Teff"):
        selected(path, require=["teff"])
    with pytest.raises(ConfigError, match="sv9"):
        selected(path, surveys=["sv9"])


def test_another_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="column HEALPIX has TFORM 1D"):
        selected(zall(tmp_path, HEALPIX=np.ones(5)))


def test_the_estimate_of_snr_is_about_that_of_real_spectra(real_desi: Path) -> None:
    with fits.open(real_desi / "coadd-4-80613-thru20210324.fits") as hdus:
        scores, target = hdus["SCORES"].data[0], hdus["FIBERMAP"].data[0]
    estimate = expected_snr(target["FIBERFLUX_R"], scores["TSNR2_LRG_R"])
    assert 0.5 < estimate / scores["MEDIAN_COADD_SNR_R"] < 2
    # Sky-limited: S/N as the root of the time; bright: as the root of the flux.
    assert expected_snr(0.01, 40.0) == pytest.approx(2 * expected_snr(0.01, 10.0))
    assert expected_snr(4e6, 10.0) == pytest.approx(2 * expected_snr(1e6, 10.0), rel=1e-3)
    assert np.isnan(expected_snr(np.array([0.0, np.nan, 1.0, -1.0]), np.array([1, 1, 0, 1]))).all()


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return validate(
        {
            "run": "t",
            "results_dir": str(tmp_path / "results"),
            "surveys": {"desi": {"base_url": "simulated:"}},
            "simulated": {
                "seed": 5,
                "sdss_spectra": 60,
                "lamost_spectra": 20,
                "missing_fraction": 0.05,
                "repeat_fraction": 0.2,
            },
            "split": {"shards": {"train": 1, "val": 1, "test": 1}, "test_fraction": 0.3},
            "download": {"cache_dir": str(tmp_path / "cache"), "max_failed_fraction": 0.0},
            "data": {"train_surveys": ["desi"]},
            "render": {"size": 32, "rows": 4},
            "train": {"workers": 1},
        }
    )


def test_a_run_on_the_simulated_sky(config: Config) -> None:
    select_survey(config, "desi")
    build_catalog(config)
    download_shards(config)
    catalog = pd.read_parquet(config.paths.catalog)
    assert catalog["simulated"].all()
    assert catalog["path"].duplicated().any()
    ledgers = [pd.read_parquet(config.paths.ledger(shard)) for shard in config.shard_names()]
    ledger = pd.concat(ledgers)
    assert len(ledger) == len(catalog)
    assert set(ledger["status"]) == {"ok", "missing"}
    # A target that its coadd does not name, or a coadd of which nothing is there.
    assert ledger["reason"].dropna().str.contains("has no spectrum of|404").all()
    drawn = [
        make_shard(ShardJob(config.paths, shard, config.render[0], config.grid, config.split))
        for shard in config.shard_names()
    ]
    assert sum(one["spectra"] for one in drawn) == (ledger["status"] == "ok").sum()
    assert all("SIMULATED" in text for text in _starts(config))


def _starts(config: Config) -> list[str]:
    """The primary header of each spectrum's file."""
    tars = [config.paths.spectra(shard) for shard in config.shard_names()]
    return [data[:2880].decode("ascii") for tar in tars for _, data in read_members(tar)]
