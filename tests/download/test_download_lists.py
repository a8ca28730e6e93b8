"""Lists of what to mirror."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from servers.runs import SHARD, Spectrum, lamost, sdss
from specvit.download import download_shard, write_list
from specvit.errors import DataError


def test_rsync_list_is_below_the_release(make_run, tmp_path: Path):
    run = make_run([sdss(2), sdss(1)], f"file://{tmp_path}/mirror/")
    advice = write_list(run.config, tmp_path / "list", "rsync")
    lines = (tmp_path / "list").read_text().splitlines()
    assert lines == [
        "sdss/spectro/redux/26/spectra/lite/0266/spec-0266-51602-0002.fits",
        "sdss/spectro/redux/26/spectra/lite/0266/spec-0266-51602-0003.fits",
    ]
    assert f"--files-from={tmp_path}/list rsync://dtn.sdss.org/dr17" in advice
    assert f"{tmp_path}/mirror/dr17" in advice
    assert write_list(run.config, tmp_path / "again") == advice.replace("/list", "/again")


def test_a_mirror_made_from_the_list_is_read(make_run, tmp_path: Path):
    spectra = [sdss(1), sdss(2)]
    run = make_run(spectra, f"file://{tmp_path}/mirror/")
    write_list(run.config, tmp_path / "list", "rsync")
    data = {spectrum.path: spectrum.data for spectrum in spectra}
    for line in (tmp_path / "list").read_text().splitlines():
        target = tmp_path / "mirror/dr17" / line
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data[f"dr17/{line}"])
    download_shard(run.config, SHARD)
    assert {entry["status"] for entry in run.ledger().values()} == {"ok"}


def test_globus_batch_has_two_arguments_a_line(make_run, tmp_path: Path):
    run = make_run([sdss(1)], "https://data.sdss.org/sas/")
    write_list(run.config, tmp_path / "list", "globus")
    (line,) = (tmp_path / "list").read_text().splitlines()
    assert shlex.split(line, comments=True) == [sdss(1).path, sdss(1).path]


def test_urls_hold_no_token(make_run, tmp_path: Path, monkeypatch):
    monkeypatch.setenv("SPECVIT_LAMOST_TOKEN", "secret")
    run = make_run([lamost(1)], "https://www.lamost.org/")
    write_list(run.config, tmp_path / "list")
    expected = "https://www.lamost.org/dr10/v2.0/spectrum/fits/101002\n"
    assert (tmp_path / "list").read_text() == expected


def _nightly(night: str, number: int) -> Spectrum:
    one = lamost(number)
    path = f"{night}/F5902/spec-55859-F5902_sp01-{number:03d}.fits.gz"
    return Spectrum(one.spectrum_id, "lamost", "dr10 v2.0", path, one.identity, one.data)


def test_nightly_tars_of_lamost_then_read_as_a_folder(make_run, tmp_path: Path):
    spectra = [_nightly("20111024", 1), _nightly("20111024", 2), _nightly("20120101", 3)]
    run = make_run(spectra, f"file://{tmp_path}/mirror/")
    write_list(run.config, tmp_path / "list")
    assert (tmp_path / "list").read_text().splitlines() == [
        "https://www.lamost.org/dr10/v2.0/tar/lrs-fits/20111024.tar.gz",
        "https://www.lamost.org/dr10/v2.0/tar/lrs-fits/20120101.tar.gz",
    ]
    # Unpacked, spectra have the name of plan and fiber, or their obsid.
    names = [spectra[0].path, f"20111024/F5902/{spectra[1].identity}.fits.gz",
             f"20120101/{spectra[2].identity}.fits.gz"]  # fmt: skip
    for name, spectrum in zip(names, spectra, strict=True):
        (tmp_path / "mirror" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "mirror" / name).write_bytes(spectrum.data)
    download_shard(run.config, SHARD)
    assert set(run.members().values()) == {spectrum.data for spectrum in spectra}


def test_refusals(make_run, tmp_path: Path):
    run = make_run([lamost(1)], "https://www.lamost.org/")
    with pytest.raises(DataError, match="rsync is for SDSS"):
        write_list(run.config, tmp_path / "list", "rsync")
    both = make_run([lamost(1), sdss(1)], "https://host/")
    with pytest.raises(DataError, match="switch one off"):
        write_list(both.config, tmp_path / "list", "urls")
    assert not (tmp_path / "list").exists()
