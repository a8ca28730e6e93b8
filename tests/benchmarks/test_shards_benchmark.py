"""`python -m benchmarks shards` measures what it says, on real shards of any files."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from benchmarks import shards
from benchmarks.__main__ import main
from spectrum_files import galaxy_flux, lamost_image_file, lamost_table_file, sdss_file
from specvit.io import read_json


def test_figures_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "spectra" / "deep"
    folder.mkdir(parents=True)
    flux = galaxy_flux()
    (folder / "a.fits").write_bytes(sdss_file(flux))
    (folder / "b.fits.gz").write_bytes(gzip.compress(lamost_image_file(flux)))
    (folder / "c.fits").write_bytes(lamost_table_file(flux))
    (folder / "d.fits").write_bytes(b"<html>")
    monkeypatch.setattr(shards, "REPEATS", 1)
    json_path = tmp_path / "figures.json"
    options = ["--spectra", str(folder.parent), "--count", "5", "--no-scaling"]
    main(["shards", *options, "--json", str(json_path)])
    figures = read_json(json_path)
    assert figures["distinct"] == 3
    assert figures["ratio"] == pytest.approx(figures["rate"] / figures["reference_rate"])
    assert set(figures["modes"]) == {render.label for render in shards.RENDERS}
    assert figures["peak_rss_mb"] > 50
    assert figures["cores"] == 1
