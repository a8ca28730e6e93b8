"""Three lines of Python."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

import specvit
from spectrum_files import LOGLAM, galaxy_flux, sdss_file, spectrum_of
from specvit.errors import ConfigError, DataError, SpectrumError
from specvit.io import write_json


def test_import_specvit_is_light() -> None:
    code = (
        "import sys, specvit; specvit.read, specvit.Spectrum, specvit.open_run, specvit.draw; "
        "print([m for m in ('torch', 'timm', 'sklearn', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_everything_named_is_there() -> None:
    for name in specvit.__all__:
        assert getattr(specvit, name) is not None
        assert name in dir(specvit)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = specvit.nothing


def test_every_kind_of_input_gives_the_same_answer(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "spec.fits"
    flux = galaxy_flux()
    path.write_bytes(sdss_file(flux))
    model = specvit.load(folder)
    assert [task.name for task in model.tasks] == ["class", "stellar_type", "redshift", "teff"]
    spectrum = specvit.read(path)
    arrays = (spectrum.wavelength, spectrum.flux, spectrum.ivar)
    inputs = [str(path), path, spectrum, arrays, pd.DataFrame({"wave": arrays[0], "flux": flux})]
    table = model.predict(inputs)
    assert table["reason"].isna().all()
    numbers = table.select_dtypes("number").drop(columns="snr")
    np.testing.assert_allclose(numbers, numbers.iloc[[0] * 5], atol=1e-5)
    for one in inputs:
        assert len(model.predict(one)) == 1
    assert len(model.predict([])) == 0
    assert list(model.predict([]).columns) == list(table.columns)
    assert model.predict(iter([path, "none.fits"]))["reason"].notna().tolist() == [False, True]
    assert model.picture(spectrum).shape == (32, 32)
    assert str(folder) in repr(model)


def test_something_else_is_no_row_but_an_error(folder: Path) -> None:
    with pytest.raises(DataError, match="a int is no spectrum: give a path"):
        specvit.load(folder).predict([3])


def test_read_says_why_not(tmp_path: Path) -> None:
    with pytest.raises(SpectrumError, match=r"none\.fits: cannot read: No such file"):
        specvit.read(tmp_path / "none.fits")
    for name in ("a.fits", "b.fits"):
        (tmp_path / name).write_bytes(sdss_file(galaxy_flux()))
    with pytest.raises(SpectrumError, match="more than one spectrum"):
        specvit.read(tmp_path)


def test_draw_takes_the_configurations_keys() -> None:
    spectrum = spectrum_of(galaxy_flux())
    assert specvit.draw(spectrum).shape == (224, 224)
    assert specvit.draw(spectrum, mode="overlap", size=48).shape == (48, 48, 3)
    narrow = specvit.draw(spectrum, mode="line", wave_min=6000, wave_max=7000)
    assert (narrow != specvit.draw(spectrum, mode="line")).any()
    with pytest.raises(ConfigError, match="mode"):
        specvit.draw(spectrum, mode="oil")
    with pytest.raises(ConfigError, match="colour"):
        specvit.draw(spectrum, colour="blue")


def test_plot_shows_data_and_leaves_gaps(monkeypatch: pytest.MonkeyPatch) -> None:
    mpl.use("agg")
    good = np.ones(len(LOGLAM), bool)
    good[1000:1100] = False
    spectrum = spectrum_of(galaxy_flux(), good=good)
    axes = spectrum.plot()
    drawn = axes.lines[0].get_ydata()
    assert np.isnan(drawn[1000:1100]).all()
    assert np.isfinite(drawn[:1000]).all()
    assert "266-51602-1" in axes.get_title()
    assert spectrum.plot(axes, errors=False) is axes
    mpl.pyplot.close(axes.figure)


def test_to_specutils_without_specutils_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "specutils", None)
    with pytest.raises(DataError, match="pip install specutils"):
        spectrum_of(galaxy_flux()).to_specutils()


def test_open_run(tmp_path: Path) -> None:
    run = specvit.open_run(tmp_path)
    with pytest.raises(DataError, match=r"catalog\.parquet does not exist"):
        _ = run.catalogue
    frame = pd.DataFrame({"spectrum_id": ["a"]})
    frame.to_parquet(tmp_path / "catalog.parquet")
    (tmp_path / "predictions" / "val").mkdir(parents=True)
    for name in ("svm", "vit"):
        frame.to_parquet(tmp_path / "predictions" / f"{name}.parquet")
    frame.to_parquet(tmp_path / "predictions" / "val" / "vit.parquet")
    assert run.models == ["svm", "vit"]
    write_json(tmp_path / "metrics.json", {"models": ["vit", "svm"]})
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "confusion.png").touch()
    assert run.models == ["vit", "svm"]
    assert run.catalogue.equals(frame)
    assert run.predictions().equals(frame)
    assert run.predictions("vit", "val").equals(frame)
    assert run.metrics == json.loads((tmp_path / "metrics.json").read_text())
    assert list(run.figures) == ["confusion"]
    assert str(tmp_path) in repr(run)
    with pytest.raises(DataError, match="is not a run's folder"):
        specvit.open_run(tmp_path / "none")
