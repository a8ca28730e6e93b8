"""Schedule, moving average, figures, FLOPs, generators, log, launch."""

from __future__ import annotations

import importlib.machinery
import json
import random
import sys
import types
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from sklearn.metrics import balanced_accuracy_score
from torch import nn

from specvit.config.data import Grid, Render
from specvit.config.learning import Model, Train, monitors
from specvit.models import LabelStats, build_model
from specvit.tasks import TASKS, tasks_of
from specvit.train import launch
from specvit.train.checkpoint import generator_states, restore_generators
from specvit.train.doubts import confounding, doubts_after
from specvit.train.hardware import flops_per_picture, peak_flops, use_bfloat16
from specvit.train.metrics import relative_loss, watch
from specvit.train.runlog import RunLog
from specvit.train.schedule import lr_factor
from specvit.train.step import balanced, moving_average

CPU = torch.device("cpu")


def test_learning_rate_rises_and_falls_to_one_percent():
    factors = [lr_factor(step, 100, 10) for step in range(100)]
    assert factors[0] == pytest.approx(1 / 11)
    assert factors[10] == 1.0 == max(factors)
    assert factors[-1] == pytest.approx(0.01)
    assert np.all(np.diff(factors[:11]) > 0)
    assert np.all(np.diff(factors[10:]) < 0)
    assert factors[10 + 89 // 2] == pytest.approx(0.505, abs=0.01)
    assert lr_factor(0, 1, 0) == 1.0


def test_average_forgets_the_first_weights_early_and_keeps_buffers():
    network = nn.BatchNorm1d(1)
    start = network.weight.detach().clone()
    ema = moving_average(network, 0.9)
    with torch.no_grad():
        network.weight += 1.0
        network.running_mean += 5.0
    ema.update(network, 2)  # the first update: decay 1/10
    live = network.weight.detach().clone()
    torch.testing.assert_close(ema.module.weight.detach(), start + 0.9)
    assert torch.equal(network.weight, live)
    assert torch.equal(ema.module.running_mean, network.running_mean)
    ema.update(network, 10_000)
    torch.testing.assert_close(ema.module.weight.detach(), 0.9 * (start + 0.9) + 0.1 * live)


def test_figures_agree_with_other_computations():
    rng = np.random.default_rng(1)
    labels = np.array([*TASKS["class"].labels, None], dtype=object)
    truth, predicted = labels[rng.integers(0, 4, 200)], labels[rng.integers(0, 3, 200)]
    found = watch(TASKS["class"], truth, predicted)
    known = truth != None  # noqa: E711
    assert found["class_accuracy"] == pytest.approx(np.mean(truth[known] == predicted[known]))
    expected = balanced_accuracy_score(truth[known].astype(str), predicted[known].astype(str))
    assert found["class_balanced_accuracy"] == pytest.approx(expected)
    z = np.array([0.0, 1.0, np.nan, 3.0])
    found = watch(TASKS["redshift"], z, np.array([0.01, 1.2, 5.0, 3.0]))
    assert found["redshift_outlier_fraction"] == pytest.approx(1 / 3)
    assert found["redshift_nmad"] == pytest.approx(1.4826 * 0.01)  # of 0.01, 0.1, 0
    assert watch(TASKS["teff"], z, z + 2) == {"teff_mae": 2.0}
    assert watch(TASKS["teff"], z[2:3], z[:1]) == {"teff_mae": None}


def test_redshift_weighs_less_unless_it_is_asked_for():
    assert Train().loss_weight("class") == Train().loss_weight("teff") == 1
    assert Train().loss_weight("redshift") == 0.3
    asked = Train(loss_weights={"redshift": 2.0, "class": 0.5})
    assert (asked.loss_weight("redshift"), asked.loss_weight("class")) == (2.0, 0.5)


def test_every_figure_has_a_name_the_configuration_knows():
    none = np.array([], dtype=float)
    for name, task in TASKS.items():
        named = monitors([name])
        assert {"loss", "relative_loss", f"{name}_loss", *watch(task, none, none)} == set(named)


def test_flops_are_those_of_the_architecture():
    arguments = {"patch_size": 8, "depth": 3, "embed_dim": 64, "num_heads": 2, "class_token": False}
    settings = Model(pretrained=False, backbone_args={**arguments, "global_pool": "avg"})
    stats = LabelStats(counts={"class": [1, 1, 1]}, known={"class": 3})
    model = build_model(settings, tasks_of(["class"]), Render(size=32, rows=4), stats, Grid())
    state = torch.get_rng_state()
    n, d = 16, 64
    block = 2 * n * 12 * d * d + 2 * 2 * n * n * d  # projections and MLP; attention
    embed = 2 * n * d * 64
    forward = 3 * block + embed + 2 * d * 3
    # Backward is twice the forward pass, but for pixels, which need no gradient; attention's
    # backward pass computes its scores once more.
    expected = 3 * forward - embed
    assert flops_per_picture(model, CPU) == pytest.approx(expected, rel=0.03)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(p.grad is None for p in model.parameters())
    model.freeze_backbone()
    assert flops_per_picture(model, CPU) < 0.4 * expected


def test_the_peak_is_named_and_positive():
    peak = peak_flops(CPU, bfloat16=False)
    assert peak.flops > 1e8
    assert "float32 matmul" in peak.source
    assert use_bfloat16("bfloat16", CPU)
    assert not use_bfloat16("float32", CPU)


def test_generators_return_to_where_they_were(tmp_path: Path):
    torch.save(generator_states(), tmp_path / "states.pt")
    drawn = torch.rand(3).tolist(), np.random.rand(3).tolist(), random.random()  # noqa: NPY002
    restore_generators(torch.load(tmp_path / "states.pt", weights_only=True))
    again = torch.rand(3).tolist(), np.random.rand(3).tolist(), random.random()  # noqa: NPY002
    assert drawn == again


def test_the_log_forgets_what_a_resume_does_again(tmp_path: Path):
    log = RunLog(tmp_path, "run/vit", 0, {})
    for step in (10, 20, 30):
        log.write("step", step, loss=1.0 / step)
    log.close()
    with (tmp_path / "log.jsonl").open("a") as handle:
        handle.write('{"event": "step", "st')  # killed while writing
    log = RunLog(tmp_path, "run/vit", 20, {})
    log.write("step", 25, loss=None)
    log.close()
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [10, 20, 25]


def test_weights_and_biases_only_where_it_is_set_up(tmp_path: Path, monkeypatch):
    logged = []
    fake = types.ModuleType("wandb")
    fake.__spec__ = importlib.machinery.ModuleSpec("wandb", None)
    fake.init = lambda **kwargs: types.SimpleNamespace(log=logged.append, finish=lambda: None)
    monkeypatch.setitem(sys.modules, "wandb", fake)
    for name in ("WANDB_API_KEY", "WANDB_MODE"):
        monkeypatch.delenv(name, raising=False)
    for folder in ("without", "with"):
        log = RunLog(tmp_path / folder, "run/vit", 0, {})
        log.write("step", 1, loss=0.5, why="text", ok=True)
        log.close()
        monkeypatch.setenv("WANDB_MODE", "offline")
    assert logged == [{"step/loss": 0.5, "trainer/step": 1}]


def test_agents_of_several_nodes_meet_on_the_first(monkeypatch):
    monkeypatch.setattr(launch, "_first_host", lambda nodes: f"first of {nodes}")
    alone = launch.meeting_of({"SLURM_JOB_ID": "7", "SLURM_JOB_NUM_NODES": "2"})
    assert (alone.nodes, alone.host) == (1, "localhost")
    step = {"SLURM_STEP_NUM_NODES": "2", "SLURM_STEP_NUM_TASKS": "2", "SLURM_JOB_ID": "1234567"}
    both = launch.meeting_of({**step, "SLURM_STEP_NODELIST": "n[1-2]"})
    assert both == launch.Meeting(2, "first of n[1-2]", 29400 + 567, "1234567")


def test_no_task_dominates_the_relative_loss():
    untrained = {"class": 1.0, "redshift": 8.0}
    assert relative_loss({"class": 0.5, "redshift": 4.0}, untrained, {}) == pytest.approx(0.5)
    # A tenth of what there is to learn of either counts the same.
    other = relative_loss({"class": 0.4, "redshift": 4.0}, untrained, {})
    assert other == pytest.approx(relative_loss({"class": 0.5, "redshift": 3.2}, untrained, {}))
    weighted = relative_loss({"class": 0.5, "redshift": 8.0}, untrained, {"redshift": 0.0})
    assert weighted == pytest.approx(0.5)
    assert relative_loss({"class": 0.0}, {"class": 0.0}, {}) is None


def test_balanced_labels_weigh_the_same():
    counts = [90, 9, 1, 0]
    weights = balanced(counts)
    assert weights[3] == 0
    assert torch.allclose(weights[:3] * torch.tensor(counts[:3]), torch.full((3,), 100 / 3))


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([("sdss", "QSO")] * 40 + [("lamost", "STAR")] * 60, True),
        ([("sdss", "QSO")] * 40 + [("lamost", "STAR")] * 60 + [("sdss", "STAR")] * 5, True),
        ([("sdss", "QSO"), ("lamost", "STAR"), ("sdss", "STAR"), ("lamost", "QSO")] * 20, False),
        ([("sdss", "QSO")] * 40 + [("sdss", "STAR")] * 60, False),
        ([("sdss", "QSO")] * 40 + [("lamost", None)] * 60, False),
    ],
)
def test_surveys_that_give_the_class_away_are_told(rows, told):
    surveys, classes = zip(*rows, strict=True)
    found = confounding(pa.table({"survey": surveys, "class": classes}))
    assert (found is not None) == told
    if found is not None:
        assert "lamost: 60 STAR" in found


def test_one_label_for_all_is_told():
    counts = {"class": [5, 5, 0], "stellar_type": [3, 0]}
    best = {"class_labels_predicted": 1.0, "stellar_type_labels_predicted": 1.0}
    (told,) = doubts_after(best, counts)
    assert "task class" in told
    assert doubts_after({**best, "class_labels_predicted": 2.0}, counts) == []
