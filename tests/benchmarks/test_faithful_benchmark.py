"""The benchmark of faithfulness, on a run as small as can be."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

from click.testing import CliRunner

from benchmarks.__main__ import app
from benchmarks.run_spectra import read_some
from shard_runs import add_member
from spectrum_files import galaxy_flux, sdss_file
from specvit.config.data import Grid, Render
from specvit.config.learning import Model, RedshiftBins
from specvit.errors import DataError
from specvit.models import LabelStats, build_model, save_model
from specvit.tasks import tasks_of


def small_run(root: Path) -> Path:
    """A network with weights at random and five downloaded spectra, one of them no spectrum."""
    settings = Model(
        backbone="test_vit",
        backbone_args={"depth": 1},
        pretrained=False,
        redshift=RedshiftBins(bins=64),
    )
    stats = LabelStats(counts={"class": [5, 3, 2]}, mean={"redshift": 0.5}, std={"redshift": 0.5})
    tasks = tasks_of(["class", "redshift"])
    network = build_model(settings, tasks, Render(size=32, rows=4), stats, Grid())
    save_model(root / "models" / "vit", network)
    tar = root / "spectra" / "test-000000.tar"
    tar.parent.mkdir()
    with tarfile.open(tar, "w") as archive:
        for number in range(4):
            data = sdss_file(galaxy_flux(0.05 * number + 0.05))
            add_member(archive, f"spec-{number}.fits", data)
        add_member(archive, "spec-4.fits", b"<html>")
    return root


def test_a_run_is_measured(tmp_path: Path) -> None:
    run = small_run(tmp_path)
    assert list(read_some(run, "test", 10)) == [f"spec-{n}" for n in range(4)]
    path = tmp_path / "found.json"
    arguments = ["faithful", str(run), "--spectra", "10", "--json", str(path)]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert "4 test spectra" in done.output
    rows = json.loads(path.read_text())["rows"]
    assert len(rows) == 8  # tasks, how, methods
    assert {row["spectra"] for row in rows} == {4}
    assert all(row["gain_lo"] <= row["gain"] <= row["gain_hi"] for row in rows)


def test_a_run_without_downloads_is_a_sentence(tmp_path: Path) -> None:
    run = small_run(tmp_path)
    (run / "spectra" / "test-000000.tar").unlink()
    done = CliRunner().invoke(app, ["faithful", str(run)])
    assert isinstance(done.exception, DataError)
    assert "has no spectra of test" in str(done.exception)
