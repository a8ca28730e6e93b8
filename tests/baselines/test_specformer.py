"""SpecFormer: its windows, its pretraining, the published names, and each way of use."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from made_flux import GRID, as_rows, make
from safetensors.torch import save_file

from specvit.baselines.baseline import Setup
from specvit.baselines.rows import labels_of
from specvit.baselines.specformer.encoder import Encoder, Shape
from specvit.baselines.specformer.frozen import Frozen, Specformer, SpecformerKnn
from specvit.baselines.specformer.pretrain import hidden, pretrain
from specvit.baselines.specformer.published import load_published
from specvit.baselines.specformer.tuned import SpecformerTuned
from specvit.baselines.specformer.windows import PUBLISHED, TOKEN, Windows
from specvit.config import validate
from specvit.config.baselines import KnnSettings, SpecformerSettings, SpecformerTunedSettings
from specvit.config.data import Grid
from specvit.config.learning import RedshiftBins
from specvit.errors import ConfigError, DataError
from specvit.spectrum.grid import bin_edges
from specvit.tasks import tasks_of

BINS = RedshiftBins(z_min=-0.02, z_max=2.0, bins=128)
NAMES = ("class", "redshift", "teff")
SMALL = {"width": 32, "depth": 1, "heads": 2}
CPU = torch.device("cpu")


def setup(settings, before=None, seed=1) -> Setup:
    read = {"model.redshift": BINS}
    return Setup(tasks_of(NAMES), settings, GRID, seed, 1, before=before, read=read)


def columns(model, rows) -> dict[str, np.ndarray]:
    answers = model.predict(rows.flux)
    return {
        name: value
        for task in tasks_of(NAMES)
        for name, value in answers[task.name].columns(task, labels_of(rows.table, task)).items()
    }


@pytest.fixture(scope="module")
def train():
    return as_rows(make(240, 1))


@pytest.fixture(scope="module")
def val():
    return as_rows(make(60, 2))


@pytest.fixture(scope="module")
def frozen(train, val):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("specvit.baselines.specformer.frozen.MLP_EPOCHS", 30)
        return Specformer.fit(train, val, setup(SpecformerSettings(**SMALL, epochs=12)))


@pytest.fixture(scope="module")
def before(frozen, tmp_path_factory):
    folder = tmp_path_factory.mktemp("specformer")
    frozen[0].save(folder)
    return folder


def test_windows_are_of_20_pixels_every_10_behind_a_token_for_mean_and_scale():
    flux = np.arange(64, dtype=np.float16)[None] * 0.25
    windows = Windows(Grid(pixels=64))
    tokens = windows.tokens(flux)
    assert windows.count == 5  # 0-20, 10-30, ..., 40-60: the last four pixels fill no window
    assert tokens.shape == (1, 6, TOKEN)
    flux = flux.astype(np.float64)
    standard = (flux[0] - flux.mean()) / flux.std(ddof=1)
    for i in range(5):
        np.testing.assert_allclose(tokens[0, 1 + i, 2:], standard[10 * i : 10 * i + 20], rtol=1e-5)
    np.testing.assert_allclose(tokens[0, 0, 0], flux.mean() / flux.std(ddof=1) - 1, rtol=1e-5)
    assert not tokens[0, 0, 1:].any()
    assert not tokens[0, 1:, :2].any()


def test_brightness_says_nothing_and_empty_spectra_are_finite():
    flux = np.random.default_rng(1).normal(1, 0.3, (1, 64)).astype(np.float16)
    windows = Windows(Grid(pixels=64))
    np.testing.assert_allclose(windows.tokens(flux * 4), windows.tokens(flux), atol=1e-5)
    assert np.isfinite(windows.tokens(np.full((1, 64), np.nan, np.float16))).all()


def test_windows_speak_for_their_middle_halves_which_lie_side_by_side():
    windows = Windows(Grid())
    edges = windows.edges()
    pixel = bin_edges(Grid(), 3840) * np.log(10)
    assert len(edges) == 1 + windows.count == 384
    np.testing.assert_allclose(edges[[0, 1, -1]], pixel[[5, 15, 3835]])
    published = Windows(Grid(), published=True)
    assert published.count == 777  # as many as AstroCLIP makes of DESI's 7781 pixels
    np.testing.assert_allclose(np.exp(published.edges()[:2]), [3603.6, 3611.6])


def test_flux_is_put_at_the_published_wavelengths_and_the_mean_where_there_is_none():
    grid = Grid()
    wave = 10 ** ((bin_edges(grid, 3840)[1:] + bin_edges(grid, 3840)[:-1]) / 2)
    line = np.exp(-0.5 * ((wave - 6000) / 20) ** 2)
    tokens = Windows(grid, published=True).tokens(line[None].astype(np.float16))
    pixels = np.append(tokens[0, 1:, 2:12].ravel(), tokens[0, -1, 12:])  # each pixel once
    assert PUBLISHED[pixels.argmax()] == pytest.approx(6000, abs=1)
    assert not pixels[PUBLISHED[: len(pixels)] < wave[0]].any()
    assert not pixels[PUBLISHED[: len(pixels)] > wave[-1]].any()


def test_six_stretches_are_hidden_one_in_each_sixth():
    mask = hidden(50, 778, np.random.default_rng(1))
    assert (mask.sum(axis=1) == 6 * 50).all()
    parts = mask[:, : 129 * 6].reshape(50, 6, 129)
    assert (parts.sum(axis=2) == 50).all()
    assert len({tuple(row) for row in mask}) == 50


def test_pretraining_lowers_the_loss_on_spectra_not_seen_and_repeats_itself(train, val):
    shape = Shape(16, 1, 2, Windows(GRID))
    _, history = pretrain(train.flux, val.flux, shape, 12, 1, CPU)
    losses = [epoch["val"] for epoch in history]
    assert losses[-1] < 0.85 * losses[0]
    runs = [pretrain(train.flux[:64], val.flux, shape, 1, seed, CPU)[0] for seed in (1, 1, 2)]
    states = [encoder.state_dict()["data_embed.weight"] for encoder in runs]
    assert torch.equal(states[0], states[1])
    assert not torch.equal(states[0], states[2])


def published_state(width: int = 32, depth: int = 2, **extra) -> dict[str, torch.Tensor]:
    """Weights under AstroCLIP's names, in its shapes, at random."""
    draw = torch.Generator().manual_seed(3)
    sizes = {
        "data_embed": (width, 22),
        "final_layernorm": (width,),
        "head": (22, width),
    }
    for i in range(depth):
        sizes |= {
            f"blocks.{i}.layernorm1": (width,),
            f"blocks.{i}.attention.attention": (3 * width, width),
            f"blocks.{i}.attention.projection": (width, width),
            f"blocks.{i}.layernorm2": (width,),
            f"blocks.{i}.mlp.encoder": (4 * width, width),
            f"blocks.{i}.mlp.decoder": (width, 4 * width),
        }
    state = {"position_embed.weight": torch.randn(800, width, generator=draw)}
    for name, size in sizes.items():
        state[f"{name}.weight"] = torch.randn(size, generator=draw) / 6
        state[f"{name}.bias"] = torch.randn(size[0], generator=draw) / 6
    return {name: value for name, value in {**state, **extra}.items() if value is not None}


def by_hand(state: dict[str, torch.Tensor], x: torch.Tensor, heads: int) -> torch.Tensor:
    """What the published network makes of tokens, from its description, one spectrum."""

    def linear(name, value):
        return value @ state[f"{name}.weight"].T + state[f"{name}.bias"]

    def norm(name, value):
        centred = value - value.mean(-1, keepdim=True)
        scaled = centred / torch.sqrt(value.var(-1, keepdim=True, unbiased=False) + 1e-5)
        return scaled * state[f"{name}.weight"] + state[f"{name}.bias"]

    x = linear("data_embed", x) + state["position_embed.weight"][: len(x)]
    for i in range(2):
        b = f"blocks.{i}"
        parts = linear(f"{b}.attention.attention", norm(f"{b}.layernorm1", x)).chunk(3, -1)
        q, k, v = (part.unflatten(-1, (heads, -1)).transpose(0, 1) for part in parts)
        weights = torch.softmax(q @ k.transpose(1, 2) / q.shape[-1] ** 0.5, -1)
        x = x + linear(f"{b}.attention.projection", (weights @ v).transpose(0, 1).flatten(1))
        inner = torch.nn.functional.gelu(linear(f"{b}.mlp.encoder", norm(f"{b}.layernorm2", x)))
        x = x + linear(f"{b}.mlp.decoder", inner)
    return norm("final_layernorm", x)


@pytest.mark.parametrize("name", ["specformer.ckpt", "specformer.safetensors"])
def test_a_checkpoint_of_the_published_names_gives_what_the_published_network_would(tmp_path, name):
    path, state = tmp_path / name, published_state()
    if name.endswith(".ckpt"):
        told = {"embed_dim": 32, "num_heads": 2, "mask_num_chunks": 6}
        torch.save({"state_dict": state, "hyper_parameters": told}, path)
    else:
        save_file(state, path)
    windows = Windows(GRID, published=True)
    encoder = load_published(path, Shape(32, 2, 2, windows))
    flux = make(2, 5)[1]
    tokens = torch.from_numpy(windows.tokens(flux))
    assert tokens.shape == (2, 778, 22)
    with torch.no_grad():
        found = encoder(tokens)
    for i in range(2):
        torch.testing.assert_close(found[i], by_hand(state, tokens[i], 2), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("state", "told", "message"),
    [
        (published_state(64), {}, r"of another size: set baselines\.specformer\.width: 64"),
        (published_state(depth=3), {}, r"set baselines\.specformer\.depth: 3"),
        (published_state(), {"num_heads": 4}, r"set baselines\.specformer\.heads: 4"),
        (published_state(**{"head.bias": torch.zeros(7)}), {}, r"head\.bias .*\(7,\), not \(22,\)"),
        (published_state(**{"head.bias": None}), {}, r"it lacks head\.bias"),
        (published_state(**{"logit_scale": torch.zeros(1)}), {}, "has no logit_scale"),
    ],
)
def test_a_checkpoint_of_something_else_is_refused_with_a_sentence(tmp_path, state, told, message):
    path = tmp_path / "specformer.ckpt"
    torch.save({"state_dict": state, "hyper_parameters": told}, path)
    with pytest.raises(ConfigError, match=message):
        load_published(path, Shape(32, 2, 2, Windows(GRID, published=True)))


class Danger:
    def __reduce__(self):
        return (print, ("code was run",))


@pytest.mark.parametrize("content", [b"no checkpoint", {"state_dict": Danger()}, {"model": {}}, 7])
def test_a_file_that_is_no_checkpoint_is_refused_and_runs_nothing(tmp_path, content, capsys):
    path = tmp_path / "specformer.ckpt"
    path.write_bytes(content) if isinstance(content, bytes) else torch.save(content, path)
    shape = Shape(32, 2, 2, Windows(GRID, published=True))
    with pytest.raises(ConfigError, match="cannot be read as a checkpoint"):
        load_published(path, shape)
    assert "code was run" not in capsys.readouterr().out
    with pytest.raises(ConfigError, match="no such file"):
        load_published(tmp_path / "none.ckpt", shape)


def test_weights_take_the_place_of_pretraining(train, val, tmp_path):
    path = tmp_path / "specformer.safetensors"
    save_file(published_state(), path)
    settings = SpecformerSettings(width=32, depth=2, heads=2, weights=str(path))
    few = train.take(np.arange(30)), val.take(np.arange(9))
    features, told = Frozen.fit(*few, setup(settings))
    assert told["weights"] == str(path)
    assert "pretraining" not in told
    assert features.shape.windows.published
    assert np.isfinite(features.transform(few[1].flux)).all()


def test_each_way_of_use_answers_every_task(frozen, before, train, val, tmp_path):
    """With an encoder that was pretrained once."""
    tuned = SpecformerTunedSettings(epochs=20)
    ways = [
        (frozen[0], 0.5),
        (SpecformerKnn.fit(train, val, setup(KnnSettings(), before))[0], 0.5),
        (SpecformerTuned.fit(train, val, setup(tuned, before))[0], 0.8),
    ]
    test = as_rows(make(90, 3))
    encoders = []
    for model, accuracy in ways:
        found = columns(model, test)
        assert np.mean(found["class_pred"] == test.table["class"]) > accuracy
        prob = np.stack([found[f"class_prob_{x}"] for x in ("STAR", "GALAXY", "QSO")])
        np.testing.assert_allclose(prob.sum(axis=0), 1, rtol=1e-5)
        assert np.all(found["redshift_lo"] <= found["redshift_pred"])
        assert np.all(found["redshift_pred"] <= found["redshift_hi"])
        assert np.isfinite(found["teff_pred"]).all()
        model.save(tmp_path)
        again = columns(type(model).load(tmp_path), test)
        for name, value in found.items():
            np.testing.assert_array_equal(again[name], value, err_msg=name)
        if isinstance(model.__dict__.get("features"), Frozen):
            encoders.append(model.features.state["weights"]["norm.weight"])
    np.testing.assert_array_equal(*encoders)


def test_the_summary_tells_the_losses_and_the_choice(frozen):
    told = frozen[1]
    assert [epoch["epoch"] for epoch in told["features"]["pretraining"]] == list(range(1, 13))
    assert told["class"]["chosen"] in [{"decay": p["decay"]} for p in told["class"]["grid"]]


def test_without_the_encoder_there_is_a_sentence(train, val, tmp_path):
    with pytest.raises(DataError, match=r"model\.skops does not exist"):
        SpecformerKnn.fit(train, val, setup(KnnSettings(), tmp_path))


@pytest.mark.parametrize("models", [["specformer_knn"], ["specformer_tuned", "specformer"]])
def test_a_way_of_use_is_named_after_the_encoder(models):
    with pytest.raises(
        ConfigError, match=r"specformer_\w+ starts from specformer: name specformer"
    ):
        validate({"baselines": {"models": models}})


def test_heads_divide_the_width():
    with pytest.raises(ConfigError, match="heads = 5 does not divide width = 96"):
        validate({"baselines": {"specformer": {"heads": 5}}})


def test_blocks_start_apart_from_one_another():
    encoder = Encoder(Shape(16, 2, 2, Windows(GRID)))
    first, second = (block.mlp.fc1.weight for block in encoder.blocks)
    assert not torch.equal(first, second)
