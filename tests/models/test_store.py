import json

import pytest
import torch

from specvit.config.data import Grid, Render
from specvit.config.learning import Model, RedshiftBins
from specvit.errors import DataError
from specvit.models import LabelStats, build_model, load_model, save_model
from specvit.tasks import ALL_CLASSES, tasks_of

# Not in the order of the alphabet: JSON sorts its keys, the model must keep its own order.
TASKS = tasks_of(["stellar_type", "redshift", "class"])
STATS = LabelStats(
    counts={"stellar_type": [1, 2, 3, 4, 5, 6, 7], "class": [3, 2, 1]},
    mean={"redshift": 1.0},
    std={"redshift": 0.5},
    range={"redshift": (0.0, 3.0)},
)


@pytest.fixture
def model():
    torch.manual_seed(0)
    settings = Model(
        backbone="test_vit",
        backbone_args={"depth": 1},
        pretrained=False,
        redshift=RedshiftBins(bins=32),
    )
    return build_model(settings, TASKS, Render(size=32, rows=3), STATS, Grid()).eval()


def test_a_loaded_model_is_the_saved_one(model, tmp_path):
    save_model(tmp_path, model, {"epoch": 3})
    loaded = load_model(tmp_path)
    assert not loaded.training
    x = torch.randint(0, 256, (2, 1, 32, 32), dtype=torch.uint8)
    outputs, again = model(x), loaded(x)
    assert list(again) == list(outputs) == ["stellar_type", "redshift", "class"]
    assert all(torch.equal(outputs[name], again[name]) for name in outputs)
    assert loaded.stats == STATS
    assert loaded.render == Render(size=32, rows=3)
    assert loaded.settings == model.settings


def test_a_model_that_knows_nothing_keeps_its_label(tmp_path):
    tasks = tasks_of(["class"], {"class": ALL_CLASSES})
    stats = LabelStats(counts={"class": [3, 2, 1, 1]})
    settings = Model(backbone="test_vit", backbone_args={"depth": 1}, pretrained=False)
    save_model(tmp_path, build_model(settings, tasks, Render(size=32, rows=3), stats, Grid()))
    assert load_model(tmp_path).tasks == tasks
    assert tasks[0].labels == ALL_CLASSES


def test_the_same_model_gives_the_same_bytes_and_no_pickle(model, tmp_path):
    for name in ("a", "b"):
        save_model(tmp_path / name, model)
    for file in ("model.safetensors", "model.json"):
        data = (tmp_path / "a" / file).read_bytes()
        assert data == (tmp_path / "b" / file).read_bytes()
        assert not data.startswith((b"\x80", b"PK"))
    assert sorted(p.name for p in (tmp_path / "a").iterdir()) == ["model.json", "model.safetensors"]


def test_a_model_stored_in_half_is_half_as_large_and_used_in_float32(model, tmp_path):
    save_model(tmp_path / "whole", model)
    save_model(tmp_path / "half", model, half=True)
    whole, half = (
        (tmp_path / name / "model.safetensors").stat().st_size for name in ("whole", "half")
    )
    assert half < 0.52 * whole
    loaded = load_model(tmp_path / "half")
    assert all(value.dtype == torch.float32 for value in loaded.parameters())
    x = torch.randint(0, 256, (2, 1, 32, 32), dtype=torch.uint8)
    outputs, again = model(x), loaded(x)
    assert all(torch.allclose(outputs[n], again[n], atol=0.02) for n in outputs)


def test_a_model_made_from_pretrained_weights_loads_without_them(tmp_path):
    import timm
    from safetensors.torch import save_file

    file = tmp_path / "weights.safetensors"
    save_file(timm.create_model("test_vit").state_dict(), file)
    settings = Model(backbone="test_vit", weights=str(file))
    model = build_model(settings, TASKS, Render(size=32), STATS, Grid())
    save_model(tmp_path / "model", model)
    file.unlink()
    loaded = load_model(tmp_path / "model")
    state = loaded.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())


def test_weights_of_another_save_are_refused(model, tmp_path):
    save_model(tmp_path / "a", model)
    torch.nn.init.ones_(model.heads["class"].linear.bias)
    save_model(tmp_path / "b", model)
    (tmp_path / "b" / "model.json").replace(tmp_path / "a" / "model.json")
    with pytest.raises(DataError, match="their hashes differ"):
        load_model(tmp_path / "a")


def test_a_folder_without_a_model_is_refused(model, tmp_path):
    with pytest.raises(DataError, match=r"model.json does not exist"):
        load_model(tmp_path)
    save_model(tmp_path, model)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(DataError, match=r"model.safetensors does not exist"):
        load_model(tmp_path)


def test_labels_of_another_version_are_refused(model, tmp_path):
    save_model(tmp_path, model)
    path = tmp_path / "model.json"
    settings = json.loads(path.read_text())
    settings["labels"]["class"] = ["GALAXY", "QSO", "STAR"]
    path.write_text(json.dumps(settings))
    with pytest.raises(DataError, match="has other labels than this version of specvit"):
        load_model(tmp_path)


def test_another_format_is_one_sentence_whatever_else_has_changed(model, tmp_path):
    save_model(tmp_path, model)
    path = tmp_path / "model.json"
    settings = json.loads(path.read_text())
    settings["model"]["a_key_that_is_gone"] = 1
    path.write_text(json.dumps({**settings, "format": 2}))
    with pytest.raises(DataError) as caught:
        load_model(tmp_path)
    assert str(caught.value) == (
        f"{path} has format 2, this version of specvit reads 3: train again, or use the version "
        "that wrote it"
    )


def test_settings_that_do_not_fit_the_weights_are_refused(model, tmp_path):
    save_model(tmp_path, model)
    path = tmp_path / "model.json"
    settings = json.loads(path.read_text())
    settings["model"]["backbone_args"] = {"depth": 2}
    path.write_text(json.dumps(settings))
    with pytest.raises(DataError, match="does not hold a model"):
        load_model(tmp_path)
