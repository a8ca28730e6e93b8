"""The server misbehaves; every spectrum that it can deliver arrives, the others say why not."""

from __future__ import annotations

import random
import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from servers.runs import SHARD, files_of, lamost, sdss, sdss5
from servers.survey_server import (
    Reply,
    SurveyServer,
    broken_body,
    cut_file,
    drip,
    message,
    no_answer,
    other_file,
    redirect,
    silence,
    status,
    web_page,
)
from specvit.download import download_shard, gate, http

PASSING = {
    "500": status(500),
    "502": status(502),
    "503": status(503),
    "429": status(429),
    "broken body": broken_body(),
    "no answer": no_answer(),
    "web page": web_page(),
    "cut file": cut_file(),
    "nothing": cut_file(0.0),
    "other file": other_file(sdss(999).data),
    "JSON": other_file(b'{"error": "overloaded"}'),
}


NOT_A_FAULT = ("LAMOST", "JSON")
LAYOUTS = {"DR17": sdss, "DR19": sdss5, "LAMOST": lamost}
# JSON is LAMOST's own answer for a spectrum that it does not have.
CASES = [(layout, name) for layout in LAYOUTS for name in PASSING if (layout, name) != NOT_A_FAULT]


@pytest.mark.parametrize(("layout", "name"), CASES)
def test_a_fault_that_passes(make_run, layout, name):
    fault, make = PASSING[name], LAYOUTS[layout]
    spectra = [make(1), make(2)]
    with SurveyServer(files_of(spectra)) as server:
        server.fail(spectra[0].path, fault)
        run = make_run(spectra, server.base_url)
        download_shard(run.config, SHARD)
        assert set(run.members().values()) == {spectrum.data for spectrum in spectra}
        # aiohttp itself asks once more where a kept-alive connection turns out to be closed.
        allowed = {1, 2} if name == "no answer" else {2}
        assert run.ledger()[spectra[0].spectrum_id]["attempts"] in allowed
        assert (server.count(spectra[0].path), server.count(spectra[1].path)) == (2, 1)


LASTING = {
    "500": (status(500), "failed", "HTTP 500 Internal Server Error"),
    "403": (status(403), "failed", "HTTP 403 Forbidden"),
    "418": (status(418), "failed", "HTTP 418"),
    "broken body": (broken_body(), "failed", "connection broken after"),
    "no answer": (no_answer(), "failed", "no answer: "),
    "web page": (web_page("Log in"), "corrupt", "not a FITS file: a web page (Log in)"),
    "cut file": (cut_file(), "corrupt", "truncated"),
    "nothing": (cut_file(0.0), "corrupt", "empty file"),
    "other file": (other_file(sdss(999).data), "corrupt", "wrong file: asked for 266-51602-2, th"),
    "404": (status(404), "missing", "HTTP 404 Not Found"),
    "410": (status(410), "missing", "HTTP 410 Gone"),
    "loop": (redirect("/loop"), "failed", "more than 5 redirects"),
    "ftp": (redirect("ftp://127.0.0.1/file"), "failed", "a redirect from http to ftp"),
    "file": (redirect("file:///etc/passwd"), "failed", "a redirect from http to file"),
    "half an address": (redirect("http://[::1"), "failed", "a redirect to what is no address"),
    "no port": (redirect("http://a:99999999/"), "failed", "a redirect to what is no address"),
    "no host": (redirect(f"http://{'a' * 99}/"), "failed", "a redirect to what is no address"),
}
ONCE = {"403", "418", "404", "410", "ftp", "file", "half an address", "no port", "no host"}


@pytest.mark.parametrize("name", LASTING)
def test_a_fault_that_lasts(make_run, name):
    fault, state, reason = LASTING[name]
    spectra = [sdss(1), sdss(2)]
    with SurveyServer(files_of(spectra)) as server:
        server.always(spectra[0].path, fault)
        server.always("loop", redirect("/loop"))
        run = make_run(spectra, server.base_url, attempts=3, max_failed_fraction=0.5)
        download_shard(run.config, SHARD)
        entry = run.ledger()[spectra[0].spectrum_id]
        assert entry["status"] == state
        assert entry["reason"].startswith(reason)
        tries = 1 if name in ONCE | {"loop"} else 3
        # aiohttp itself asks once more where a kept-alive connection turns out to be closed.
        again = tries if name == "no answer" else 0
        assert tries <= server.count(spectra[0].path) <= tries + again
        assert list(run.members().values()) == [spectra[1].data]


def test_cut_gzip_with_the_right_length_header(make_run):
    spectra = [lamost(1), lamost(2)]
    with SurveyServer(files_of(spectra)) as server:
        server.always(spectra[0].path, cut_file(0.9))
        run = make_run(spectra, server.base_url, attempts=2, max_failed_fraction=0.5)
        download_shard(run.config, SHARD)
        entry = run.ledger()[spectra[0].spectrum_id]
        assert (entry["status"], entry["reason"]) == ("corrupt", "truncated gzip")


def test_redirects_are_followed(make_run):
    spectra = [sdss(1), sdss(2)]
    with SurveyServer({"mirror/1": spectra[0].data}) as mirror:
        files = files_of(spectra[1:]) | {"here/1": spectra[0].data}
        with SurveyServer(files) as server:
            server.always(spectra[0].path, redirect(mirror.base_url + "mirror/1"))
            run = make_run(spectra, server.base_url)
            download_shard(run.config, SHARD)
            assert set(run.members().values()) == {spectrum.data for spectrum in spectra}
            assert mirror.count("mirror/1") == 1
            assert run.ledger()[spectra[0].spectrum_id]["url"] == server.base_url + spectra[0].path


@pytest.mark.parametrize("kind", ["seconds", "date"])
def test_retry_after_is_honoured_by_all_requests(make_run, kind):
    spectra = [sdss(number) for number in range(30)]
    with SurveyServer(files_of(spectra), latency=0.01) as server:

        def later(data: bytes) -> Reply:
            date = datetime.now(UTC) + timedelta(seconds=2.9)  # dates have whole seconds
            asked = "2" if kind == "seconds" else format_datetime(date, usegmt=True)
            return status(429, Retry_After=asked)(data)

        server.fail(spectra[0].path, later)
        run = make_run(spectra, server.base_url, connections=1)
        download_shard(run.config, SHARD)
        first, second = server.requests[:2]
        assert second.time - first.time > (1.9 if kind == "seconds" else 0.9)
        assert len(run.members()) == 30


def test_a_server_that_asks_for_an_hour_is_given_up(make_run):
    spectra = [sdss(number) for number in range(50)]
    with SurveyServer(files_of(spectra)) as server:
        server.fail(spectra[20].path, status(503, Retry_After="3600"))
        run = make_run(spectra, server.base_url, connections=1, max_failed_fraction=1.0)
        download_shard(run.config, SHARD)
        reasons = {entry["reason"] for entry in run.ledger().values() if entry["status"] != "ok"}
        assert any("asks to come back in 3600 s" in reason for reason in reasons)
        assert sum(server.counts.values()) < 40


def test_slow_answers_are_cut(make_run, monkeypatch):
    monkeypatch.setattr(http, "MIN_BYTES_S", 2000.0)
    spectra = [sdss(number) for number in range(8)]
    with SurveyServer(files_of(spectra)) as server:
        server.fail(spectra[0].path, silence(30))
        server.fail(spectra[1].path, drip(200))
        run = make_run(spectra, server.base_url, timeout_s=0.5)
        download_shard(run.config, SHARD)
        assert len(run.members()) == 8
        assert run.ledger()[spectra[0].spectrum_id]["attempts"] >= 2
        assert run.ledger()[spectra[1].spectrum_id]["attempts"] >= 2


def test_slow_but_steady_is_waited_for(make_run, monkeypatch):
    monkeypatch.setattr(http, "MIN_BYTES_S", 20.0)
    spectra = [lamost(1)]
    with SurveyServer(files_of(spectra)) as server:
        server.fail(spectra[0].path, drip(250))  # longer than the time-out in all
        run = make_run(spectra, server.base_url, timeout_s=1.5)
        download_shard(run.config, SHARD)
        assert server.count(spectra[0].path) == 1


@pytest.mark.parametrize("kind", ["gone", "503", "500"])
def test_a_server_that_goes_away_and_comes_back(make_run, kind, monkeypatch):
    """The outage is longer than all attempts of a spectrum together would wait."""
    monkeypatch.setattr(gate, "BACKOFF_S", 0.05)
    spectra = [sdss(number) for number in range(300)]
    with SurveyServer(files_of(spectra), latency=0.005) as server:
        run = make_run(spectra, server.base_url, attempts=2)

        def outage() -> None:
            while sum(server.counts.values()) < 100:
                time.sleep(0.001)
            if kind == "gone":
                server.go_away()
                time.sleep(1.5)
                server.come_back()
            else:
                server.burst(1.5, status(int(kind)))

        trouble = threading.Thread(target=outage)
        trouble.start()
        start = time.monotonic()
        download_shard(run.config, SHARD)
        trouble.join()
        assert time.monotonic() - start > 1.5
        assert run.members() == {f"{one.spectrum_id}.fits": one.data for one in spectra}
        # While it is away, one request at a time asks whether it is back.
        assert sum(server.counts.values()) < 300 + 60


def test_a_server_that_stays_away_is_given_up(make_run, monkeypatch):
    monkeypatch.setattr(gate, "OUTAGE_S", 0.3)
    spectra = [sdss(number) for number in range(100)]
    with SurveyServer(files_of(spectra)) as server:
        base_url = server.base_url
    run = make_run(spectra, base_url, max_failed_fraction=1.0)
    start = time.monotonic()
    with pytest.raises(Exception, match="no spectrum could be fetched") as caught:
        download_shard(run.config, SHARD)
    assert time.monotonic() - start < 300  # by default it is waited for ten minutes
    assert "cannot connect: Connection refused" in str(caught.value)
    assert "no more requests were sent to 127.0.0.1" in str(caught.value)


def test_refusals_of_everything_end_soon(make_run):
    spectra = [sdss(number) for number in range(200)]
    with SurveyServer({}) as server:
        for spectrum in spectra:
            server.always(spectrum.path, status(403))
        run = make_run(spectra, server.base_url, connections=2)
        with pytest.raises(Exception, match="HTTP 403 Forbidden for each of the first 20"):
            download_shard(run.config, SHARD)
        assert sum(server.counts.values()) < 60


def test_5000_spectra_with_a_tenth_of_the_requests_faulted(make_run):
    spectra = [sdss(n) for n in range(2000)] + [sdss5(n) for n in range(1500)]
    spectra += [lamost(n) for n in range(1500)]
    chance = random.Random(3)
    bad = chance.sample(spectra, 500)
    lasting, passing = bad[:50], bad[50:]
    wrong = other_file(sdss(4999).data)
    kinds = [
        status(500), status(502), status(503), status(429), status(504),
        broken_body(), no_answer(), cut_file(), web_page(), wrong, silence(20),
    ]  # fmt: skip
    ends = [
        (status(404), "missing", "HTTP 404 Not Found", 1),
        (status(403), "failed", "HTTP 403 Forbidden", 1),
        (web_page(), "corrupt", "not a FITS file: a web page (Down for maintenance)", 3),
        (wrong, "corrupt", "wrong file: asked for {identity}, this is 273-51602-520", 3),
        (broken_body(), "failed", "connection broken after", 3),
    ]
    with SurveyServer(files_of(spectra)) as server:
        expected = {}
        for index, spectrum in enumerate(lasting):
            fault, state, reason, requests = ends[index % len(ends)]
            if spectrum.survey == "lamost" and index % 5 == 0:
                fault, reason = message(), 'the server answered {{"code": 404'
            server.always(spectrum.path, fault)
            expected[spectrum.spectrum_id] = (state, reason, requests)
        for index, spectrum in enumerate(passing):
            # Silence takes a whole time-out each, so there are only a few.
            server.fail(spectrum.path, kinds[index % len(kinds) if index < 33 else index % 10])
        server.fail(spectra[0].path, status(429, Retry_After="1"))
        run = make_run(
            spectra, server.base_url, timeout_s=2.5, attempts=3, max_failed_fraction=0.02
        )
        download_shard(run.config, SHARD)
        ledger, members = run.ledger(), run.members()
        assert len(ledger) == 5000
        asked_twice = {spectrum.path for spectrum in passing} | {spectra[0].path}
        for spectrum in spectra:
            entry = ledger[spectrum.spectrum_id]
            state, reason, requests = expected.get(spectrum.spectrum_id, ("ok", None, 1))
            assert entry["status"] == state, entry
            if reason is not None:
                assert entry["reason"].startswith(reason.format(identity=spectrum.identity)), entry
            else:
                ending = ".fits.gz" if spectrum.survey == "lamost" else ".fits"
                assert members.pop(spectrum.spectrum_id + ending) == spectrum.data
                requests += spectrum.path in asked_twice
            assert server.count(spectrum.path) == requests, entry
        assert members == {}
