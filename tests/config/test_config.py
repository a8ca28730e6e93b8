"""The configuration: refusals name key, value and what is allowed; schema and merging agree."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from specvit.config import load_config, merge, validate
from specvit.config.backbones import check_backbones
from specvit.config.schema import schema_text
from specvit.errors import ConfigError

ROOT = Path(__file__).resolve().parents[2]
DEMO = yaml.safe_load((ROOT / "config.yaml").read_text())


def with_values(**over: object) -> dict[str, object]:
    return merge(DEMO, over)


@pytest.mark.parametrize(
    ("over", "parts"),
    [
        ({"run": "a/b"}, ["run", '"a/b"', "must match"]),
        ({"render": {"siz": 3}}, ["siz = 3", "unknown key", "did you mean size?"]),
        ({"train": {"epochs": "many"}}, ["train.epochs", '"many"', "integer"]),
        ({"train": {"epochs": 0}}, ["train.epochs = 0", "greater than or equal to 1"]),
        ({"seed": 2}, ["seed = 2", "split.seed", "train.seed"]),
        ({"tasks": ["class", "mass"]}, ["tasks", '"mass"', "'redshift'"]),
        ({"tasks": ["class", "class"]}, ["tasks", "at most once"]),
        ({"render": {"frame": "rest"}}, ["render.frame", "rest", "drop class and redshift"]),
        (
            {"render": {"frame": "rest"}, "tasks": ["class", "stellar_type"]},
            ["render.frame", "rest", "drop class from tasks"],
        ),
        ({"model": {"weights": "w.pth"}}, ["weights", "pretrained"]),
        ({"surveys": {"sdss": {"base_url": "ftp://x"}}}, ["surveys.sdss.base_url", "ftp://x"]),
        ({"surveys": {"sdss": None, "lamost": None}}, ["surveys", "at least one"]),
        ({"split": {"val_fraction": 0.6, "test_fraction": 0.4}}, ["train split"]),
        ({"grid": {"wave_max": 3000.0}}, ["wave_max must be above wave_min"]),
        ({"render": {"rows": 70}}, ["rows = 70", "size = 64"]),
        ({"train": {"batch_size": 10, "accumulate": 3}}, ["batch_size = 10", "divisible"]),
        ({"baselines": {"models": ["svm", "svm"]}}, ["baselines.models", "at most once"]),
        ({"experiments": [{"name": "svm"}]}, ["experiments", "names of their own"]),
        (
            {"experiments": [{"name": "x", "render": {"mode": "lines"}}]},
            ["experiments.x.render.mode", "'lines'", "'overlap'"],
        ),
        (
            {"experiments": [{"name": "x", "render": {"rows": 4}}]},
            ["two different sets of plots", "stacked-64", "render.name"],
        ),
        (
            {"experiments": [{"name": "x", "data": {"train_surveys": ["gaia"]}}]},
            ["experiments.x.data.train_surveys", "gaia", "desi"],
        ),
    ],
)
def test_wrong_configuration_is_refused_in_words(over: dict, parts: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        validate(with_values(**over))
    for part in parts:
        assert part in str(caught.value)


def test_every_wrong_key_is_named_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        validate(with_values(run="a b", train={"lr": -1.0}, download={"connections": 0}))
    for key in ("run", "train.lr", "download.connections"):
        assert key in str(caught.value)


def test_broken_and_missing_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("a: [1,")
    (tmp_path / "list.yaml").write_text("[1]")
    for name, words in (("bad", "not valid YAML"), ("list", "a mapping"), ("none", "No such file")):
        with pytest.raises(ConfigError, match=words):
            load_config([str(tmp_path / f"{name}.yaml")])


def test_sources_override_only_what_they_name() -> None:
    config = load_config([str(ROOT / "config.yaml"), '{"train": {"epochs": 3}}'])
    demo = load_config([str(ROOT / "config.yaml")])
    assert config.train.epochs == 3
    assert config.train.model_copy(update={"epochs": demo.train.epochs}) == demo.train
    assert config.model_copy(update={"train": demo.train}) == demo


def test_schema_file_is_in_sync() -> None:
    path = ROOT / "workflow" / "schemas" / "config.schema.json"
    assert path.read_text() == schema_text(), "run `make schema`"


def test_every_key_is_described() -> None:
    schema = json.loads(schema_text())
    sections = {"Config": schema, **schema["$defs"]}
    for name, section in sections.items():
        for key, field in section.get("properties", {}).items():
            assert field.get("description"), f"{name}.{key} has no description"


def test_a_backbone_that_timm_does_not_know_is_refused_with_close_names() -> None:
    check_backbones(validate(DEMO))
    experiment = {"name": "x", "model": {"backbone": "vit_tinny_patch16_224"}}
    wrong = validate(with_values(experiments=[experiment]))
    with pytest.raises(ConfigError, match=r"'vit_tinny_patch16_224'.*timm.*vit_tiny_patch16_224"):
        check_backbones(wrong)


def test_an_experiment_changes_only_what_it_names() -> None:
    experiments = [{"name": "vit-map", "render": {"mode": "map"}, "train": {"epochs": 2}}]
    config = validate(with_values(experiments=experiments))
    variant = config.variant("vit-map")
    assert variant.render[0].mode == "map"
    assert variant.render[0].label == "map-64"
    assert variant.render[0].rows == config.render[0].rows
    assert variant.train.epochs == 2
    assert variant.model == config.model
    assert config.variant("vit").render == config.render
    assert list(config.renders) == ["stacked-64", "map-64"]
    assert config.model_names[:2] == ["vit", "vit-map"]


def test_seeds_are_networks_of_their_own_that_leave_the_first_alone() -> None:
    experiments = [
        {"name": "long", "train": {"epochs": 9, "seed": 5, "seeds": 2}},
        {"name": "map", "render": {"mode": "map"}},
    ]
    one = validate(with_values(experiments=experiments))
    assert one.network_names == ["vit", "long", "long-seed2", "map"]
    three = validate(with_values(experiments=experiments, train={"seeds": 3}))
    assert three.network_names[:3] == ["vit", "vit-seed2", "vit-seed3"]
    assert three.network_names[-3:] == ["map", "map-seed2", "map-seed3"]
    assert three.variant("vit") == one.variant("vit")
    assert three.render_of("map-seed2") == "map-64"
    assert list(three.renders) == list(one.renders)
    assert [three.variant(n).train.seed for n in three.network_names[:3]] == [1, 2, 3]
    second = three.variant("long-seed2").train
    assert (second.seed, second.epochs, second.seeds) == (6, 9, 1)
    taken = [{"name": "vit-seed2"}]
    assert validate(with_values(experiments=taken)).variant("vit-seed2").train.seed == 1
    with pytest.raises(ConfigError, match=r"train\.seeds .* rename vit-seed2"):
        validate(with_values(experiments=taken, train={"seeds": 2}))


@pytest.mark.parametrize(
    ("survey", "url"),
    [
        ("sdss", "http://someone:Hidden93@host/"),
        ("lamost", "https://Hidden93@host/sas/"),
        ("files", "file://someone:Hidden93@host/"),
    ],
)
def test_a_password_in_a_url_is_refused_and_not_repeated(survey: str, url: str) -> None:
    said = rf"surveys\.{survey}\.base_url.*put them into ~/\.netrc"
    with pytest.raises(ConfigError, match=said) as caught:
        validate(with_values(surveys={survey: {"base_url": url}}))
    assert "Hidden93" not in str(caught.value)


SCRATCH, WEIGHTS = (1e-3, 1.0, 64), (1e-4, 0.75, 16)
FROM_WEIGHTS = {"model": {"pretrained": True}}


@pytest.mark.parametrize(
    ("over", "network", "recipe"),
    [
        ({}, "vit", SCRATCH),
        (FROM_WEIGHTS, "vit", WEIGHTS),
        ({"model": {"pretrained": True, "weights": "w.pth"}}, "vit", WEIGHTS),
        ({**FROM_WEIGHTS, "train": {"freeze_backbone": True}}, "vit", SCRATCH),
        ({**FROM_WEIGHTS, "train": {"lr": 0.01}}, "vit", (0.01, *WEIGHTS[1:])),
        ({"experiments": [{"name": "x", **FROM_WEIGHTS}]}, "x", WEIGHTS),
        ({"experiments": [{"name": "x", **FROM_WEIGHTS}]}, "vit", SCRATCH),
        (
            {**FROM_WEIGHTS, "experiments": [{"name": "x", "model": {"pretrained": False}}]},
            *("x", SCRATCH),
        ),
    ],
)
def test_the_recipe_follows_from_weights(over: dict, network: str, recipe: tuple) -> None:
    train = validate(with_values(**over)).variant(network).train
    assert (train.lr, train.layer_decay, train.batch_size) == recipe


def test_a_batch_of_the_recipe_is_checked_too() -> None:
    shards = {"split": {"shards": {"train": 9}}}
    with pytest.raises(ConfigError, match=r"batch_size = 16 must be divisible by .* = 3"):
        validate(with_values(**shards, **FROM_WEIGHTS, train={"gpus": 3}))


@pytest.mark.parametrize("folder", ["a{b}c", "a<b>c", "${UNSET_FOLDER}/x", "two\nlines", ""])
def test_a_folder_that_the_workflow_cannot_name_is_refused(folder: str) -> None:
    with pytest.raises(ConfigError, match=r"results_dir = .*without braces"):
        validate({**DEMO, "results_dir": folder})


ALIASES = "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12)
)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("title: caf\u00e9\n".encode("latin-1"), "is not UTF-8 text"),
        (b"a: " + b"[" * 20_000, "nested too deeply"),
        (ALIASES.encode(), "stand for more than 100,000 values"),
        (b"a: &a [*a]", "stand for more than 100,000 values"),
        (b"a: 2026-13-45", "is not valid YAML"),
    ],
)
def test_yaml_that_is_no_configuration_is_refused_in_a_sentence(
    tmp_path: Path, content: bytes, said: str
) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=said):
        load_config([str(path)])


def test_inline_settings_are_bounded_too() -> None:
    with pytest.raises(ConfigError, match="nested too deeply"):
        load_config(['{"a": ' + "[" * 20_000])


def test_another_backbone_brings_its_own_arguments_and_weights() -> None:
    """Of the demo's small network nothing but what is not the backbone's stays."""
    own = {"backbone": "vit_small_patch14_dinov2", "pretrained": True}
    config = validate(with_values(model=own))
    assert config.model.backbone_args == {}
    same = {"backbone": "vit_tiny_patch16_224", "drop_path": 0.2}
    assert validate(with_values(model=same)).model.backbone_args == {"patch_size": 8, "depth": 4}


def test_an_experiment_with_another_backbone_drops_the_runs_weights() -> None:
    base = {"backbone": "vit_small_patch14_dinov2", "pretrained": True, "weights": "w.safetensors"}
    experiments = [
        {"name": "other", "model": {"backbone": "vit_tiny_patch16_224"}},
        {"name": "same", "model": {"drop_path": 0.1}},
    ]
    config = validate(with_values(model=base, experiments=experiments))
    assert config.variant("other").model.weights is None
    assert config.variant("same").model.weights == "w.safetensors"
