"""`specvit plot` and `specvit gallery`."""

from __future__ import annotations

import base64
import gzip
import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest

from shard_runs import SHARDS, SPLIT, small_run
from spectrum_files import galaxy_flux, sdss_file
from specvit.cli import main
from specvit.config import merge, validate
from specvit.config.data import Grid, Render
from specvit.errors import DataError
from specvit.plot import draw
from specvit.plot.axes import picture_svg, row_ends
from specvit.plot.gallery import gallery_items
from specvit.plot.modes import panel_count
from specvit.shards import ShardJob, make_shards, write_summary
from specvit.surveys.read import read_spectrum
from specvit.tar import read_members

GRID = Grid(pixels=256)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "one.fits.gz"
    path.write_bytes(gzip.compress(sdss_file(galaxy_flux())))
    return path


def read_png(path: Path) -> np.ndarray:
    return cv2.imread(str(path), cv2.IMREAD_UNCHANGED)


def test_plot_writes_what_the_model_sees(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["plot", str(file), "--mode", "line", "--size", "80", "--line-width", "2"])
    assert capsys.readouterr().out == "one.png\n"
    render = Render(mode="line", size=80, line_width=2.0)
    expected = draw(read_spectrum(file.read_bytes()), render, Grid())
    np.testing.assert_array_equal(read_png(Path("one.png")), expected)


def test_plot_takes_the_settings_of_a_run(file: Path) -> None:
    config = {
        "surveys": {"files": {"base_url": "file:///data"}},
        "render": [{"size": 64}, {"mode": "map", "size": 48, "name": "second"}],
        "grid": {"wave_max": 8000.0},
    }
    options = ["--config", json.dumps(config), "--render", "second", "--rows", "12"]
    main(["plot", str(file), *options, "--out", "deep/er.png"])
    grid = Grid(wave_max=8000.0)
    expected = draw(read_spectrum(file.read_bytes()), Render(mode="map", size=48, rows=12), grid)
    np.testing.assert_array_equal(read_png(Path("deep/er.png")), expected)


@pytest.mark.parametrize("mode", ["line", "overlap", "stacked", "map"])
def test_plot_with_axes_for_people(file: Path, mode: str) -> None:
    for name in ("a.png", "b.png"):
        main(["plot", str(file), "--mode", mode, "--axes", "--rest", "--out", name])
    assert read_png(Path("a.png")).shape[0] == 900
    assert Path("a.png").read_bytes() == Path("b.png").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--size", "4"], "size Input should be greater than or equal to 16"),
        (["--rows", "250"], "rows = 250 must not be above size = 224"),
        (["--render", "x"], "--render needs --config"),
    ],
)
def test_plot_mistakes_end_in_a_sentence(
    file: Path, arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["plot", str(file), *arguments])
    assert stop.value.code != 0
    assert sentence in capsys.readouterr().err


def test_plot_of_something_else_names_file_and_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.fits"
    page.write_text("<html>")
    with pytest.raises(SystemExit):
        main(["plot", str(page)])
    assert f"{page}: not a FITS file (starts with '<html>')" in capsys.readouterr().err


@pytest.fixture
def run(tmp_path: Path) -> Path:
    paths = small_run(tmp_path / "results" / "mine")
    for render in (Render(size=32, rows=4), Render(mode="overlap", size=200, rows=4)):
        make_shards([ShardJob(paths, shard, render, GRID, SPLIT) for shard in SHARDS])
        write_summary(paths, render, GRID, SPLIT, SHARDS)
    return paths.root


def settings(run: Path, **over: Any) -> dict[str, Any]:
    """The configuration of the run above; its two sets of plots are its own and an experiment's."""
    overlap = {"name": "vit-overlap", "render": {"mode": "overlap", "size": 200}}
    fixed = {
        "run": "mine",
        "results_dir": str(run.parent),
        "surveys": {"files": {"base_url": "file:///data"}},
        "split": SPLIT.model_dump(mode="json"),
        "grid": {"pixels": GRID.pixels},
        "render": {"size": 32, "rows": 4},
        "experiments": [overlap],
        "report": {"examples": 2},
    }
    return merge(fixed, over)


def items_of(run: Path, label: str, **over: Any) -> list[dict[str, Any]]:
    config = validate(settings(run, **over))
    return gallery_items(config, config.renders[label])


def test_gallery_items_are_members_of_shards(run: Path) -> None:
    folder = run / "shards" / "stacked-32"
    items = items_of(run, "stacked-32")
    assert [item["class"] for item in items] == ["STAR", "STAR", "GALAXY", "GALAXY"]
    members = {name: data for tar in folder.glob("*.tar") for name, data in read_members(tar)}
    for item in items:
        assert members[f"{item['spectrum_id']}.png"] == item["png"]
        assert (item["mode"], item["label"], item["size"]) == ("stacked", "stacked-32", 32)
    assert "galaxy-8" in {item["spectrum_id"] for item in items}  # of the test split
    assert items_of(run, "stacked-32") == items
    assert items_of(run, "stacked-32", report={"examples": 0}) == []


@pytest.mark.parametrize(
    ("over", "told"),
    [
        ({"split": {"seed": 7}}, r"split\.seed = 1, not 7"),
        ({"split": {"shards": {"train": 2}}}, r"split\.shards\.train = 1, not 2"),
        ({"grid": {"pixels": 600}}, r"has other plots"),
        ({"render": {"size": 64}}, r"stacked-64/shards\.json does not exist"),
    ],
)
def test_no_gallery_of_plots_that_other_settings_made(run: Path, over: Any, told: str) -> None:
    with pytest.raises(DataError, match=told):
        items_of(run, "stacked-64" if "render" in over else "stacked-32", **over)


def test_gallery_page_shows_the_same_pixels(run: Path) -> None:
    main(["gallery", "--config", json.dumps(settings(run))])
    page = (run / "gallery.html").read_text()
    shown = {base64.b64decode(data) for data in re.findall(r'base64,([^"]+)"', page)}
    items = [i for label in ("stacked-32", "overlap-200") for i in items_of(run, label)]
    assert shown == {item["png"] for item in items}
    assert page.count('width="256" height="256"') == 4  # 32 pixels, eight times enlarged
    assert page.count('width="200" height="200"') == 4
    assert not re.search(r"https?://", page)  # nothing is fetched
    assert "Simulated" not in page


def test_gallery_says_simulated(run: Path) -> None:
    for path in run.glob("shards/*/shards.json"):
        path.write_text(path.read_text().replace('"simulated": false', '"simulated": true'))
    main(["gallery", "--config", json.dumps(settings(run))])
    page = (run / "gallery.html").read_text()
    assert "(simulated data)</title>" in page
    assert "<strong>Simulated data.</strong>" in page


@pytest.mark.parametrize("mode", ["line", "overlap", "stacked", "map"])
def test_the_large_picture_has_its_wavelengths_where_the_curve_has_them(mode: str) -> None:
    render, grid = Render(mode=mode, size=64, rows=4), Grid(wave_min=4000, wave_max=8000)
    svg = ElementTree.fromstring(
        picture_svg(b"png", render, grid).replace("<svg", '<svg xmlns:h="h"', 1)
    )
    rows = panel_count(render)
    for text in svg.iter("text"):
        x, wave = float(text.get("x", "nan")), float(text.text or "nan")
        at = np.log(wave / 4000) / np.log(2) * rows
        if mode in ("stacked", "map"):
            row = int(float(text.get("y", "nan")) // (512 / rows))
            assert at == pytest.approx(row + (x > 0), abs=1e-3)
        else:
            row = round(float(text.get("y", "nan")) - 512) // 18 - 1
            assert x / 512 + row == pytest.approx(at, abs=1e-3)
    assert len(list(svg.iter("text"))) >= 2 * rows


def test_rows_that_are_read_backwards_have_their_ends_exchanged() -> None:
    grid = Grid(wave_min=4000, wave_max=8000)
    ends = row_ends(Render(mode="map", size=64, rows=2, boustrophedon=True), grid)
    middle = 4000 * 2**0.5
    np.testing.assert_allclose(ends, [[4000, middle], [8000, middle]])
