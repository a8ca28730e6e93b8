"""The working file survives whatever ends a job."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import resource
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from servers.runs import SHARD, environment, files_of, sdss, specvit_command
from servers.survey_server import SurveyServer
from specvit.download import disk, download_shard
from specvit.download.journal import open_journal
from specvit.download.ledger import Entry
from specvit.errors import MachineError


def _entry(name: str, data: bytes, status: str = "ok") -> Entry:
    digest = hashlib.sha256(data).hexdigest() if status == "ok" else None
    return Entry(name, "http://host/path", status, None, len(data), digest, 1)  # type: ignore[arg-type]


def _written(path: Path) -> tuple[list[Entry], list[bytes]]:
    contents = [b"first", b"", b"third" * 100]
    entries = [
        _entry("a", contents[0]),
        _entry("b", contents[1], "missing"),
        _entry("c", contents[2]),
    ]
    path.unlink(missing_ok=True)
    with open_journal(path) as journal:
        assert journal.recover() == 0
        for entry, data in zip(entries, contents, strict=True):
            journal.append(entry, data)
    return entries, contents


def test_all_comes_back(tmp_path: Path):
    entries, contents = _written(tmp_path / "parts")
    with open_journal(tmp_path / "parts") as journal:
        assert journal.recover() == 3
        assert [journal.entry(name) for name in "abc"] == entries
        assert journal.entry("d") is None
        assert [journal.read(name) for name in "abc"] == contents


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(cut=st.integers(0, 2000))
def test_a_torn_end_is_cut_off_and_written_over(tmp_path: Path, cut: int):
    path = tmp_path / "parts"
    entries, _ = _written(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: min(cut, len(whole))])
    with open_journal(path) as journal:
        kept = journal.recover()
        assert [journal.entry(name) for name in "abc"[:kept]] == entries[:kept]
        assert kept == 3 or cut < len(whole)
        journal.append(_entry("d", b"new"), b"new")
    with open_journal(path) as journal:
        assert journal.recover() == kept + 1
        assert journal.read("d") == b"new"


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(place=st.integers(0, 10_000), flip=st.integers(1, 255))
def test_no_spoilt_byte_gets_through(tmp_path: Path, place: int, flip: int):
    path = tmp_path / "parts"
    entries, contents = _written(path)
    data = bytearray(path.read_bytes())
    data[place % len(data)] ^= flip
    path.write_bytes(data)
    with open_journal(path) as journal:
        kept = journal.recover()
        assert [journal.entry(name) for name in "abc"[:kept]] == entries[:kept]
        assert [journal.read(name) for name in "abc"[:kept]] == contents[:kept]


def test_disk_full_half_way(make_run, monkeypatch):
    """The disk takes the first half of the 13th spectrum and then no more."""
    spectra = [sdss(number) for number in range(40)]
    space = len(spectra[0].data) * 12 + 5000
    real = os.pwrite

    def pwrite(file: int, data: memoryview, offset: int) -> int:
        room = space - offset
        if room <= 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(file, data[:room], offset)

    with SurveyServer(files_of(spectra)) as server:
        run = make_run(spectra, server.base_url)
        monkeypatch.setattr(disk.os, "pwrite", pwrite)
        with pytest.raises(MachineError) as caught:
            download_shard(run.config, SHARD)
        assert "no space left on the disk of" in str(caught.value)
        assert "12 spectra are kept and will not be fetched again" in str(caught.value)
        assert not run.tar.exists()
        monkeypatch.setattr(disk.os, "pwrite", real)
        asked = server.counts.copy()
        download_shard(run.config, SHARD)
        assert set(run.members().values()) == {spectrum.data for spectrum in spectra}
        assert len(server.counts - asked) == 28


def test_the_system_refuses_to_write_more(make_run):
    """The system's limit on file sizes ends a job: one sentence, exit 6, nothing partial."""
    spectra = [sdss(number) for number in range(60)]
    limit = len(spectra[0].data) * 20
    with SurveyServer(files_of(spectra)) as server:
        run = make_run(spectra, server.base_url)
        job = subprocess.run(
            specvit_command("download", "--config", run.inline, "--shard", SHARD),
            env=environment(),
            capture_output=True,
            text=True,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
        )
        assert job.returncode == 6
        assert "specvit: no space left on the disk of" in job.stderr
        assert "Traceback" not in job.stderr
        assert sorted(path.name for path in run.tar.parent.iterdir()) == [run.parts.name]
        download_shard(run.config, SHARD)
        assert set(run.members().values()) == {spectrum.data for spectrum in spectra}
        assert sum(server.counts.values()) <= 60 + 60 - 19


def test_what_was_kept_is_plain_json(tmp_path: Path):
    """For whoever has to look into one: ids and reasons can be read with any tool."""
    _written(tmp_path / "parts")
    text = (tmp_path / "parts").read_bytes()
    start = text.index(b'{"spectrum_id"')
    assert json.loads(text[start : text.index(b"}", start) + 1])["spectrum_id"] == "a"
