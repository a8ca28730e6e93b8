import logging
import math

import numpy as np
import pytest
import torch

from specvit.config.data import Grid, Render
from specvit.config.learning import Model, RedshiftBins
from specvit.models import LabelStats, build_model, encode
from specvit.models.redshift import CELLS, Bins, Density
from specvit.predictions import check_predictions, task_columns
from specvit.tasks import tasks_of

RENDER = Render(size=32)
TASKS = tasks_of(["class", "stellar_type", "redshift", "teff"])
LABELS = {
    "class": encode(TASKS[0], ["STAR", "QSO", None, "GALAXY"]),
    "stellar_type": encode(TASKS[1], ["A", None, None, None]),
    "redshift": encode(TASKS[2], [0.0, 1.5, None, 0.1]),
    "teff": encode(TASKS[3], [5000.0, None, None, 6000.0]),
}
STATS = LabelStats.measure(TASKS, LABELS)
NULL = {
    "class": encode(TASKS[0], [None] * 4),
    "stellar_type": encode(TASKS[1], [None] * 4),
    "redshift": encode(TASKS[2], [None] * 4),
    "teff": encode(TASKS[3], [None] * 4),
}


def build(tasks=TASKS, stats=STATS, **settings):
    torch.manual_seed(0)
    settings = {"backbone_args": {"depth": 2}, **settings}
    model = Model(backbone="test_vit", pretrained=False, **settings)
    return build_model(model, tasks, RENDER, stats, Grid())


def pictures(n=4):
    return torch.randint(0, 256, (n, 1, 32, 32), dtype=torch.uint8)


def random_outputs(model, n=4):
    torch.manual_seed(1)
    return {
        name: torch.randn(value.shape, requires_grad=True)
        for name, value in model(pictures(n)).items()
    }


def test_outputs_are_float32_also_under_autocast():
    with torch.autocast("cpu", dtype=torch.bfloat16):
        outputs = build()(pictures())
    assert {name: tuple(v.shape) for name, v in outputs.items()} == {
        "class": (4, 3),
        "stellar_type": (4, 7),
        "redshift": (4, 2048),
        "teff": (4, 2),
    }
    assert all(value.dtype == torch.float32 for value in outputs.values())


def test_a_new_model_predicts_the_train_splits_own_shares_mean_and_scale():
    counts = LabelStats(
        counts={"class": [70, 20, 7]}, mean={"teff": 5500.0}, std={"teff": 800.0}, range={}
    )
    model = build(tasks_of(["class", "teff"]), counts)
    for head in model.heads.values():
        torch.nn.init.zeros_(head.linear.weight)
    columns = model.decode(model(pictures(1)))
    assert columns["class_prob_STAR"][0] == pytest.approx(0.71)
    assert columns["class_prob_QSO"][0] == pytest.approx(0.08)
    assert columns["teff_pred"][0] == pytest.approx(5500)
    assert columns["teff_hi"][0] - columns["teff_pred"][0] == pytest.approx(800 * 0.9945, rel=2e-3)


@torch.no_grad()
def test_a_class_sees_the_redshifts_density_and_stellar_parameters_do_not():
    model = build().eval()
    x = pictures()
    before = model(x)
    head = model.heads["class"]
    # Whatever is within 8 bins of z = 0 (x = 19.7 of 2,048) is a star.
    head.by_redshift.weight[0, 2] = 100.0
    density = Density.of(before["redshift"], Bins.of(model.settings.redshift))
    there = density.mass[:, 2 * 8 * CELLS : 3 * 8 * CELLS].sum(dim=1)
    after = model(x)
    told = (after["class"] - before["class"])[:, 0]
    assert told == pytest.approx(100 * torch.log1p(256 * there), rel=0.05)
    assert torch.equal(after["class"][:, 1:], before["class"][:, 1:])
    assert all(torch.equal(after[task], before[task]) for task in ("redshift", "teff"))
    without = build(tasks_of(["class", "teff"]))
    assert without.heads["class"].by_redshift is None
    assert build(redshift_head="mse").heads["class"].by_redshift is None


def test_the_loss_is_the_weighted_sum_of_means_over_spectra_with_a_label():
    model = build()
    outputs = random_outputs(model)
    total, parts = model.loss(outputs, LABELS, {"redshift": 0.5, "teff": 2.0})
    assert total.item() == pytest.approx(
        parts["class"] + parts["stellar_type"] + 0.5 * parts["redshift"] + 2 * parts["teff"]
    )
    known = [0, 1, 3]
    wanted = torch.nn.functional.cross_entropy(
        outputs["class"][known], torch.tensor([0, 2, 1])
    ).item()
    assert parts["class"].item() == pytest.approx(wanted)
    assert not parts["class"].requires_grad


def test_a_null_label_neither_adds_to_the_loss_nor_to_the_gradient():
    model = build()
    outputs = random_outputs(model)
    total, _ = model.loss(outputs, LABELS, {})
    total.backward()
    for name, output in outputs.items():
        known = model.head(name).known(LABELS[name])
        assert torch.all(output.grad[~known] == 0)
        assert torch.all(output.grad[known].abs().sum(dim=1) > 0)


def test_a_batch_without_any_label_has_loss_zero_and_gradient_zero():
    model = build()
    total, parts = model.loss(model(pictures()), NULL, {})
    assert total.item() == 0
    assert all(part.item() == 0 for part in parts.values())
    total.backward()
    for parameter in model.heads.parameters():
        assert torch.all(parameter.grad == 0)


def test_losses_of_parts_with_the_whole_steps_counts_add_up_to_the_whole():
    model = build()
    outputs = random_outputs(model)
    whole, _ = model.loss(outputs, LABELS, {})
    counts = {"class": 3, "stellar_type": 1, "redshift": 3, "teff": 2}
    parts = []
    for half in (slice(0, 2), slice(2, 4)):
        some = {name: value[half] for name, value in outputs.items()}
        labels = {name: value[half] for name, value in LABELS.items()}
        parts.append(model.loss(some, labels, {}, counts=counts)[0])
    assert sum(parts).item() == pytest.approx(whole.item(), rel=1e-6)


def test_weights_of_labels_scale_what_a_spectrum_of_that_label_costs():
    model = build()
    outputs = random_outputs(model)
    _, plain = model.loss(outputs, LABELS, {})
    weights = {"class": torch.tensor([2.0, 2.0, 2.0])}
    _, doubled = model.loss(outputs, LABELS, {}, label_weights=weights)
    assert doubled["class"].item() == pytest.approx(2 * plain["class"].item())
    assert doubled["redshift"] == plain["redshift"]
    (label,) = LABELS["class"][LABELS["class"] >= 0][:1].tolist()
    one = torch.zeros(3)
    one[label] = 1.0
    _, only = model.loss(outputs, LABELS, {}, label_weights={"class": one})
    chosen = {**LABELS, "class": torch.where(LABELS["class"] == label, LABELS["class"], -1)}
    of_label = (LABELS["class"] == label).sum() / (LABELS["class"] >= 0).sum()
    alone = model.loss(outputs, chosen, {})[1]["class"] * of_label
    assert only["class"].item() == pytest.approx(alone.item())


def test_label_smoothing_raises_the_loss_of_a_sure_right_answer_of_classes_only():
    model = build()
    outputs = random_outputs(model)
    outputs["class"] = torch.tensor([[9.0, 0, 0], [0, 0, 9.0], [0, 0, 0], [0, 9.0, 0]])
    _, sharp = model.loss(outputs, LABELS, {})
    _, smooth = model.loss(outputs, LABELS, {}, label_smoothing=0.1)
    assert smooth["class"] > sharp["class"] + 0.5
    assert smooth["redshift"] == sharp["redshift"]
    assert smooth["teff"] == sharp["teff"]


def test_decode_gives_the_prediction_files_columns_and_only_those():
    model = build()
    columns = model.decode(random_outputs(model), LABELS)
    assert set(columns) == {column for task in TASKS for column in task_columns(task)}
    import pandas as pd

    frame = pd.DataFrame(columns).assign(
        spectrum_id=list("abcd"), object_id="o", survey="sdss", snr=1.0, subclass=None, z=0.0
    )
    frame["class"] = None
    check_predictions(frame, TASKS)
    assert columns["class_true"].tolist() == ["STAR", "QSO", None, "GALAXY"]
    for name in ("redshift", "teff"):
        assert np.all(columns[f"{name}_lo"] <= columns[f"{name}_pred"])
        assert np.all(columns[f"{name}_pred"] <= columns[f"{name}_hi"])
        unknown = np.isnan(columns[f"{name}_true"])
        assert unknown.tolist() == torch.isnan(LABELS[name]).tolist()
        assert np.isnan(columns[f"{name}_pit"]).tolist() == unknown.tolist()


def test_decode_without_labels_has_no_truth():
    model = build()
    columns = model.decode(random_outputs(model))
    assert not [name for name in columns if name.endswith(("_true", "_pit"))]


def test_a_regression_heads_pit_and_interval_are_those_of_its_gaussian():
    model = build(tasks_of(["teff"]))
    generator = torch.Generator().manual_seed(2)
    output = torch.randn(4000, 2, generator=generator)
    scale = torch.nn.functional.softplus(output[:, 1]) + 1e-3
    noise = torch.randn(4000, generator=generator)
    truth = (output[:, 0] + scale * noise).double() * STATS.std["teff"] + STATS.mean["teff"]
    columns = model.decode({"teff": output}, {"teff": truth})
    covered = (columns["teff_lo"] < truth.numpy()) & (truth.numpy() < columns["teff_hi"])
    assert covered.mean() == pytest.approx(0.68, abs=4 * math.sqrt(0.68 * 0.32 / 4000))
    assert columns["teff_pit"] == pytest.approx(torch.special.ndtr(noise).numpy(), abs=1e-5)


def test_groups_decay_matrices_only_and_slow_the_lower_layers():
    model = build(backbone_args={"depth": 3})
    groups = model.param_groups(weight_decay=0.05, layer_decay=0.5)
    found = {id(p): group for group in groups for p in group["params"]}
    names = dict(model.named_parameters())
    assert len(found) == sum(len(group["params"]) for group in groups) == len(names)

    def group(name):
        return found[id(names[name])]

    assert group("heads.class.linear.weight")["lr_scale"] == 1
    assert group("backbone.norm.weight")["lr_scale"] == 1
    assert group("backbone.blocks.2.attn.qkv.weight")["lr_scale"] == 1
    assert group("backbone.blocks.1.attn.qkv.weight")["lr_scale"] == 0.5
    assert group("backbone.blocks.0.attn.qkv.weight")["lr_scale"] == 0.25
    assert group("backbone.patch_embed.proj.weight")["lr_scale"] == 0.125
    for name, parameter in names.items():
        token = name in ("backbone.pos_embed", "backbone.cls_token")
        decays = parameter.ndim > 1 and not token
        assert group(name)["weight_decay"] == (0.05 if decays else 0.0), name


def test_a_frozen_backbone_keeps_its_weights_and_leaves_drop_path_out():
    model = build(drop_path=0.5)
    model.freeze_backbone()
    model.train()
    assert model.heads.training
    x = pictures()
    assert all(torch.equal(a, b) for a, b in zip(model.tokens(x), model.tokens(x), strict=True))
    groups = model.param_groups(weight_decay=0.05, layer_decay=0.5)
    trained = {id(p) for group in groups for p in group["params"]}
    assert trained == {id(p) for p in model.heads.parameters()}
    model.loss(model(x), LABELS, {})[0].backward()
    assert all(parameter.grad is None for parameter in model.backbone.parameters())


def test_redshifts_of_the_train_split_outside_the_bins_are_warned_of(caplog):
    stats = LabelStats(mean={"redshift": 1.0}, std={"redshift": 1.0}, range={"redshift": (0, 8.0)})
    with caplog.at_level(logging.WARNING, logger="specvit"):
        build(tasks_of(["redshift"]), stats)
    assert "to 8.0000: those outside" in caplog.text
    caplog.clear()
    build(tasks_of(["redshift"]), stats, redshift=RedshiftBins(z_max=9.0))
    assert not caplog.records


def test_a_tiny_network_learns_to_read_a_shift_off_the_picture():
    """A bright column at log-wavelength row + shift: the redshift head finds z."""
    settings = RedshiftBins(z_min=0.0, z_max=1.0, bins=64)
    stats = LabelStats(mean={"redshift": 0.5}, std={"redshift": 0.3}, range={"redshift": (0, 1.0)})
    model = build(tasks_of(["redshift"]), stats, redshift=settings, backbone_args={"depth": 1})

    def spectra(n, seed):
        rng = np.random.default_rng(seed)
        z = rng.uniform(0.02, 0.95, n)
        column = np.log1p(z) / np.log(2) * 32
        profile = np.exp(-0.5 * ((np.arange(32) + 0.5 - column[:, None]) / 1.5) ** 2)
        x = np.repeat((255 * profile).astype(np.uint8)[:, None, None, :], 32, axis=2)
        return torch.from_numpy(x), torch.from_numpy(z)

    x, z = spectra(256, 1)
    steps = 120
    optimiser = torch.optim.AdamW(model.param_groups(0.05, 1.0), lr=3e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, total_steps=steps)
    for step in range(steps):
        batch = slice(step % 4 * 64, step % 4 * 64 + 64)
        optimiser.zero_grad()
        loss, _ = model.loss(model(x[batch]), {"redshift": z[batch]}, {})
        loss.backward()
        optimiser.step()
        schedule.step()
    model.eval()
    x, z = spectra(200, 2)
    columns = model.decode(model(x), {"redshift": z})
    error = (columns["redshift_pred"] - z.numpy()) / (1 + z.numpy())
    bin_width = np.log(2) / 64
    assert np.median(np.abs(error)) < bin_width
    assert np.mean(np.abs(error) < 0.05) > 0.95
