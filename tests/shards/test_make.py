"""Shards: what goes in, what comes out, and the same bytes every time."""

from __future__ import annotations

import io
import json
import os
import tarfile
import time
import zlib
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import cv2
import numpy as np
import pytest
import webdataset

from shard_runs import SHARDS, SPLIT, add_member, row, small_run, write_inputs
from spectrum_files import galaxy_flux, sdss_file
from specvit.catalog.schema import CATALOG_SCHEMA
from specvit.config.data import Grid, Render
from specvit.errors import DataError
from specvit.io import read_json, sha256_file
from specvit.paths import RunPaths
from specvit.plot import draw, render_hash
from specvit.shards import ShardJob, make_shard, make_shards, write_summary
from specvit.shards.index import INDEX_SCHEMA, KINDS, read_index
from specvit.spectrum import to_grid
from specvit.surveys.read import read_spectrum
from specvit.tar import read_members

GRID = Grid(pixels=512)
RENDER = Render(size=32, rows=4)
Samples = dict[str, dict[str, bytes]]


def make(paths: RunPaths, render: Render = RENDER, processes: int = 1) -> dict[str, Any]:
    make_shards([ShardJob(paths, shard, render, GRID, SPLIT) for shard in SHARDS], processes)
    return write_summary(paths, render, GRID, SPLIT, SHARDS)


def samples_of(path: Path) -> Samples:
    samples: Samples = {}
    for name, data in read_members(path):
        key, _, kind = name.partition(".")
        samples.setdefault(key, {})[kind] = data
    return samples


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunPaths:
    paths = small_run(tmp_path_factory.mktemp("run"))
    make(paths)
    return paths


def test_counts_in_are_counts_out_and_reasons(run: RunPaths) -> None:
    index = read_json(run.shards_summary("stacked-32"))
    assert index["counts"]["rows"] == 11
    assert index["counts"]["spectra"] == 9
    assert index["splits"]["train"]["classes"] == {"GALAXY": 3, "STAR": 2}
    assert [shard["shard"] for shard in index["shards"]] == list(SHARDS)
    assert {d["spectrum_id"]: d["reason"] for d in index["dropped"]} == {
        "gone-0": "download missing: HTTP 404",
        "page-0": "not a FITS file (starts with '<html>not here</html>')",
    }
    assert index["simulated"] is False
    assert index["render"] == RENDER.model_dump(mode="json")
    for shard in index["shards"]:
        path = run.shard("stacked-32", shard["shard"])
        assert shard["sha256"] == sha256_file(path)
        assert shard["index_sha256"] == sha256_file(path.with_suffix(".index.parquet"))
        assert shard["spectra"] == len(samples_of(path))


def test_each_sample_is_picture_flux_and_row(run: RunPaths) -> None:
    samples = samples_of(run.shard("stacked-32", "train-000000"))
    assert set(samples) == {"galaxy-0", "star-1", "galaxy-2", "star-3", "galaxy-4"}
    spectrum = read_spectrum(sdss_file(galaxy_flux(0.07)))
    sample = samples["galaxy-2"]
    picture = cv2.imdecode(np.frombuffer(sample["png"], np.uint8), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(picture, draw(spectrum, RENDER, GRID))
    values = json.loads(sample["json"])
    assert set(values) == {*CATALOG_SCHEMA.names, "flux_scale", "render"}
    assert (values["class"], values["z"], values["teff"]) == ("GALAXY", 0.07, None)
    assert values["render"] == render_hash(RENDER, GRID)
    flux = np.load(io.BytesIO(sample["npy"]))
    assert flux.dtype == np.float16
    expected = to_grid(spectrum, GRID)
    np.testing.assert_allclose(flux * values["flux_scale"], expected, rtol=2e-3)


def test_the_index_says_where_each_member_lies_and_what_its_row_is(run: RunPaths) -> None:
    tar = run.shard("stacked-32", "train-000000")
    samples, index = samples_of(tar), read_index([tar], INDEX_SCHEMA.names)
    assert index.renders == (render_hash(RENDER, GRID),)
    assert index.table["spectrum_id"].to_pylist() == list(samples)
    for kind in KINDS:
        assert list(index.contents(kind)) == [sample[kind] for sample in samples.values()]
    assert list(index.contents("png", [3, 0])) == [
        samples["star-1"]["png"],
        samples["galaxy-0"]["png"],
    ]
    for entry, sample in zip(index.table.to_pylist(), samples.values(), strict=True):
        values = json.loads(sample["json"])
        assert {name: entry[name] for name in values if name != "render"} == {
            name: value for name, value in values.items() if name != "render"
        }
        assert [entry[f"{k}_crc32"] for k in KINDS] == [zlib.crc32(sample[k]) for k in KINDS]


def test_gaps_are_nan_and_extremes_are_cut_not_infinite(tmp_path: Path) -> None:
    flux = galaxy_flux()
    flux[100] = 3e9
    mask = np.zeros(len(flux), int)
    mask[2000:2300] = 1 << 23
    paths = write_inputs(tmp_path, [(row("one"), sdss_file(flux, and_mask=mask))])
    make_shard(ShardJob(paths, "train-000000", RENDER, GRID, SPLIT))
    sample = samples_of(paths.shard("stacked-32", "train-000000"))["one"]
    array = np.load(io.BytesIO(sample["npy"]))
    assert 35 < np.isnan(array).sum() < 45
    assert np.nanmax(array) == np.finfo(np.float16).max


def test_colour_pictures_keep_their_channels(tmp_path: Path) -> None:
    paths = write_inputs(tmp_path, [(row("one"), sdss_file(galaxy_flux()))])
    render = Render(mode="overlap", size=48)
    make_shard(ShardJob(paths, "train-000000", render, GRID, SPLIT))
    sample = samples_of(paths.shard("overlap-48", "train-000000"))["one"]
    picture = webdataset.autodecode.imagehandler("rgb8")("x.png", sample["png"])
    expected = draw(read_spectrum(sdss_file(galaxy_flux())), render, GRID)
    np.testing.assert_array_equal(picture, expected)


def test_same_bytes_again_in_processes_in_other_zones_and_umasks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    render = Render(mode="map", size=32, rows=4)
    first, second = small_run(tmp_path / "a"), small_run(tmp_path / "b")
    make(first, render)
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    time.tzset()
    umask = os.umask(0o077)
    try:
        make(second, render, processes=2)
    finally:
        os.umask(umask)
        monkeypatch.undo()
        time.tzset()
    written = sorted(p.relative_to(first.root) for p in first.root.glob("shards/**/*.*"))
    assert len(written) == 10  # three tars with index and statistics, one summary
    for path in written:
        assert (first.root / path).read_bytes() == (second.root / path).read_bytes(), path


@pytest.fixture
def server(run: RunPaths) -> Iterator[str]:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    handler = partial(Quiet, directory=str(run.shard("stacked-32", "x").parent))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http:
        Thread(target=http.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{http.server_address[1]}"
        http.shutdown()


@pytest.mark.parametrize("where", ["file", "url"])
def test_plain_webdataset_streams_them(run: RunPaths, server: str, where: str) -> None:
    folder = str(run.shard("stacked-32", "x").parent) if where == "file" else server
    stream = webdataset.WebDataset(f"{folder}/train-000000.tar", shardshuffle=False)
    found = {s["__key__"]: s for s in stream.decode("rgb8")}
    assert set(found) == {"galaxy-0", "star-1", "galaxy-2", "star-3", "galaxy-4"}
    assert found["star-1"]["png"].shape == (32, 32, 3)
    assert found["star-1"]["npy"].shape == (512,)
    assert found["star-1"]["json"]["stellar_type"] == "G"


def test_a_rest_frame_plot_without_redshift_is_dropped(tmp_path: Path) -> None:
    data = sdss_file(galaxy_flux())
    paths = write_inputs(tmp_path, [(row("one", z=None), data), (row("two", z=0.1), data)])
    stats = make_shard(ShardJob(paths, "train-000000", Render(size=32, frame="rest"), GRID, SPLIT))
    assert stats["spectra"] == 1
    assert "needs a redshift" in stats["dropped"][0]["reason"]


def test_a_cut_tar_is_an_error_not_a_smaller_shard(tmp_path: Path) -> None:
    paths = small_run(tmp_path)
    make(paths)
    tar = paths.spectra("train-000000")
    tar.write_bytes(tar.read_bytes()[:150_000])
    with pytest.raises(DataError, match="cut off"):
        make_shard(ShardJob(paths, "train-000000", RENDER, GRID, SPLIT))
    # The old shard is whole, but its statistics are gone: it is not mistaken for a new one.
    assert len(samples_of(paths.shard("stacked-32", "train-000000"))) == 5
    assert not paths.shard_stats("stacked-32", "train-000000").exists()
    assert not paths.shard_index("stacked-32", "train-000000").exists()


def test_inputs_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    paths = small_run(tmp_path / "a")
    other = write_inputs(tmp_path / "b", [(row("galaxy-2"), sdss_file(galaxy_flux()))])
    job = ShardJob(paths, "train-000000", RENDER, GRID, SPLIT)
    ledger = paths.ledger("train-000000").read_bytes()
    paths.ledger("train-000000").write_bytes(other.ledger("train-000000").read_bytes())
    with pytest.raises(DataError, match=r"other spectra than the catalogue has .*\(1 and 6\)"):
        make_shard(job)
    paths.ledger("train-000000").write_bytes(ledger)
    paths.spectra("train-000000").write_bytes(other.spectra("train-000000").read_bytes())
    with pytest.raises(DataError, match=r"has galaxy-2\.fits where its ledger has galaxy-0"):
        make_shard(job)
    paths.spectra("train-000000").unlink()
    with pytest.raises(DataError, match="does not exist"):
        make_shard(job)


def test_two_spectra_that_changed_places_are_not_drawn(tmp_path: Path) -> None:
    """Each would be under the other's labels."""
    paths = small_run(tmp_path)
    members = dict(read_members(paths.spectra("train-000000")))
    names, swapped = list(members), list(members.values())
    swapped[0], swapped[1] = swapped[1], swapped[0]
    with tarfile.open(paths.spectra("train-000000"), "w") as archive:
        for name, data in zip(names, swapped, strict=True):
            add_member(archive, name, data)
    with pytest.raises(DataError, match=rf"{names[0]} has not the bytes that its ledger says"):
        make(paths)
    assert not paths.shard("stacked-32", "train-000000").exists()


def test_the_summary_refuses_what_does_not_add_up(tmp_path: Path) -> None:
    paths = small_run(tmp_path)
    make(paths)
    with pytest.raises(DataError, match="other settings"):
        write_summary(paths, RENDER, Grid(pixels=256), SPLIT, SHARDS)
    stats = paths.shard_stats("stacked-32", "val-000000")
    stats.write_text(stats.read_text().replace('"rows": 2', '"rows": 3'))
    with pytest.raises(DataError, match="3 rows, but 2 spectra and 0 dropped"):
        write_summary(paths, RENDER, GRID, SPLIT, SHARDS)
    stats.unlink()
    with pytest.raises(DataError, match=r"val-000000\.stats\.json does not exist"):
        write_summary(paths, RENDER, GRID, SPLIT, SHARDS)


def test_a_split_without_any_spectrum_says_why(tmp_path: Path) -> None:
    paths = write_inputs(tmp_path, [(row("a"), "HTTP 404"), (row("b"), "HTTP 404")])
    make_shard(ShardJob(paths, "train-000000", RENDER, GRID, SPLIT))
    with pytest.raises(DataError, match=r"train has no spectrum .* 2 x download missing: HTTP 404"):
        write_summary(paths, RENDER, GRID, SPLIT, ["train-000000"])
