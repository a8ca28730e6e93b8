"""The big catalogue file: resumed, checked, whole or absent."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from servers.runs import environment
from servers.survey_server import (
    Reply,
    SurveyServer,
    broken_body,
    cut_file,
    no_answer,
    other_file,
    status,
    web_page,
)
from specvit.config.data import Download
from specvit.config.surveys import Simulated
from specvit.download import disk, fetch_file
from specvit.errors import DownloadError, MachineError

PATH = "dr17/sdss/spectro/redux/specObj-dr17.fits"
DATA = b"SIMPLE  = " + random.Random(1).randbytes(2_999_990)
CHANGED = b"SIMPLE  = " + DATA[:9:-1]
SETTINGS = Download(attempts=3, timeout_s=2.0)


def _fetch(server: SurveyServer, target: Path, settings: Download = SETTINGS) -> Path:
    return fetch_file(server.base_url, PATH, target, settings, Simulated())


def _leftovers(target: Path) -> list[str]:
    return sorted(path.name for path in target.parent.iterdir() if path != target)


def test_fetched_once(tmp_path: Path):
    target = tmp_path / "cache" / "specObj-dr17.fits"
    with SurveyServer({PATH: DATA}) as server:
        assert _fetch(server, target) == target
        assert target.read_bytes() == DATA
        assert _leftovers(target) == []
        _fetch(server, target)
        assert server.count(PATH) == 1


def test_resumed_where_it_broke_off(tmp_path: Path):
    target = tmp_path / "file"
    with SurveyServer({PATH: DATA}) as server:
        # Each answer breaks off half way through what was left: more often than `attempts`.
        breaks = [_half_of_the_rest(server) for _ in range(5)]
        server.fail(PATH, *breaks)
        _fetch(server, target)
        assert target.read_bytes() == DATA
        assert [request.headers.get("range") for request in server.requests] == [
            None, "bytes=1500000-", "bytes=2250000-", "bytes=2625000-", "bytes=2812500-",
            "bytes=2906250-",
        ]  # fmt: skip


def _half_of_the_rest(server: SurveyServer):
    def reply(data: bytes) -> Reply:
        asked = server.requests[-1].headers.get("range", "bytes=0-")
        start = int(asked.removeprefix("bytes=").removesuffix("-"))
        rest = data[start:]
        headers = {"ETag": server.etag}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        return Reply(206 if start else 200, headers, rest[: len(rest) // 2], len(rest), reset=True)

    return reply


def test_a_file_that_changed_meanwhile_starts_anew(tmp_path: Path):
    target = tmp_path / "file"
    with SurveyServer({PATH: DATA}) as server:
        server.fail(PATH, _half_of_the_rest(server))
        server.fail(PATH, *[no_answer()] * 8)
        with pytest.raises(DownloadError):
            _fetch(server, target)
        assert not target.exists()
        server.etag, server.files = '"2"', {PATH: CHANGED}
        server._faults.clear()
        _fetch(server, target)
        assert target.read_bytes() == CHANGED
        assert server.requests[-1].headers["range"] == "bytes=1500000-"
        assert server.requests[-1].headers["if-range"] == '"1"'


def test_a_server_without_ranges_starts_anew(tmp_path: Path):
    with SurveyServer({PATH: DATA}, ranges=False) as server:
        server.fail(PATH, broken_body())
        _fetch(server, tmp_path / "file")
        assert (tmp_path / "file").read_bytes() == DATA


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (status(404), "HTTP 404 Not Found"),
        (status(403), "HTTP 403 Forbidden"),
        (status(500), "HTTP 500 Internal Server Error"),
        (web_page(), "not a table: starts with <!DOCTYPE html>"),
        (other_file(b"Server busy, come back later"), "not a table: starts with Server busy, come"),
        (other_file(b"\n\n <html>"), "not a table: starts with <html>"),
        (cut_file(0.0), "empty file"),
        (broken_body(0.0), "connection broken after 0 of 3000000 bytes"),
    ],
)
def test_failures_say_why_and_leave_no_file(tmp_path: Path, fault, reason: str):
    target = tmp_path / "specObj-dr17.fits"
    with SurveyServer({PATH: DATA}) as server:
        server.always(PATH, fault)
        with pytest.raises(DownloadError) as caught:
            _fetch(server, target)
        assert f"{PATH}: {reason}" in str(caught.value)
        assert f"put at {target}" in str(caught.value)
        assert not target.exists()
        server.always(PATH, None)
        _fetch(server, target)
        assert target.read_bytes() == DATA


def test_a_drip_after_a_good_start_is_cut(tmp_path: Path):
    def dripping_end(data: bytes) -> Reply:
        return Reply(206, {"Content-Range": f"bytes 1500000-{len(data) - 1}/{len(data)}"},
                     data[1_500_000:], bytes_s=100.0)  # fmt: skip

    with SurveyServer({PATH: DATA}) as server:
        server.fail(PATH, _half_of_the_rest(server), dripping_end)
        settings = Download(attempts=3, timeout_s=0.5)
        _fetch(server, tmp_path / "file", settings)  # which would take hours
        assert (tmp_path / "file").read_bytes() == DATA
        assert server.count(PATH) >= 3


def test_kill_9_and_resume(tmp_path: Path):
    target = tmp_path / "file"
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from specvit.config.data import Download\n"
        "from specvit.config.surveys import Simulated\n"
        "from specvit.download import fetch_file\n"
        "fetch_file(sys.argv[1], sys.argv[2], Path(sys.argv[3]), Download(), Simulated())\n"
    )

    def slow_end(data: bytes) -> Reply:
        return Reply(200, {"ETag": server.etag}, data[:1_000_000], len(data), reset=False)

    with SurveyServer({PATH: DATA}) as server:
        server.fail(PATH, slow_end)
        arguments = [sys.executable, "-c", code, server.base_url, PATH, str(target)]
        part = target.with_name(".file.part")
        with subprocess.Popen(arguments, env=environment()) as job:
            while not part.exists() or part.stat().st_size < 1_000_000:
                assert job.poll() is None
                time.sleep(0.01)
            job.kill()
        assert not target.exists()
        _fetch(server, target)
        assert target.read_bytes() == DATA
        assert server.requests[-1].headers["range"] == "bytes=1000000-"
        assert _leftovers(target) == []


def test_disk_full(tmp_path: Path, monkeypatch):
    target = tmp_path / "cache" / "file"
    real = disk.os.pwrite

    def pwrite(file: int, data: memoryview, offset: int) -> int:
        if offset >= 1_000_000:
            raise OSError(28, "No space left on device")
        return real(file, data[: 1_000_000 - offset], offset)

    with SurveyServer({PATH: DATA}) as server:
        monkeypatch.setattr(disk.os, "pwrite", pwrite)
        with pytest.raises(MachineError, match=r"no space left .* 1 MB of file are kept"):
            _fetch(server, target)
        assert not target.exists()
        monkeypatch.setattr(disk.os, "pwrite", real)
        _fetch(server, target)
        assert target.read_bytes() == DATA
        assert server.requests[-1].headers["range"] == "bytes=1000000-"


def test_query_in_the_path(tmp_path: Path):
    path = "dr10/v2.0/catdl?name=dr10_v2.0_LRS_catalogue.csv.gz"
    with SurveyServer({path: DATA}) as server:
        fetch_file(server.base_url, path, tmp_path / "file", SETTINGS, Simulated(), token="secret")
        assert (tmp_path / "file").read_bytes() == DATA
        assert server.requests[0].query == "name=dr10_v2.0_LRS_catalogue.csv.gz&token=secret"


def test_a_folder_gives_the_file_in_place(tmp_path: Path):
    (tmp_path / "mirror/dr17").mkdir(parents=True)
    (tmp_path / "mirror/dr17/table.fits.gz").write_bytes(DATA)
    base_url = (tmp_path / "mirror").as_uri() + "/"
    found = fetch_file(base_url, "dr17/table.fits", tmp_path / "no", SETTINGS, Simulated())
    assert found == tmp_path / "mirror/dr17/table.fits.gz"
    assert not (tmp_path / "no").exists()
    with pytest.raises(DownloadError, match="does not exist"):
        fetch_file(base_url, "dr17/other.fits", tmp_path / "no", SETTINGS, Simulated())


def test_simulated_catalogue(tmp_path: Path):
    sky = Simulated(sdss_spectra=20, lamost_spectra=20)
    target = tmp_path / "specObj-dr17.fits"
    fetch_file("simulated:", PATH, target, SETTINGS, sky)
    assert target.read_bytes().startswith(b"SIMPLE  =")
    with pytest.raises(DownloadError, match="the simulated sky has no dr17/nothing"):
        fetch_file("simulated:", "dr17/nothing", target, SETTINGS, sky)


def test_what_is_no_table_does_not_stay(tmp_path: Path):
    """Neither as a finished file nor as the beginning of one; an old one is named."""
    target = tmp_path / "specObj-dr17.fits"
    with SurveyServer({PATH: DATA}) as server:
        server.fail(PATH, other_file(b"busy"))
        _fetch(server, target)
        assert target.read_bytes() == DATA
        assert "range" not in server.requests[-1].headers
        target.write_bytes(b"busy")
        with pytest.raises(DownloadError, match="not a table: starts with busy: remove it"):
            _fetch(server, target)
