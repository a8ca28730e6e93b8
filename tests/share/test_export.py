"""What is exported says what the network says: to specvit, to timm, and to what knows neither."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import timm
import torch
import yaml
from click.testing import CliRunner

import specvit
from specvit.commands.export import command
from specvit.config.data import Grid, Render
from specvit.config.learning import Model, RedshiftBins
from specvit.errors import ConfigError, DataError, MachineError
from specvit.io import read_json, write_json
from specvit.metrics.definitions import HEADLINE
from specvit.models import LabelStats, build_model, load_model, save_model
from specvit.share import hub, programs
from specvit.share.export import export_model
from specvit.tasks import tasks_of

TASKS = tasks_of(["redshift", "class", "teff"])
STATS = LabelStats(
    counts={"class": [300, 20, 1000]},
    mean={"redshift": 1.0, "teff": 5000.0},
    std={"redshift": 0.5, "teff": 900.0},
    range={"redshift": (0.0, 3.0), "teff": (3000.0, 9000.0)},
)
WEIGHTS = "/home/somebody/secret/weights.pth"
SUMMARY = {
    "network": "made/vit",
    "epochs": 6,
    "best": {"epoch": 4},
    "precision": "float32",
    "device": "a processor",
    "settings": {"batch_size": 64, "seed": 1},
    "samples": {"train": 1320, "val": 100},
    "doubts": ["only 90 steps"],
}
INIT = {"folder": "results/sky/models/vit", "taken": ["backbone", "class"]}


def metrics_of() -> dict[str, object]:
    entry = {"value": 0.9123, "lo": 0.9, "hi": 0.93}
    groups = {
        task.name: {"all": {"all": dict.fromkeys(HEADLINE[task.kind], entry)}} for task in TASKS
    }
    found = {
        task.name: {"labels": task.labels, "models": {"vit": {"groups": groups[task.name]}}}
        for task in TASKS
    }
    return {"simulated": True, "test": {"spectra": 563}, "tasks": found}


def pictures(model: object, number: int) -> torch.Tensor:
    render = model.render
    return torch.randint(
        0, 256, (number, render.channels, render.size, render.size), dtype=torch.uint8
    )


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained network where a run keeps it, with all that the run says of it."""
    folder = tmp_path_factory.mktemp("results") / "made" / "models" / "vit"
    torch.manual_seed(0)
    settings = Model(
        backbone="test_vit",
        backbone_args={"depth": 2},
        pretrained=False,
        redshift=RedshiftBins(bins=64),
    )
    model = build_model(settings, TASKS, Render(size=32, rows=4), STATS, Grid())
    with torch.no_grad():  # outputs as large as a trained network's
        model.heads["redshift"].correlation.templates.mul_(10)
    model.settings = settings.model_copy(update={"pretrained": True, "weights": WEIGHTS})
    save_model(folder, model.eval())
    write_json(folder / "training.json", SUMMARY)
    write_json(folder / "calibration.json", {"tasks": {}})
    write_json(folder.parents[1] / "metrics.json", metrics_of())
    return folder


@pytest.fixture(scope="module")
def exported(source: Path) -> Path:
    folder = source.parents[3] / "shared"
    done = CliRunner().invoke(
        command, [str(source), str(folder), "--pt2", "--onnx"], catch_exceptions=False
    )
    assert done.exit_code == 0
    assert {Path(line).name for line in done.output.splitlines()} == {
        *("README.md", "calibration.json", "model.json", "model.safetensors", "config.json"),
        *("model.pt2", "model.onnx"),
    }
    return folder


def test_specvit_loads_the_same_network(source: Path, exported: Path) -> None:
    ours, theirs = load_model(source), load_model(exported)
    x = pictures(ours, 4)
    assert all(torch.equal(a, b) for a, b in zip(ours(x).values(), theirs(x).values(), strict=True))
    assert [task.name for task in specvit.load(exported).tasks] == ["redshift", "class", "teff"]


def test_timm_alone_has_the_backbone(source: Path, exported: Path) -> None:
    model = load_model(source)
    alone = timm.create_model(f"local-dir:{exported / 'backbone'}", pretrained=True).eval()
    x = pictures(model, 3)
    # As timm's own transforms normalise a picture whose white is 1.
    mean, std = (
        torch.tensor(alone.pretrained_cfg[key]).view(1, -1, 1, 1) for key in ("mean", "std")
    )
    with torch.no_grad():
        features = alone((x.float() / 255 - mean) / std)
        torch.testing.assert_close(features, model.tokens(x)[0], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("number", [1, 5])
def test_programs_say_what_the_network_says(source: Path, exported: Path, number: int) -> None:
    model = load_model(source)
    x = pictures(model, number)
    with torch.no_grad():
        expected = [output.numpy() for output in model(x).values()]
    program = torch.export.load(exported / "model.pt2").module()
    session = onnxruntime.InferenceSession(exported / "model.onnx")
    named = ["redshift", "class", "teff"]
    found = {
        "torch.export": [output.detach().numpy() for output in program(x)],
        "ONNX": session.run(named, {"pictures": x.numpy()}),
    }
    for outputs in found.values():
        for output, wanted in zip(outputs, expected, strict=True):
            np.testing.assert_allclose(output, wanted, rtol=1e-4, atol=1e-4)


def test_a_program_that_says_something_else_is_noticed(source: Path) -> None:
    model, other = load_model(source), load_model(source)
    with torch.no_grad():
        other.heads["class"].linear.bias.add_(1.0)
    with pytest.raises(DataError, match="of the task class"):
        programs.check(programs.torch_program(other).module(), model, "torch.export")


def test_onnx_without_its_extra_is_a_sentence(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    model = load_model(source)
    with pytest.raises(ConfigError, match="pip install 'specvit"):
        programs.save_onnx(model, tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


def test_the_card_says_data_metrics_limits_licence_and_citation(exported: Path) -> None:
    header, text = (exported / "README.md").read_text().removeprefix("---\n").split("---\n", 1)
    assert yaml.safe_load(header)["license"] == "other"  # the weights it started from are unknown
    for heading in ("Use", "Data", "Metrics", "Limits", "Licence", "Citation"):
        assert f"\n## {heading}\n" in text
    for words in (
        *("simulated spectra", "1,320 train", "563 test", "| class QSO | 1,000 |"),
        *("| class: Accuracy | 0.9123 | 0.9000 to 0.9300 |", "only 90 steps", "arXiv:2506.00294"),
        *("6 epochs (best: 4)", "model.pt2 and model.onnx"),
    ):
        assert words in text, words


def test_a_model_on_its_own_is_exported_too(source: Path, tmp_path: Path) -> None:
    alone = tmp_path / "deep" / "down" / "alone"
    alone.mkdir(parents=True)
    for name in ("model.json", "model.safetensors"):
        (alone / name).write_bytes((source / name).read_bytes())
    told = read_json(alone / "model.json")
    write_json(alone / "model.json", told | {"training": {"init": INIT}})
    export_model(alone, tmp_path / "out")
    card = (tmp_path / "out" / "README.md").read_text()
    assert "The model was not evaluated." in card
    assert "not calibrated" in card
    assert "Training: from the network vit (its backbone, class)." in card


@pytest.mark.parametrize(("init", "licence"), [("sky", "mit"), ("results/other", "other")])
def test_what_started_from_a_released_network_is_ours_to_license(
    source: Path, tmp_path: Path, init: str, licence: str
) -> None:
    model = load_model(source)
    start = {"pretrained": False, "weights": None, "init": init}
    model.settings = model.settings.model_copy(update=start)
    save_model(tmp_path / "own", model)
    export_model(tmp_path / "own", tmp_path / "out")
    assert f"license: {licence}\n" in (tmp_path / "out" / "README.md").read_text()


def test_no_path_of_this_machine_is_told(exported: Path) -> None:
    for path in exported.rglob("*"):
        if path.suffix in (".json", ".md"):
            assert "somebody" not in path.read_text(), path
    assert read_json(exported / "model.json")["model"]["weights"] == "weights.pth"


def test_what_is_no_network_and_a_folder_of_other_things_are_refused(
    source: Path, tmp_path: Path
) -> None:
    (tmp_path / "svm").mkdir()
    (tmp_path / "svm" / "training.json").write_text("{}")
    with pytest.raises(DataError, match="only networks"):
        export_model(tmp_path / "svm", tmp_path / "out")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("all I have")
    with pytest.raises(ConfigError, match="thesis"):
        export_model(source, tmp_path / "full")
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["thesis.tex"]


class Api:
    """A stand-in for the hub's client."""

    endpoint = "https://hub.example"
    calls: list[tuple[str, dict[str, object]]] = []

    def __init__(self, token: str) -> None:
        self.calls.append(("token", {"token": token}))

    def create_repo(self, repo: str, **options: object) -> None:
        self.calls.append(("create", {"repo": repo, **options}))

    def upload_folder(self, **options: object) -> None:
        self.calls.append(("upload", options))


def test_a_push_makes_a_private_repository_and_uploads(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(hub, "HfApi", Api)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with pytest.raises(ConfigError, match="HF_TOKEN"):
        hub.push(tmp_path, "me/model")
    assert Api.calls == []
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert hub.push(tmp_path, "me/model") == "https://hub.example/me/model"
    (_, token), (_, made), (_, uploaded) = Api.calls
    assert token == {"token": "hf_secret"}
    assert made == {"repo": "me/model", "private": True, "exist_ok": True, "repo_type": "model"}
    assert (uploaded["repo_id"], uploaded["folder_path"]) == ("me/model", tmp_path)
    assert "hf_secret" not in json.dumps(uploaded, default=str)
    assert hub.push(tmp_path, "me/data", "dataset") == "https://hub.example/datasets/me/data"
    assert {call[1]["repo_type"] for call in Api.calls[-2:]} == {"dataset"}


def test_a_push_that_cannot_be_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Offline(Api):
        def create_repo(self, repo: str, **options: object) -> None:
            raise ConnectionError("no route to the hub")

    monkeypatch.setattr(hub, "HfApi", Offline)
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    with pytest.raises(MachineError, match="no route") as told:
        hub.push(tmp_path, "me/model")
    assert "hf_secret" not in str(told.value)
