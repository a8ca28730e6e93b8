import json

import numpy as np
import pytest
import timm
import torch
from click.testing import CliRunner
from safetensors.torch import save_file

from benchmarks import transfer
from benchmarks.__main__ import app
from specvit.config.data import Render
from specvit.errors import DataError
from specvit.tasks import STELLAR_TYPES


@pytest.fixture(scope="module")
def stars(real_spectra):
    return transfer.read_stars(real_spectra, Render(size=32, rows=4), folds=5)


def test_real_stars_are_read_with_their_types_and_copies_count_once(stars, real_index):
    listed = [row for row in real_index if row["class"] == "STAR" and row["subclass"][0] in "AFGKM"]
    found = {STELLAR_TYPES[t]: int((stars.types == t).sum()) for t in np.unique(stars.types)}
    assert sum(found.values()) == pytest.approx(len(listed), abs=2)
    assert set(found) == set("AFGKM")
    assert stars.pictures.shape == (len(stars.types), 1, 32, 32)
    # The two that lie in two releases are copies of one spectrum, so no object is left twice.
    assert sum(row["n_same_object_in_index"] == "2" for row in listed) == 4
    assert len(stars.types) == len(set(stars.objects.tolist()))


def test_every_star_is_predicted_once_and_objects_stay_in_one_fold(monkeypatch, stars):
    seen = []

    def train_and_predict(model, render, stars, train, test, epochs, seed):
        assert not set(stars.objects[train]) & set(stars.objects[test])
        seen.append(test)
        return stars.types[test] if model.pretrained else np.zeros(len(test), dtype=int)

    monkeypatch.setattr(transfer, "train_and_predict", train_and_predict)
    networks = {
        "right": transfer.Model(backbone="test_vit"),
        "wrong": transfer.Model(backbone="test_vit", pretrained=False),
    }
    predicted, _, fold = transfer.compare(stars, Render(size=32), networks, 1, 5, 3)
    assert sorted(np.concatenate(seen[::2])) == list(range(len(stars.types)))
    assert sorted(set(fold)) == [0, 1, 2, 3, 4]
    assert transfer.scores(stars.types, predicted["right"])["macro_f1"] == 1
    gain = transfer.difference(stars, predicted["right"], predicted["wrong"], seed=1)
    assert gain == {"accuracy_gain": 1.0, "accuracy_gain_95": [1.0, 1.0]}


def test_the_benchmark_runs_from_the_command_line(real_spectra, tmp_path):
    weights, report = tmp_path / "weights.safetensors", tmp_path / "report.json"
    save_file(timm.create_model("test_vit").state_dict(), weights)
    words = f"transfer {real_spectra / 'lamost_AstroSpectro'} --weights {weights} --folds 2"
    words += f" --backbone test_vit --size 48 --epochs 1 --json {report}"
    result = CliRunner().invoke(app, words.split(), catch_exceptions=False)
    assert "from scratch" in result.output
    values = json.loads(report.read_text())
    assert set(values["pretrained"]) == {"accuracy", "balanced_accuracy", "macro_f1"}
    assert values["rate"] > 0
    assert len(values["scratch_accuracy_by_fold"]) == 2


def test_a_folder_without_stars_is_a_sentence(real_spectra):
    with pytest.raises(DataError, match="no readable spectrum of a star"):
        transfer.read_stars(real_spectra / "sdss_firefly", Render(size=32), folds=2)


def test_training_depends_on_the_seed_alone(stars):
    torch.manual_seed(99)
    model = transfer.Model(backbone="test_vit", backbone_args={"depth": 1}, pretrained=False)
    train, test = np.arange(0, 40), np.arange(40, 60)
    answers = [
        transfer.train_and_predict(model, Render(size=32, rows=4), stars, train, test, 1, 5)
        for _ in range(2)
    ]
    assert np.array_equal(*answers)
