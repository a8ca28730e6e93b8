"""Files that rows share: a coadd is fetched once for all its rows, and each spectrum cut out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from desi_files import arrays_of, coadd_file, path_of
from servers.runs import SHARD, Run, Spectrum, sdss
from servers.survey_server import (
    Reply,
    SurveyServer,
    cut_file,
    other_file,
    status,
    web_page,
)
from specvit.download import download_shard, shared, sources, write_list
from specvit.errors import DownloadError
from specvit.surveys.read import read_spectrum

FIRST = 39627640566453451
NEAR, FAR = path_of(27247), path_of(9)
NEAR_TARGETS, FAR_TARGETS = [FIRST, FIRST + 1, FIRST + 2], [FIRST + 10]


def row(target: int, path: str = NEAR) -> Spectrum:
    return Spectrum(f"desi-{target}", "desi", "dr1", path, str(target), b"")


ROWS = [row(FIRST), row(FIRST + 2), row(FIRST + 10, FAR), row(FIRST + 1)]


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    return {NEAR: coadd_file(NEAR_TARGETS), FAR: coadd_file(FAR_TARGETS)}


def scratch(run: Run) -> Path:
    return run.tar.with_name(f".{SHARD}.files")


def test_a_coadd_is_fetched_once_for_all_its_rows(make_run, files):
    with SurveyServer(files) as server:
        run = make_run([*ROWS, sdss(1)], server.base_url)
        server.files |= {sdss(1).path: sdss(1).data}
        download_shard(run.config, SHARD)
        assert (server.count(NEAR), server.count(FAR)) == (1, 1)
        members, ledger = run.members(), run.ledger()
        assert {entry["status"] for entry in ledger.values()} == {"ok"}
        for wanted in ROWS:
            data = members[f"{wanted.spectrum_id}.fits"]
            assert ledger[wanted.spectrum_id]["url"] == server.base_url + wanted.path
            spectrum = read_spectrum(data)
            assert spectrum.header.identity == wanted.identity
            flux = arrays_of(int(wanted.identity))["B"]["FLUX"][0]
            assert not spectrum.good[0] or spectrum.flux[0] == pytest.approx(flux)
        assert not scratch(run).exists()
        # What is there is not fetched again; a row more fetches its own coadd.
        run.write_catalog([row(FIRST, NEAR), *ROWS[2:], sdss(1)])
        download_shard(run.config, SHARD)
        assert (server.count(NEAR), server.count(FAR)) == (1, 1)
        run.write_catalog([*ROWS, sdss(1)])
        download_shard(run.config, SHARD)
        assert run.members() == members
        assert (server.count(NEAR), server.count(FAR)) == (2, 1)


def test_a_folder_gives_the_same_bytes_and_copies_nothing(make_run, files, tmp_path):
    for path, data in files.items():
        (tmp_path / "mirror" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "mirror" / path).write_bytes(data)
    with SurveyServer(files) as server:
        run = make_run(ROWS, server.base_url)
        download_shard(run.config, SHARD)
        by_server = run.tar.read_bytes()
    mirrored = Run(tmp_path / "other", ROWS, f"file://{tmp_path}/mirror/")
    download_shard(mirrored.config, SHARD)
    assert mirrored.tar.read_bytes() == by_server
    assert (tmp_path / "mirror" / NEAR).read_bytes() == files[NEAR]


def test_rows_that_are_not_there_are_counted_with_the_reason(make_run, files):
    gone = path_of(77)
    rows = [*ROWS, row(FIRST + 3), row(FIRST + 20, gone), row(FIRST + 21, gone)]
    with SurveyServer(files) as server:
        run = make_run(rows, server.base_url)
        download_shard(run.config, SHARD)
        ledger = run.ledger()
        assert server.count(gone) == 1
    reasons = {name: entry["reason"] for name, entry in ledger.items() if entry["reason"]}
    assert reasons == {
        f"desi-{FIRST + 3}": f"coadd-main-dark-27247.fits has no spectrum of {FIRST + 3}",
        f"desi-{FIRST + 20}": "HTTP 404 Not Found",
        f"desi-{FIRST + 21}": "HTTP 404 Not Found",
    }
    assert {ledger[name]["status"] for name in reasons} == {"missing"}
    assert len(run.members()) == len(ROWS)


def half(data: bytes) -> Reply:
    """The connection breaks in the middle of a file that can be gone on with."""
    return Reply(200, {"ETag": '"1"'}, data[: len(data) // 2], length=len(data), reset=True)


def test_a_broken_transfer_is_gone_on_with(make_run, files):
    with SurveyServer(files) as server:
        server.fail(NEAR, half, status(503))
        run = make_run(ROWS, server.base_url)
        download_shard(run.config, SHARD)
        assert len(run.members()) == len(ROWS)
        ranges = [r.headers.get("range", "") for r in server.requests if r.path == NEAR]
        asked = f"bytes={len(files[NEAR]) // 2}-"
        assert ranges == ["", asked, asked]


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (web_page(), "not a table: starts with <!DOCTYPE"),
        (lambda data: Reply(body=data[:-2880]), "truncated: "),
        (cut_file(0.5), "a DESI file without R_IVAR, Z_WAVE"),  # between two HDUs
        (other_file(sdss(1).data), "not a file of DESI spectra"),
    ],
)
def test_what_is_no_coadd_spoils_its_rows_alone(make_run, files, fault, words):
    with SurveyServer(files) as server:
        server.always(FAR, fault)
        run = make_run(ROWS, server.base_url, attempts=1, max_failed_fraction=0.5)
        download_shard(run.config, SHARD)
    entry = run.ledger()[f"desi-{FIRST + 10}"]
    assert (entry["status"], len(run.members())) == ("corrupt", 3)
    assert re.search(words, entry["reason"])


def test_a_file_that_is_too_long_is_given_up(make_run, files, monkeypatch):
    monkeypatch.setattr(sources, "MOST_SHARED", 30_000)
    with SurveyServer(files) as server:
        run = make_run(ROWS, server.base_url)
        with pytest.raises(DownloadError, match="longer than 30000 bytes"):
            download_shard(run.config, SHARD)
        assert server.count(NEAR) == 1


def test_few_files_are_on_disk_at_a_time(make_run, monkeypatch):
    rows = [row(FIRST + n, path_of(n)) for n in range(8)]
    files = {path_of(n): coadd_file([FIRST + n]) for n in range(8)}
    most = 0
    cut = shared._cut

    async def watched(file, *rest):
        nonlocal most
        most = max(most, len(list(file.parent.glob("*"))))
        await cut(file, *rest)

    monkeypatch.setattr(shared, "_cut", watched)
    with SurveyServer(files) as server:
        run = make_run(rows, server.base_url)
        download_shard(run.config, SHARD)
    # Each with the note of how far it is.
    assert 1 <= most <= 2 * shared.FILES_AT_A_TIME
    assert len(run.members()) == 8


def test_a_list_for_bulk_transfer_names_a_coadd_once(make_run, tmp_path):
    run = make_run(ROWS, "https://data.desi.lbl.gov/")
    write_list(run.config, tmp_path / "list")
    lines = (tmp_path / "list").read_text().splitlines()
    assert lines == [f"https://data.desi.lbl.gov/{path}" for path in sorted([NEAR, FAR])]
