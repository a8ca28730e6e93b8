"""The LAMOST token is sent, and is nowhere else: not in any log, file, error or process list."""

from __future__ import annotations

import subprocess
import sys
import traceback
from pathlib import Path

import pytest

from servers.runs import SHARD, environment, files_of, lamost, sdss
from servers.survey_server import (
    SurveyServer,
    broken_body,
    cut_file,
    message,
    no_answer,
    redirect,
    silence,
    status,
    web_page,
)
from specvit.config.data import Download
from specvit.config.surveys import Simulated
from specvit.download import download_shard, fetch_file
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
