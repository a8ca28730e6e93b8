"""The one-dimensional network: what it reads, that it learns, that it repeats itself."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from made_flux import GRID, as_rows, make

from specvit.baselines.baseline import Setup
from specvit.baselines.cnn1d import Cnn1d
from specvit.baselines.features import normalise
from specvit.baselines.network import Description, Network
from specvit.baselines.rows import labels_of
from specvit.config.baselines import Cnn1dSettings
from specvit.config.data import Grid
from specvit.config.learning import RedshiftBins
from specvit.errors import DataError
from specvit.models.labels import LabelStats
from specvit.models.redshift import Bins
from specvit.tasks import tasks_of

BINS = RedshiftBins(z_min=-0.02, z_max=2.0, bins=128)
NAMES = ("class", "redshift", "teff")


def fit(epochs: int = 8, seed: int = 1) -> tuple[Cnn1d, dict]:
    read = {"model.redshift": BINS}
    setup = Setup(tasks_of(NAMES), Cnn1dSettings(epochs=epochs), GRID, seed, 1, read=read)
    return Cnn1d.fit(as_rows(make(240, 1)), as_rows(make(60, 2)), setup)


@pytest.fixture(scope="module")
def fitted():
    torch.manual_seed(77)
    before = torch.get_rng_state()
    model, told = fit()
    assert torch.equal(torch.get_rng_state(), before), "the caller's generator was used"
    return model, told


def columns(model: Cnn1d, rows) -> dict[str, np.ndarray]:
    answers = model.predict(rows.flux)
    return {
        name: value
        for task in model.tasks
        for name, value in answers[task.name].columns(task, labels_of(rows.table, task)).items()
    }


def test_it_learns_classes_and_redshifts(fitted):
    model, told = fitted
    test = as_rows(make(90, 3))
    found = columns(model, test)
    assert np.mean(found["class_pred"] == test.table["class"]) > 0.9
    z = test.table["z"]
    assert np.median(np.abs(found["redshift_pred"] - z) / (1 + z)) < 0.02
    assert np.isnan(found["teff_pit"][test.table["teff"].isna()]).all()
    assert np.isfinite(found["teff_pred"]).all()
    scores = [point["score"] for point in told["grid"]]
    assert told["chosen"]["epoch"] == 1 + int(np.argmin(scores))


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(tmp_path):
    for folder, seed in (("a", 1), ("b", 1), ("c", 2)):
        fit(1, seed)[0].save(tmp_path / folder)
    data = {x: (tmp_path / x / "model.safetensors").read_bytes() for x in "abc"}
    assert data["a"] == data["b"] != data["c"]


def test_saved_and_loaded_it_answers_the_same(fitted, tmp_path):
    model, _ = fitted
    model.save(tmp_path)
    rows = as_rows(make(12, 4))
    before, after = columns(model, rows), columns(Cnn1d.load(tmp_path), rows)
    for name, value in before.items():
        np.testing.assert_array_equal(after[name], value, err_msg=name)


def test_mean_and_scale_of_pixels_are_those_of_train(fitted):
    model, _ = fitted
    data = normalise(make(240, 1)[1]).astype(np.float64)
    np.testing.assert_allclose(model.centre, data.mean(axis=0), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(model.scale, data.std(axis=0), rtol=1e-3)


def test_places_lie_in_log_wavelength_and_cover_it_once():
    tasks = tasks_of(["redshift"])
    stats = LabelStats(mean={"redshift": 0.0}, std={"redshift": 1.0})
    network = Network(Description(tasks, Grid(), RedshiftBins(), stats))
    layout = network.heads["redshift"].correlation.layout
    bins = Bins.of(RedshiftBins())
    assert network.trunk(torch.zeros(1, 2, Grid().pixels)).shape[2] == layout.columns
    # Each stretch gives its whole width to the cells, each cell is full but for the last.
    span = np.log(9200 / 3800) / bins.width
    stretches = layout.columns * layout.parts
    np.testing.assert_allclose(layout.cells.sum(1), span / stretches, rtol=1e-4)
    np.testing.assert_allclose(layout.cells.sum(0)[:-1], 1, rtol=1e-4)
    rising = (layout.cells * torch.arange(layout.cells.shape[1])).sum(1)
    assert torch.all(torch.diff(rising) > 0)


def test_damaged_files_are_a_data_error(fitted, tmp_path):
    fitted[0].save(tmp_path)
    path = tmp_path / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(DataError, match="does not belong"):
        Cnn1d.load(tmp_path)
