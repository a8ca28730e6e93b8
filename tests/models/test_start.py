"""A network that starts from another of specvit's: what it takes, and what it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from specvit import find_model
from specvit.config.data import Grid, Render
from specvit.config.learning import Model, Train
from specvit.errors import ConfigError, DataError
from specvit.io import sha256_file
from specvit.models import LabelStats, SpecViT, build_model, load_model, save_model
from specvit.models.start import start_from
from specvit.tasks import ALL_CLASSES, tasks_of

SMALL = {"patch_size": 8, "depth": 1, "embed_dim": 32, "num_heads": 2}
RENDER = Render(size=32, rows=4)


def build(
    *tasks: str,
    render: Render = RENDER,
    feh: tuple[float, float] = (0.0, 1.0),
    nothing: bool = False,
    **model: Any,
) -> SpecViT:
    """A network whose weights differ from those of every other that this makes."""
    settings = {"pretrained": False, "backbone_args": SMALL, "redshift": {"bins": 16}, **model}
    stats = LabelStats(
        counts={"class": [3, 2, 1, 1][: 4 if nothing else 3], "stellar_type": [1] * 7},
        mean={"redshift": 1.0, "feh": feh[0]},
        std={"redshift": 0.5, "feh": feh[1]},
        range={"redshift": (0.0, 3.0)},
    )
    known = tasks_of(list(tasks), {"class": ALL_CLASSES} if nothing else None)
    return build_model(Model(**settings), known, render, stats, Grid()).eval()


def pictures() -> torch.Tensor:
    return torch.randint(0, 256, (2, 1, 32, 32), dtype=torch.uint8)


@torch.no_grad()
def test_backbone_and_every_head_that_fits_are_taken(tmp_path: Path) -> None:
    source = build("class", "redshift", "feh", feh=(-0.5, 0.3))
    save_model(tmp_path, source)
    model = build("stellar_type", "feh", "class", "redshift", feh=(0.2, 1.7), drop_path=0.1)
    start = start_from(model, tmp_path)
    assert start.taken == ("backbone", "feh", "class", "redshift")
    assert start.left == {"stellar_type": "the other has none"}
    assert start.weights_sha256 == sha256_file(tmp_path / "model.safetensors")
    assert "a new head for stellar_type: the other has none" in start.sentence()
    x = pictures()
    theirs, mine = source(x), model(x)
    assert all(torch.equal(mine[task], theirs[task]) for task in theirs)
    # In the unit that the head was trained in, also once the model is written and read again.
    assert (model.decode(mine)["feh_pred"] == source.decode(theirs)["feh_pred"]).all()
    assert model.stats.mean == {"redshift": 1.0, "feh": -0.5}


def test_a_redshift_head_of_another_kind_is_left_and_one_number_keeps_its_unit(
    tmp_path: Path,
) -> None:
    save_model(tmp_path, build("redshift", redshift_head="mse"))
    other = start_from(build("redshift"), tmp_path)
    assert other.left == {"redshift": "the other has another (redshift_head: mse)"}
    same = build("redshift", redshift_head="mse")
    same.heads["redshift"].mean = 0.2
    assert start_from(same, tmp_path).taken == ("backbone", "redshift")
    assert same.heads["redshift"].mean == 1.0


@torch.no_grad()
def test_a_redshift_head_of_other_bins_is_left(tmp_path: Path) -> None:
    source = build("class", "redshift")
    source.heads["class"].by_redshift.weight.fill_(1.0)
    save_model(tmp_path, source)
    same = build("class", "redshift")
    start_from(same, tmp_path)
    assert (same.heads["class"].by_redshift.weight == 1).all()
    model = build("class", "redshift", redshift={"bins": 32})
    start = start_from(model, tmp_path)
    assert start.taken == ("backbone", "class")
    assert "other bins" in start.left["redshift"]
    # What the class owed to the other bins says nothing of these.
    assert (model.heads["class"].by_redshift.weight == 0).all()
    assert model(pictures())["redshift"].shape == (2, 32)


@pytest.mark.parametrize("nothing", [False, True])
def test_a_class_head_of_other_labels_is_left(tmp_path: Path, nothing: bool) -> None:
    save_model(tmp_path, build("class", "redshift", nothing=nothing))
    start = start_from(build("class", "redshift", nothing=not nothing), tmp_path)
    assert start.taken == ("backbone", "redshift")
    assert start.left["class"].startswith("the other has other labels (STAR, GALAXY, QSO")


@pytest.mark.parametrize(
    ("other", "told"),
    [
        ({"render": Render(size=64, rows=4)}, r"render\.size: 32 \(not 64\)"),
        ({"render": Render(size=32, rows=4, scale="asinh")}, r"render\.scale: percentile \(not "),
        ({"backbone_args": {**SMALL, "patch_size": 4}}, r"model\.backbone_args: .*'patch_size': 8"),
        ({"backbone_args": {**SMALL, "depth": 2}}, r"model\.backbone_args: .*'depth': 1"),
        ({"backbone": "vit_small_patch16_224"}, r"model\.backbone: vit_tiny.*\(not vit_small"),
    ],
)
def test_another_picture_patch_or_network_is_refused(
    tmp_path: Path, other: dict[str, Any], told: str
) -> None:
    save_model(tmp_path, build("class"))
    with pytest.raises(ConfigError, match=rf"model\.init = '{tmp_path}'.*set {told}"):
        start_from(build("class", **other), tmp_path)


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="neither a folder nor a released model"):
        start_from(build("class"), tmp_path / "nothing")


def test_a_released_network_is_started_from_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(find_model, "RELEASED", tmp_path)
    save_model(tmp_path / "sky", build("class"))
    model = build("class")
    start = start_from(model, "sky")
    assert start.folder == "sky"
    source = load_model(tmp_path / "sky")
    for name, weights in source.backbone.state_dict().items():
        torch.testing.assert_close(model.backbone.state_dict()[name], weights)


def test_a_start_is_from_one_place_and_has_the_recipe_of_given_weights() -> None:
    with pytest.raises(ValueError, match="weights and init are both set"):
        Model(weights="a.safetensors", init="results/a/models/vit")
    model = Model(pretrained=False, init="results/a/models/vit")
    assert Train().settled(model.is_fine_tuned).lr == 1e-4
    assert Train().settled(Model(pretrained=False).is_fine_tuned).lr == 1e-3
