"""The LAMOST token is sent, and is nowhere else: not in any log, file, error or process list."""

from __future__ import annotations

import gzip
import html
import json
import subprocess
import sys
import traceback
from pathlib import Path
from urllib.parse import quote

import pytest

from servers.runs import SHARD, environment, files_of, lamost, sdss
from servers.survey_server import (
    SurveyServer,
    broken_body,
    cut_file,
    message,
    no_answer,
    other_file,
    redirect,
    silence,
    status,
    web_page,
)
from specvit.config.data import Download
from specvit.config.surveys import Simulated
from specvit.download import download_shard, fetch_file
from specvit.download.token import without_token
from specvit.errors import DownloadError

DOWNLOAD = ("download", "--shard", SHARD)
# The command line, which gives a server up that fails for a second.
IMPATIENT = """
from specvit.cli import main
from specvit.download import gate
gate.OUTAGE_S = 1.0
main()
"""
TOKEN = "Zq7SecretOfTheTest93"
ESCAPED = "Zq7/Secret+Of&The=Test 93"


def test_every_output_is_searched(make_run, tmp_path: Path):
    spectra = [lamost(number) for number in range(40)]
    with SurveyServer(files_of(spectra)) as server:
        server.token = TOKEN
        faults = [
            status(500), status(429), status(403), status(404), broken_body(), no_answer(),
            cut_file(), web_page(f"Your token {TOKEN} is wrong"), silence(3),
            message(f'{{"message": "token {TOKEN} has no permission"}}'.encode()),
            message(f'{{"message": "nothing for {TOKEN}"}}'.encode()),
            redirect(f"/elsewhere?token={TOKEN}"), redirect(f"ftp://host/?token={TOKEN}"),
            redirect(f"http://127.0.0.1:9/?token={TOKEN}"),
        ]  # fmt: skip
        for spectrum, fault in zip(spectra, faults, strict=False):
            server.always(spectrum.path, fault)
        run = make_run(spectra, server.base_url, attempts=2, timeout_s=0.5)
        job = subprocess.run(
            [sys.executable, "-c", IMPATIENT, "--verbose", *DOWNLOAD, "--config", run.inline],
            env=environment(SPECVIT_LAMOST_TOKEN=TOKEN, PYTHONASYNCIODEBUG="1"),
            capture_output=True,
            text=True,
            cwd=tmp_path,
        )
        assert job.returncode == 4
        assert {request.query for request in server.requests} == {f"token={TOKEN}"}
    assert "[token]" in job.stderr
    assert TOKEN not in job.stdout + job.stderr
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert run.parts in files
    for path in files:
        assert TOKEN.encode() not in path.read_bytes(), path
        assert TOKEN not in str(path)
    # A URL is in the ledger, without the query.
    failed = run.tar.with_name(f"{SHARD}.failed.parquet")
    assert failed in files


@pytest.mark.parametrize(
    "form",
    [
        ESCAPED,
        quote(ESCAPED, safe=""),
        quote(ESCAPED, safe="").replace("%2F", "%2f").replace("%3D", "%3d"),
        quote(quote(ESCAPED, safe=""), safe=""),
        "".join(f"%{ord(char):02X}" for char in ESCAPED),
        json.dumps(ESCAPED)[1:-1].replace("/", "\\/"),
        ESCAPED.replace("+", "\\u002b"),
        html.escape(ESCAPED),
        ESCAPED.replace("/", "&#x2F;").replace("+", "&#43;"),
    ],
)
def test_a_token_is_hidden_in_every_form(form: str):
    assert without_token(f"your token {form} is wrong", ESCAPED) == "your token [token] is wrong"


def test_a_token_that_was_cut_is_hidden():
    for length in range(6, len(ESCAPED)):
        assert without_token(f"say {ESCAPED[:length]}...", ESCAPED) == "say [token]..."
    long = "ab3" * 300  # a signed one may have hundreds of characters
    assert without_token(f"say {long}, please", long) == "say [token] please"
    assert without_token("nothing of it", ESCAPED) == "nothing of it"
    assert without_token(ESCAPED, None) == ESCAPED


@pytest.mark.parametrize("packed", [False, True])
def test_a_server_that_repeats_the_token_where_reasons_are_cut(make_run, monkeypatch, packed):
    monkeypatch.setenv("SPECVIT_LAMOST_TOKEN", TOKEN)
    spectra = [lamost(number) for number in range(60)]
    with SurveyServer(files_of(spectra)) as server:
        for number, spectrum in enumerate(spectra[1:]):
            text = f"{'x' * (number * 2)} {TOKEN} is wrong, {'y' * 99}".encode()
            page = gzip.compress(text) if packed else text
            server.always(spectrum.path, message(page) if number % 2 else other_file(page))
        run = make_run(spectra, server.base_url, attempts=1, max_failed_fraction=1.0)
        download_shard(run.config, SHARD)
        reasons = " ".join(str(entry["reason"]) for entry in run.ledger().values())
        assert TOKEN[:6] not in reasons


def test_exceptions_hold_no_token_in_any_link(tmp_path: Path):
    with SurveyServer({"catalogue": b"x" * 1000}) as server:
        server.always("catalogue", broken_body())
        settings = Download(attempts=2)
        target = tmp_path / "catalogue"
        with pytest.raises(DownloadError) as caught:
            fetch_file(server.base_url, "catalogue", target, settings, Simulated(), token=TOKEN)
    shown = "".join(traceback.format_exception(caught.value))
    assert "connection broken after 500 of 1000 bytes" in shown
    assert TOKEN not in shown


@pytest.mark.parametrize(
    ("token", "hint"), [(None, "needs a token in the variable"), (TOKEN, "was not accepted")]
)
def test_hints(make_run, monkeypatch, token: str | None, hint: str):
    if token is not None:
        monkeypatch.setenv("SPECVIT_LAMOST_TOKEN", token)
    spectra = [lamost(1), lamost(2)]
    with SurveyServer(files_of(spectra)) as server:
        server.token = "another"
        run = make_run(spectra, server.base_url)
        with pytest.raises(DownloadError, match="HTTP 403 Forbidden") as caught:
            download_shard(run.config, SHARD)
    assert hint in str(caught.value)
    assert "SPECVIT_LAMOST_TOKEN" in str(caught.value)


def test_sdss_gets_no_token(make_run, monkeypatch):
    from specvit.download import download_shard

    monkeypatch.setenv("SPECVIT_LAMOST_TOKEN", TOKEN)
    spectra = [sdss(1), lamost(1)]
    with SurveyServer(files_of(spectra)) as server:
        run = make_run(spectra, server.base_url)
        download_shard(run.config, SHARD)
        queries = {request.path: request.query for request in server.requests}
        assert queries == {spectra[0].path: "", spectra[1].path: f"token={TOKEN}"}
