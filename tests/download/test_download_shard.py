"""Tar and ledger of a shard, and what a rerun takes over."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import signal
import subprocess
import tarfile
import time
from pathlib import Path

import pytest

from servers.runs import (
    SHARD,
    environment,
    files_of,
    lamost,
    sdss,
    sdss5,
    specvit_command,
)
from servers.survey_server import SurveyServer, message, status, web_page
from specvit.download import download_shard, download_shards
from specvit.errors import DataError, DownloadError, LockedError
from specvit.locks import writing


def test_tar_and_ledger(make_run):
    spectra = [sdss(3), sdss(1), sdss5(2), lamost(7)]
    with SurveyServer(files_of(spectra)) as server:
        run = make_run(spectra, server.base_url)
        download_shard(run.config, SHARD)
        assert run.members() == {
            "lamost-0000101008.fits.gz": spectra[3].data,
            "sdss-0266-51602-0002.fits": spectra[1].data,
            "sdss-0266-51602-0004.fits": spectra[0].data,
            "sdss-15000-59146-4375924758.fits": spectra[2].data,
        }
        assert list(run.members()) == sorted(run.members())
        entry = run.ledger()["sdss-0266-51602-0002"]
        assert entry == {
            "spectrum_id": "sdss-0266-51602-0002",
            "url": server.base_url + spectra[1].path,
            "status": "ok",
            "reason": None,
            "bytes": len(spectra[1].data),
            "sha256": hashlib.sha256(spectra[1].data).hexdigest(),
            "attempts": 1,
        }
        assert not run.parts.exists()
        agents = {request.headers["user-agent"] for request in server.requests}
        assert len(agents) == 1
        assert agents.pop().startswith("specvit/")


def test_same_bytes_whatever_the_order_of_arrival(make_run):
    spectra = [sdss(number) for number in range(40)]
    made = []
    for slow in (spectra[0], spectra[39]):
        with SurveyServer(files_of(spectra)) as server:
            server.fail(slow.path, status(503), status(503))
            run = make_run(spectra, server.base_url)
            download_shard(run.config, SHARD)
            made.append(run.tar.read_bytes())
            run.tar.unlink()
    assert made[0] == made[1]
    with tarfile.open(fileobj=io.BytesIO(made[0])) as archive:
        assert {(member.mtime, member.uid, member.gid) for member in archive} == {(0, 0, 0)}


def test_connections_are_kept_alive_and_bounded(make_run):
    spectra = [sdss(number) for number in range(60)]
    with SurveyServer(files_of(spectra), latency=0.01) as server:
        run = make_run(spectra, server.base_url, connections=3)
        download_shard(run.config, SHARD)
        assert server.peak_connections == 3
        assert server.connections == 3


def test_404_tries_the_documented_alternatives(make_run):
    moved = sdss(5, plate=2640, mjd=54806)
    there = moved.path.replace("/26/", "/104/")
    full = sdss(6)
    elsewhere = full.path.replace("/lite/", "/")
    nowhere = sdss(7)
    with SurveyServer({there: moved.data, elsewhere: full.data}) as server:
        run = make_run([moved, full, nowhere], server.base_url)
        download_shard(run.config, SHARD)
        ledger = run.ledger()
        assert ledger[moved.spectrum_id]["url"] == server.base_url + there
        assert ledger[full.spectrum_id]["url"] == server.base_url + elsewhere
        assert ledger[full.spectrum_id]["attempts"] == 2
        lost = ledger[nowhere.spectrum_id]
        assert (lost["status"], lost["reason"]) == ("missing", "HTTP 404 Not Found")
        assert lost["url"] == server.base_url + nowhere.path
        assert set(run.members().values()) == {moved.data, full.data}


def test_rerun_fetches_only_what_failed(make_run):
    good, lost, broken = sdss(1), sdss(2), sdss(3)
    with SurveyServer(files_of([good, broken])) as server:
        server.always(broken.path, web_page())
        run = make_run([good, lost, broken], server.base_url, max_failed_fraction=1.0, attempts=2)
        download_shard(run.config, SHARD)
        assert run.ledger()[broken.spectrum_id]["status"] == "corrupt"
        asked = server.counts.copy()
        server.always(broken.path, None)
        server.files = files_of([good, lost, broken])
        download_shard(run.config, SHARD)
        assert server.counts - asked == {broken.path: 1}
        assert run.ledger()[lost.spectrum_id]["status"] == "missing"
        download_shard(run.config, SHARD, retry_missing=True)
        assert {entry["status"] for entry in run.ledger().values()} == {"ok"}
        assert server.count(good.path) == 1


def test_earlier_tar_serves_a_changed_catalogue(make_run):
    before, after = [sdss(n) for n in range(10)], [sdss(n) for n in range(5, 15)]
    with SurveyServer(files_of(before + after)) as server:
        run = make_run(before, server.base_url)
        download_shard(run.config, SHARD)
        run.write_catalog(after)
        download_shard(run.config, SHARD)
        assert set(run.members().values()) == {spectrum.data for spectrum in after}
        assert set(server.counts.values()) == {1}


def test_another_server_is_not_trusted_to_have_the_same(make_run):
    spectra = [sdss(1)]
    other = b"".join([spectra[0].data[:-1], b"\1"])
    with SurveyServer(files_of(spectra)) as one, SurveyServer({spectra[0].path: other}) as two:
        run = make_run(spectra, one.base_url)
        download_shard(run.config, SHARD)
        run.settings["surveys"]["sdss"]["base_url"] = two.base_url
        download_shard(run.config, SHARD)
        assert list(run.members().values()) == [other]


def test_a_rerun_without_change_writes_nothing(make_run):
    spectra = [sdss(1), sdss(2)]
    with SurveyServer(files_of(spectra)) as server:
        run = make_run(spectra, server.base_url)
        download_shard(run.config, SHARD)
        os.utime(run.tar, (0, 0))
        before = run.tar.stat().st_ino
        download_shard(run.config, SHARD)
        assert run.tar.stat().st_ino == before
        assert run.tar.stat().st_mtime > 0
        assert not run.parts.exists()


def test_a_spoilt_tar_is_not_trusted(make_run):
    spectra = [sdss(1), sdss(2)]
    with SurveyServer(files_of(spectra)) as server:
        run = make_run(spectra, server.base_url)
        download_shard(run.config, SHARD)
        whole = run.tar.read_bytes()
        run.tar.write_bytes(whole.replace(spectra[0].data, spectra[0].data[:-1] + b"\7"))
        download_shard(run.config, SHARD)
        assert run.tar.read_bytes() == whole
        assert (server.count(spectra[0].path), server.count(spectra[1].path)) == (2, 1)


def test_too_many_failures_end_the_job_but_keep_the_rest(make_run):
    spectra = [sdss(number) for number in range(20)]
    with SurveyServer(files_of(spectra)) as server:
        for spectrum in spectra[:3]:
            server.always(spectrum.path, status(403))
        run = make_run(spectra, server.base_url, max_failed_fraction=0.1)
        with pytest.raises(DownloadError) as caught:
            download_shard(run.config, SHARD)
        text = str(caught.value)
        assert "3 of 20" in text
        assert "download.max_failed_fraction = 0.1" in text
        assert f"3 failed: HTTP 403 Forbidden (as {spectra[0].spectrum_id})" in text
        assert caught.value.exit_code == 4
        assert not run.tar.exists()
        assert run.tar.with_name(f"{SHARD}.failed.parquet").exists()
        for spectrum in spectra[:3]:
            server.always(spectrum.path, None)
        download_shard(run.config, SHARD)
        assert len(run.members()) == 20
        assert server.count(spectra[19].path) == 1
        assert not run.tar.with_name(f"{SHARD}.failed.parquet").exists()


def test_a_shard_of_which_nothing_is_there_fails(make_run):
    with SurveyServer({}) as server:
        run = make_run([sdss(1), sdss(2)], server.base_url)
        with pytest.raises(DownloadError, match=r"no spectrum could be fetched.*HTTP 404"):
            download_shard(run.config, SHARD)


def test_empty_shard(make_run):
    run = make_run([], "http://127.0.0.1:9/")
    download_shard(run.config, SHARD)
    assert run.members() == {}
    assert run.ledger() == {}


def test_lamost_json_is_missing(make_run):
    spectra = [lamost(1), lamost(2)]
    with SurveyServer(files_of(spectra)) as server:
        server.always(spectra[0].path, message())
        run = make_run(spectra, server.base_url)
        download_shard(run.config, SHARD)
        entry = run.ledger()[spectra[0].spectrum_id]
        assert (entry["status"], entry["attempts"]) == ("missing", 1)
        assert "the spectrum does not exist" in entry["reason"]


def test_folder_is_read_in_place(make_run, tmp_path: Path):
    mirror = tmp_path / "my mirror"
    plain, zipped, server_name, lost = sdss(1), sdss(2), lamost(3), sdss(4)
    contents = {
        plain.path: plain.data,
        zipped.path + ".gz": gzip.compress(zipped.data),
        server_name.path + ".fits.gz": server_name.data,
    }
    for path, data in contents.items():
        (mirror / path).parent.mkdir(parents=True, exist_ok=True)
        (mirror / path).write_bytes(data)
    base_url = (mirror.as_uri()) + "/"
    run = make_run([plain, zipped, server_name, lost], base_url)
    download_shard(run.config, SHARD)
    assert run.members() == {
        f"{plain.spectrum_id}.fits": plain.data,
        f"{zipped.spectrum_id}.fits.gz": contents[zipped.path + ".gz"],
        f"{server_name.spectrum_id}.fits.gz": server_name.data,
    }
    assert run.ledger()[zipped.spectrum_id]["url"] == base_url + zipped.path + ".gz"
    assert run.ledger()[lost.spectrum_id]["reason"] == "no such file"
    # What a folder lacks may be there the next time.
    (mirror / lost.path).write_bytes(lost.data)
    download_shard(run.config, SHARD)
    assert run.ledger()[lost.spectrum_id]["status"] == "ok"


def test_kill_9_half_way(make_run):
    spectra = [sdss(number) for number in range(400)]
    with SurveyServer(files_of(spectra), latency=0.02) as server:
        run = make_run(spectra, server.base_url, connections=4)
        command = specvit_command("download", "--config", run.inline, "--shard", SHARD)
        with subprocess.Popen(command, env=environment(), stderr=subprocess.DEVNULL) as job:
            while sum(server.counts.values()) < 150:
                assert job.poll() is None
                time.sleep(0.005)
            job.send_signal(signal.SIGKILL)
        assert not run.tar.exists()
        server.latency = 0.0
        download_shard(run.config, SHARD)
        assert len(run.members()) == 400
        twice = [path for path, count in server.counts.items() if count > 1]
        assert len(twice) <= 4  # those in flight
        assert max(server.counts.values()) <= 2


def test_catalogue_that_does_not_fit(make_run, tmp_path: Path):
    run = make_run([sdss(1)], "http://127.0.0.1:9/")
    run.settings["surveys"] = {"lamost": {"base_url": "simulated:"}}
    with pytest.raises(DataError, match="'sdss', which surveys does not set"):
        download_shard(run.config, SHARD)
    run.config.paths.catalog.unlink()
    with pytest.raises(DataError, match="does not exist: run `specvit catalog` first"):
        download_shard(run.config, SHARD)


def test_all_shards_go_on_after_one_that_fails(make_run):
    spectra = [sdss(1)]
    with SurveyServer({}) as server:
        run = make_run(spectra, server.base_url)
        with pytest.raises(DownloadError, match="1 shards are not complete"):
            download_shards(run.config)
        assert run.config.paths.spectra("val-000000").exists()
        assert run.config.paths.spectra("test-000000").exists()


def test_two_jobs_of_one_shard_do_not_meet(make_run):
    run = make_run([sdss(1)], "http://127.0.0.1:9/")
    with (
        writing(run.config.paths, f"spectra/{SHARD}"),
        pytest.raises(LockedError, match=f"spectra/{SHARD} is being written by process"),
    ):
        download_shard(run.config, SHARD)
    assert not run.parts.exists()
