"""What is unlike training: the score, the file, the flag, the nearest."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import small_model

import specvit
from shard_runs import PLAN, write_shard
from spectrum_files import galaxy_flux, spectrum_of
from specvit.errors import DataError, SpectrumError
from specvit.io import read_json
from specvit.models import load_model
from specvit.novelty import FEW, NAME, Novelty
from specvit.plot import draw, render_hash
from specvit.predict.embed import embed_shards
from specvit.shards.sample import Sample, png_bytes
from specvit.shards.subset import Subset


def rows_of(classes: list[str | None]) -> pd.DataFrame:
    ids = [f"s{number:03d}" for number in range(len(classes))]
    return pd.DataFrame({"spectrum_id": ids, "class": classes, "z": 0.25})


def two_clouds(count: int, seed: int) -> np.ndarray:
    """Two long thin clouds in four dimensions, by turns."""
    rng = np.random.default_rng(seed)
    centres = np.array([[0, 0, 0, 0], [20, 0, 0, 0]])[np.arange(count) % 2]
    return centres + rng.normal(size=(count, 4)) * [1, 10, 0.1, 1]


@pytest.fixture(scope="module")
def fitted() -> Novelty:
    rows = rows_of(["STAR", "QSO"] * 250)
    return Novelty.fit(two_clouds(500, 0), rows, two_clouds(300, 1), "abc")


def test_one_in_a_hundred_is_above_the_threshold(fitted: Novelty) -> None:
    scores = fitted.score(two_clouds(4000, 2))
    assert 0.003 < (scores > 1).mean() < 0.03


def test_far_is_measured_in_the_clouds_own_width(fitted: Novelty) -> None:
    beside, along, between = np.zeros((3, 1, 4))
    beside[0, 2], along[0, 1], between[0, 0] = 2.0, 10.0, 10.0
    assert fitted.score(beside)[0] > 1
    assert fitted.score(along)[0] < 1
    # Between two classes is not like either: one Gaussian around both would call it the middle.
    assert fitted.score(between)[0] > 1


def test_the_nearest_are_kept_with_their_names(fitted: Novelty) -> None:
    near = fitted.nearest(fitted.embeddings[7].astype(float), 3)
    assert near["spectrum_id"][0] == "s007"
    assert near["distance"][0] == pytest.approx(0, abs=1e-6)
    assert near["distance"].is_monotonic_increasing
    assert list(near) == ["spectrum_id", "class", "z", "distance"]
    assert (near["class"] == "QSO").all()


def test_a_file_gives_it_back(fitted: Novelty, tmp_path: Path) -> None:
    fitted.write(tmp_path / NAME)
    first = (tmp_path / NAME).read_bytes()
    back = Novelty.read(tmp_path, "abc")
    assert back is not None
    some = two_clouds(50, 3)
    np.testing.assert_allclose(back.score(some), fitted.score(some), rtol=1e-5)
    pd.testing.assert_frame_equal(back.rows, fitted.rows)
    back.write(tmp_path / NAME)
    assert (tmp_path / NAME).read_bytes() == first
    assert Novelty.read(tmp_path, "of another training") is None
    assert Novelty.read(tmp_path / "none", "abc") is None
    (tmp_path / NAME).write_bytes(first[:100])
    with pytest.raises(DataError, match=r"novelty\.safetensors cannot be read"):
        Novelty.read(tmp_path, "abc")


@pytest.mark.parametrize("count", [1, 2, FEW - 1])
def test_too_few_flag_nothing(count: int, tmp_path: Path) -> None:
    some = two_clouds(count, 0)
    few = Novelty.fit(some, rows_of([None] * count), some, "abc")
    few.write(tmp_path / NAME)
    back = Novelty.read(tmp_path, "abc")
    assert back is not None
    assert (back.score(two_clouds(10, 1) + 1e3) == 0).all()
    assert len(back.nearest(some[0], 5)) == min(count, 5)


def test_dimensions_that_never_move_are_no_matter() -> None:
    still = np.hstack([two_clouds(100, 0), np.ones((100, 3))])
    found = Novelty.fit(still, rows_of(["STAR"] * 100), still, "abc")
    assert np.isfinite(found.score(still)).all()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network that knows galaxies at S/N 50, and nothing else."""
    folder = small_model.save_small(tmp_path_factory.mktemp("novelty") / "vit")
    model = specvit.load(folder)
    flux = [galaxy_flux(z) for z in np.linspace(0.01, 0.3, 60)]
    found = model.embed([spectrum_of(one) for one in flux])
    rows = rows_of(["GALAXY"] * 40)
    weights = read_json(folder / "model.json")["weights_sha256"]
    Novelty.fit(found[:40], rows, found[20:], weights).write(folder / NAME)
    return folder


def test_a_spectrum_unlike_training_is_flagged(folder: Path) -> None:
    model = specvit.load(folder)
    usual = spectrum_of(galaxy_flux(0.123))
    noise = spectrum_of(np.random.default_rng(0).normal(size=3840))
    table = model.predict([usual, "none.fits", noise])
    unlike = table["flags"].str.contains("unlike anything in training")
    assert unlike.tolist() == [False, False, True]
    found = model.embed([usual, "none.fits", noise])
    assert found.shape == (3, 128)
    assert np.isnan(found).all(axis=1).tolist() == [False, True, False]
    scores = model.novelty(found)
    assert scores[0] < 1 < scores[2]
    assert model.embed([]).shape == (0, 128)
    assert list(model.nearest(usual, 2)["class"]) == ["GALAXY"] * 2
    with pytest.raises(SpectrumError, match="No such file"):
        model.nearest("none.fits")


def test_a_model_without_the_file_says_so(bare_folder: Path) -> None:
    model = specvit.load(bare_folder)
    with pytest.raises(DataError, match="does not say what training was like"):
        model.nearest(spectrum_of(galaxy_flux()))
    assert "unlike" not in model.predict(spectrum_of(galaxy_flux()))["flags"][0]


def test_the_file_of_another_training_is_not_used(folder: Path, tmp_path: Path) -> None:
    other = small_model.save_small(tmp_path / "vit", seed=1)
    shutil.copy(folder / NAME, other / NAME)
    with pytest.raises(DataError, match="does not say"):
        specvit.load(other).novelty(np.zeros((1, 128)))


def test_shards_give_the_embeddings_that_files_give(folder: Path, tmp_path: Path) -> None:
    model = specvit.load(folder)
    spectra = [spectrum_of(galaxy_flux(0.02 * number)) for number in range(1, 13)]
    pictures = [draw(one, small_model.RENDER, model.grid) for one in spectra]
    values = {"class": "GALAXY", "survey": "sdss", "object_id": "o", "z": 0.1}
    samples = [
        Sample({**values, "spectrum_id": f"s{n:02d}"}, png_bytes(picture), b"")
        for n, picture in enumerate(pictures)
    ]
    tar = tmp_path / "train-000000.tar"
    write_shard(tar, samples, render_hash(small_model.RENDER, model.grid), PLAN)
    network = load_model(folder)
    found, rows = embed_shards(network, [tar])
    np.testing.assert_allclose(found, model.embed(spectra), atol=1e-5)
    assert list(rows["spectrum_id"]) == [f"s{n:02d}" for n in range(12)]
    some, rows = embed_shards(network, [tar], most=4)
    assert list(rows["spectrum_id"]) == ["s00", "s03", "s06", "s09"]
    np.testing.assert_allclose(some, found[::3], atol=1e-5)
    none, rows = embed_shards(network, [tar], Subset(surveys=("lamost",)))
    assert none.shape == (0, 128)
    assert len(rows) == 0
