"""`Model.explain` and `specvit explain`."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
import small_model
import torch
from click.testing import CliRunner

import specvit
from spectrum_files import galaxy_flux, sdss_file
from specvit.cli import app
from specvit.config.data import Grid, Render
from specvit.config.learning import Model, RedshiftBins
from specvit.errors import ConfigError, DataError, SpectrumError
from specvit.explain.lines import lines_between
from specvit.explain.relevance import attention_rollout
from specvit.models import build_model, save_model

mpl.use("agg")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "spec.fits"
    path.write_bytes(sdss_file(galaxy_flux()))
    return path


def test_an_explanation_says_where(folder: Path, path: Path) -> None:
    model = specvit.load(folder)
    found = model.explain(path)
    assert found.answer["z"] == model.predict(path)["z"][0]
    star = found.answer["class"] == "STAR"
    assert set(found.relevance) == {"class", "redshift", *["stellar_type"] * star}
    table = found.table
    assert list(table)[:4] == ["low", "high", "class_rollout", "class_gradient"]
    assert table["low"].iloc[0] == pytest.approx(3800)
    assert table["high"].iloc[-1] == pytest.approx(9200)
    np.testing.assert_allclose(table.filter(regex="_(rollout|gradient)").sum(), 1, atol=1e-6)
    most = found.most("redshift", count=64)
    assert most["share"].is_monotonic_decreasing
    assert most["share"].sum() == pytest.approx(1)
    spectrum = specvit.read(path)
    again = model.explain(spectrum).relevance["redshift"]["gradient"]
    np.testing.assert_array_equal(again, found.relevance["redshift"]["gradient"])


def test_the_answer_is_as_before(folder: Path, path: Path) -> None:
    model = specvit.load(folder)
    before = model.predict(path)
    model.explain(path)
    assert model.predict(path).equals(before)


@pytest.mark.parametrize(
    ("backbone", "pool"),
    [("test_vit", "token"), ("test_vit", "avg"), ("test_vit", "map"), ("test_vit3", "avg")],
)
def test_rollout_of_every_pooling(backbone: str, pool: str) -> None:
    settings = Model(
        backbone=backbone,
        backbone_args={"global_pool": pool},
        pretrained=False,
        redshift=RedshiftBins(bins=64),
    )
    network = build_model(
        settings, small_model.TASKS, small_model.RENDER, small_model.STATS, Grid()
    ).eval()
    pictures = torch.randint(0, 255, (2, 1, 32, 32), dtype=torch.uint8)
    fused = [block.attn.fused_attn for block in network.backbone.blocks]
    for task in small_model.TASKS[:3]:
        share = attention_rollout(network, pictures, task)
        assert share.shape == (2, 2, 2)
        assert (share > 0).all()
        assert (share.sum(dim=(1, 2)) < 1 + 1e-5).all()
    assert [block.attn.fused_attn for block in network.backbone.blocks] == fused


def test_a_gap_is_explained_too(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "spec.fits"
    ivar = np.full(3840, 2500.0)
    ivar[1000:2500] = 0
    path.write_bytes(sdss_file(galaxy_flux(), ivar=ivar))
    assert np.isfinite(specvit.load(folder).explain(path).table).all(axis=None)


def test_a_flat_spectrum_has_no_gradient(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "spec.fits"
    path.write_bytes(sdss_file(np.ones(3840, np.float32)))
    found = specvit.load(folder).explain(path)
    assert found.relevance["class"]["gradient"].sum() == 0
    found.write(tmp_path / "flat.png")


def test_lines_move_with_redshift() -> None:
    assert lines_between(6560, 6570, 0.0) == [("Hα", pytest.approx(6564.614))]
    assert lines_between(7000, 7400, 0.1) == [
        ("Hα", pytest.approx(7221.0754)),
        ("[S II]", pytest.approx(7398.0346)),
    ]


def test_the_command_writes_and_says(
    folder: Path, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["explain", "--model", str(folder), str(path)])
    assert done.exit_code == 0, done.output
    first = (tmp_path / "spec.explain.png").read_bytes()
    assert first.startswith(b"\x89PNG")
    assert "class: most relevant" in done.output
    assert done.output.startswith("266-51602-1: ")
    for name in ("again.png", "why.svg", "why.pdf"):
        done = CliRunner().invoke(app, ["explain", "--model", str(folder), "-o", name, str(path)])
        assert done.exit_code == 0, done.output
    assert (tmp_path / "again.png").read_bytes() == first


def test_what_cannot_be_explained(
    folder: Path, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["explain", "--model", str(folder), "-o", "why.gif", str(path)]
    refused = CliRunner().invoke(app, arguments)
    assert isinstance(refused.exception, ConfigError)
    assert "must be one of .png, .pdf, .svg" in str(refused.exception)
    model = specvit.load(folder)
    with pytest.raises(SpectrumError, match="No such file"):
        model.explain(tmp_path / "none.fits")
    far = (np.linspace(10_000, 12_000, 500), np.ones(500))
    with pytest.raises(SpectrumError, match="no data between"):
        model.explain(far)
    monkeypatch.setattr("specvit.explain.relevance.FUSED", "another_name")
    with pytest.raises(DataError, match="does not show its attention"):
        model.explain(path)
    model.engine = object()
    with pytest.raises(DataError, match="only networks see pictures"):
        model.explain(path)


def test_colour_pictures_are_explained(tmp_path: Path, path: Path) -> None:
    settings = Model(
        backbone="test_vit", backbone_args={"depth": 1}, pretrained=False,
        redshift=RedshiftBins(bins=64),
    )  # fmt: skip
    render = Render(mode="overlap", size=32)
    network = build_model(settings, small_model.TASKS, render, small_model.STATS, Grid())
    save_model(tmp_path / "vit", network)
    table = specvit.load(tmp_path / "vit").explain(path).table
    assert len(table) == 96
    assert table["class_gradient"].sum() == pytest.approx(1)


def test_the_command_draws_means_by_class(folder: Path, spectra: Path, tmp_path: Path) -> None:
    (spectra / "broken.fits").write_bytes(b"<html>")
    out = tmp_path / "classes.png"
    arguments = ["explain", "--model", str(folder), "--by-class", "-o", str(out), str(spectra)]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert out.read_bytes().startswith(b"\x89PNG")
    assert "5 spectra" in done.output
    assert "not explained: 1 x " in done.output
    for path in spectra.glob("spec-*.fits"):
        path.unlink()
    none = CliRunner().invoke(app, arguments)
    assert isinstance(none.exception, DataError)
    assert "holds no spectrum that could be explained" in str(none.exception)
