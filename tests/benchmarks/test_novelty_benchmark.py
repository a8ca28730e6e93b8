"""The benchmark of novelty, on made-up shards."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from click.testing import CliRunner
from test_faithful_benchmark import small_run

from benchmarks.__main__ import app
from benchmarks.novelty import MADE, scores
from shard_runs import write_shard
from spectrum_files import galaxy_flux, spectrum_of
from specvit.config.data import Grid, Render
from specvit.errors import DataError
from specvit.plot import draw, render_hash
from specvit.shards.sample import Sample, png_bytes
from specvit.tasks import CLASSES


def test_every_made_spectrum_differs_and_can_be_drawn() -> None:
    spectrum = spectrum_of(galaxy_flux())
    usual = draw(spectrum, Render(size=32, rows=4), Grid())
    for name, change in MADE.items():
        picture = draw(change(spectrum, np.random.default_rng(0)), Render(size=32, rows=4), Grid())
        assert (picture != usual).mean() > 0.1, name


def test_each_score_is_larger_far_away() -> None:
    rng = np.random.default_rng(0)
    train = rng.normal([10, 0, 0], size=(200, 3))
    far = np.array([[0.0, 10.0, 0.0]])
    for name, score in scores(train, ["STAR"] * 200).items():
        assert score(far)[0] > 3 * np.median(score(train + 1e-3)), name


def test_the_benchmark_compares(tmp_path: Path) -> None:
    run = small_run(tmp_path)
    render = Render(size=32, rows=4)
    for split, count in {"train": 48, "val": 24, "test": 24}.items():
        samples = []
        for n in range(count):
            picture = draw(spectrum_of(galaxy_flux(0.01 + 0.004 * n)), render, Grid())
            values = {"spectrum_id": f"{split}-{n:02d}", "class": CLASSES[n % 3], "z": 0.1}
            samples.append(Sample({**values, "survey": "sdss"}, png_bytes(picture), b""))
        tar = run / "shards" / render.label / f"{split}-000000.tar"
        write_shard(tar, samples, render_hash(render, Grid()))
    path = tmp_path / "found.json"
    arguments = ["novelty", str(run), "--hold-out", "QSO", "--epochs", "1", "--json", str(path)]
    done = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    rows = json.loads(path.read_text())["rows"]
    assert {row["spectra"] for row in rows} == {*MADE, "QSO, held out"}
    assert {row["score"] for row in rows} >= {"mahalanobis", "5-th neighbour"}
    assert all(0 <= row["auc"] <= 1 for row in rows)
    held_out = [row for row in rows if row["spectra"] == "QSO, held out"]
    assert {row["n"] for row in held_out} == {8}


def test_a_run_without_shards_is_a_sentence(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["novelty", str(small_run(tmp_path))])
    assert isinstance(done.exception, DataError)
    assert "has no shards of train" in str(done.exception)
