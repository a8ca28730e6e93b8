"""Where a survey's catalogue file comes from: a server's cache, a tree read in place, the sky."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from benchmarks.specobj import write_specobj
from servers.survey_server import SurveyServer
from specvit.catalog.open import _edition, open_catalogue
from specvit.config import Config, validate
from specvit.config.surveys import Simulated
from specvit.errors import DownloadError
from specvit.surveys.lamost.catalogue import LamostCatalogue
from specvit.surveys.sdss.catalogue import SdssCatalogue

CSV = "obsid,class,subclass,z,snrr,ra,dec\n101001,STAR,G7,0.0,9.0,1.0,2.0\n"


def config(folder: Path, **surveys: object) -> Config:
    return validate(
        {
            "surveys": surveys,
            "simulated": {"sdss_spectra": 20, "lamost_spectra": 10},
            "download": {"cache_dir": str(folder / "cache")},
        }
    )


def test_a_mirror_is_read_in_place(tmp_path: Path) -> None:
    path = tmp_path / "a mirror" / "dr17" / "sdss" / "spectro" / "redux" / "specObj-dr17.fits"
    write_specobj(path, 10)
    base_url = (tmp_path / "a mirror").as_uri()
    catalogue = open_catalogue(config(tmp_path, sdss={"base_url": base_url}), "sdss")
    assert isinstance(catalogue, SdssCatalogue)
    assert (catalogue.table.path, catalogue.rows) == (path, 10)
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(
    "place",
    [
        "dr10/v2.0/catdl?name=dr10_v2.0_LRS_catalogue.csv.gz",
        "dr10/v2.0/dr10_v2.0_LRS_catalogue.csv.gz",
        "dr10_v2.0_LRS_catalogue.csv",
    ],
)
def test_a_lamost_mirror_may_use_the_files_own_name(tmp_path: Path, place: str) -> None:
    path = tmp_path / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(CSV.encode()) if place.endswith("gz") else CSV.encode())
    catalogue = open_catalogue(config(tmp_path, lamost={"base_url": tmp_path.as_uri()}), "lamost")
    assert isinstance(catalogue, LamostCatalogue)
    assert sum(len(piece["class"]) for piece in catalogue.pieces()) == 1


def test_a_mirror_without_the_catalogue_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="specObj-dr17"):
        open_catalogue(config(tmp_path, sdss={"base_url": tmp_path.as_uri()}), "sdss")


def test_simulated_catalogues_are_kept_apart_by_their_settings(tmp_path: Path) -> None:
    simulated = {"base_url": "simulated:"}
    one = config(tmp_path, sdss=simulated, lamost=simulated)
    catalogue = open_catalogue(one, "sdss")
    assert catalogue.rows == 20
    pieces = open_catalogue(one, "lamost").pieces()
    assert sum(len(piece["class"]) for piece in pieces) == 10
    other = one.model_copy(
        update={"simulated": one.simulated.model_copy(update={"sdss_spectra": 30})}
    )
    assert open_catalogue(other, "sdss").rows == 30
    assert open_catalogue(one, "sdss").rows == 20
    assert len(list((tmp_path / "cache" / "sdss").iterdir())) == 2


def test_each_server_has_a_cache_of_its_own(tmp_path: Path) -> None:
    """The table of one server is not taken for that of another."""
    path = "dr17/sdss/spectro/redux/specObj-dr17.fits"
    rows = {}
    for count in (10, 20):
        write_specobj(tmp_path / str(count), count)
        with SurveyServer({path: (tmp_path / str(count)).read_bytes()}) as server:
            here = config(tmp_path, sdss={"base_url": server.base_url})
            for _ in range(2):
                catalogue = open_catalogue(here, "sdss")
                rows[count] = catalogue.rows
            assert server.count(path) == 1
    assert rows == {10: 10, 20: 20}
    usual = config(tmp_path, sdss={}).surveys.sdss
    assert usual is not None
    assert _edition(usual, Simulated()) == usual.edition  # what is fetched stays where it was


def test_the_stellar_catalogue_is_fetched_only_when_asked_for(tmp_path: Path) -> None:
    simulated = {"base_url": "simulated:"}
    open_catalogue(config(tmp_path, lamost=simulated), "lamost")
    files = {path.name for path in (tmp_path / "cache").rglob("*.csv.gz")}
    assert files == {"dr10_v2.0_LRS_catalogue.csv.gz"}
    survey = {**simulated, "select": {"require": ["teff"]}}
    open_catalogue(config(tmp_path, lamost=survey), "lamost")
    files = {path.name for path in (tmp_path / "cache").rglob("*.csv.gz")}
    assert "dr10_v2.0_LRS_stellar.csv.gz" in files
