"""SDSS by plate: where a shard has many spectra of a plate, half of its file is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from servers.fits_files import plate_file
from servers.runs import SHARD, Run, Spectrum, files_of, sdss
from servers.survey_server import SurveyServer, broken_body, cut_file, other_file, status
from specvit.download import download_shard, write_list
from specvit.surveys import sdss as survey
from specvit.surveys.read import read_spectrum

PLATE = "dr17/sdss/spectro/redux/26/0266/spPlate-0266-51602.fits"
ENOUGH = 6  # fibers of 640 that are worth a plate, here
MANY = [sdss(number) for number in range(ENOUGH)]
FEW = [sdss(640 + number) for number in range(ENOUGH - 1)]  # of the next plate


@pytest.fixture(autouse=True)
def _worth(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(survey, "WORTH_A_PLATE", ENOUGH / 640)


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    return {PLATE: plate_file(266, 51602), **files_of(MANY + FEW)}


def fetched(run: Run, fetch: str, spectra: list[Spectrum]) -> dict[str, str]:
    """Download; the end of each spectrum's address."""
    run.settings["surveys"]["sdss"]["fetch"] = fetch
    run.write_catalog(spectra)
    download_shard(run.config, SHARD)
    ledger = run.ledger()
    assert {entry["status"] for entry in ledger.values()} == {"ok"}
    for spectrum in spectra:
        read = read_spectrum(run.members()[f"{spectrum.spectrum_id}.fits"])
        wanted = read_spectrum(spectrum.data)
        assert read.header.identity == spectrum.identity
        assert read.flux.tobytes() == wanted.flux.tobytes()
        assert read.loglam.tobytes() == wanted.loglam.tobytes()
    return {name: entry["url"].rsplit("/", 1)[1] for name, entry in ledger.items()}


def names(spectra: list[Spectrum]) -> dict[str, str]:
    return {one.spectrum_id: one.path.rsplit("/", 1)[1] for one in spectra}


def test_plate_or_spectra_by_their_number(make_run: Any, files: dict[str, bytes]) -> None:
    with SurveyServer(files) as server:
        run = make_run(MANY + FEW, server.base_url)
        by_plate = dict.fromkeys(names(MANY), "spPlate-0266-51602.fits")
        assert fetched(run, "auto", MANY + FEW) == by_plate | names(FEW)
        assert server.count(PLATE) == 1
        assert len(server.requests) == 1 + len(FEW)
        # What is there is not asked for again; one spectrum more is not worth its plate.
        more = sdss(100)
        server.files |= files_of([more])
        fetched(run, "auto", [*MANY, *FEW, more])
        assert (server.count(PLATE), server.count(more.path)) == (1, 1)


def test_only_what_is_asked_for(make_run: Any, files: dict[str, bytes]) -> None:
    with SurveyServer(files) as server:
        run = make_run(MANY, server.base_url)
        assert fetched(run, "spectrum", MANY) == names(MANY)
        assert server.count(PLATE) == 0
    run.tar.unlink()
    with SurveyServer({PLATE: files[PLATE]}) as server:
        run.settings["surveys"]["sdss"]["base_url"] = server.base_url
        assert set(fetched(run, "plate", MANY[:1]).values()) == {"spPlate-0266-51602.fits"}


def test_the_transfer_ends_where_it_is_enough(make_run: Any, files: dict[str, bytes]) -> None:
    with SurveyServer(files) as server:
        server.fail(PLATE, broken_body(0.4), broken_body(0.6))
        run = make_run(MANY, server.base_url)
        assert set(fetched(run, "auto", MANY).values()) == {"spPlate-0266-51602.fits"}
        # Gone on with after two fifths, not after three: there it had what is read.
        assert server.count(PLATE) == 2


@pytest.mark.parametrize(
    "fault", [status(404), status(403), cut_file(0.3), other_file(MANY[0].data)]
)
def test_without_a_plate_its_spectra_are_fetched(
    make_run: Any, files: dict[str, bytes], fault: Any
) -> None:
    with SurveyServer(files) as server:
        server.always(PLATE, fault)
        run = make_run(MANY, server.base_url, attempts=1)
        assert fetched(run, "auto", MANY) == names(MANY)
        assert not list(run.tar.parent.glob(".*.files"))


def test_a_list_for_bulk_transfer_names_plates(make_run: Any, tmp_path: Path) -> None:
    run = make_run(MANY, "https://data.sdss.org/sas/")
    for fetch, lines in (("auto", len(MANY)), ("plate", 1)):
        run.settings["surveys"]["sdss"]["fetch"] = fetch
        write_list(run.config, tmp_path / "list", "urls")
        assert len((tmp_path / "list").read_text().splitlines()) == lines
    assert (tmp_path / "list").read_text() == f"https://data.sdss.org/sas/{PLATE}\n"
