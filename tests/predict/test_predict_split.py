import json

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner

import shard_runs
from spectrum_files import galaxy_flux, spectrum_of
from specvit import load
from specvit.catalog.schema import CATALOG_SCHEMA
from specvit.commands.predict_split import command
from specvit.config.data import Grid, Render, ShardCounts, Split
from specvit.config.learning import Model, RedshiftBins
from specvit.embedding_map import read_map
from specvit.errors import DataError
from specvit.explain.answer import gradient, pictures_of
from specvit.explain.axis import stretch_edges
from specvit.explain.failures import MOST
from specvit.explain.kept import read_relevance
from specvit.explain.mask import in_windows, only_continuum
from specvit.io import read_json
from specvit.models import LabelStats, build_model, save_model
from specvit.models.precision import full_float32
from specvit.novelty import Novelty
from specvit.plan import Plan
from specvit.plot import render_hash
from specvit.predict.split import check_plots, predict_split
from specvit.predictions import WEIGHTS_HASH, check_predictions
from specvit.shards.sample import Sample, npy_bytes, png_bytes
from specvit.spectrum import bin_centres
from specvit.tasks import tasks_of

TASKS = tasks_of(["class", "redshift", "teff"])
RENDER = Render(size=32, rows=4)
PLOTS = render_hash(RENDER, Grid())
PLAN = Plan.dealt(Split(shards=ShardCounts(train=1, val=1, test=2)), ())
STATS = LabelStats(
    counts={"class": [5, 3, 2]},
    mean={"redshift": 0.5, "teff": 5000.0},
    std={"redshift": 0.5, "teff": 800.0},
)

FLUX = (1 + 0.1 * np.random.default_rng(0).normal(size=Grid().pixels)).astype(np.float16)


def row(number, split="test"):
    star = number % 3 == 0
    return dict.fromkeys(CATALOG_SCHEMA.names) | {
        "spectrum_id": f"spec-{number:04d}",
        "object_id": f"object-{number // 2}",
        "survey": "sdss",
        "class": "STAR" if star else "GALAXY",
        "subclass": "G2" if star else None,
        "z": None if number == 4 else 0.001 * number,
        "teff": 5000.0 + number if star else None,
        "snr": 10.0,
        "split": split,
    }


def picture(number):
    return np.random.default_rng(number).integers(0, 256, (32, 32), dtype=np.uint8)


def write_shard(path, rows, broken=(), render=PLOTS, plan=PLAN):
    samples = []
    for values in rows:
        number = int(values["spectrum_id"][-4:])
        png = b"<html>" if number in broken else png_bytes(picture(number))
        samples.append(Sample(values, png, npy_bytes(FLUX)))
    shard_runs.write_shard(path, samples, render, plan)


@pytest.fixture
def model():
    torch.manual_seed(0)
    settings = Model(
        backbone="test_vit",
        backbone_args={"depth": 1},
        pretrained=False,
        redshift=RedshiftBins(bins=64),
    )
    return build_model(settings, TASKS, RENDER, STATS, Grid())


@pytest.fixture
def shards(tmp_path):
    """Two shards of 23 spectra."""
    paths = [tmp_path / "test-000000.tar", tmp_path / "test-000001.tar"]
    write_shard(paths[0], [row(i) for i in range(13)])
    write_shard(paths[1], [row(i) for i in range(13, 23)])
    return paths


@pytest.mark.parametrize(("workers", "batch_size"), [(0, 256), (1, 4), (2, 23)])
def test_every_spectrum_is_predicted_once_with_any_number_of_workers(
    model, shards, workers, batch_size
):
    frame = predict_split(model, shards, "test", workers=workers, batch_size=batch_size)
    assert sorted(frame["spectrum_id"]) == [f"spec-{i:04d}" for i in range(23)]
    check_predictions(frame, TASKS)
    # Predictions stand beside their own spectrum.
    model.eval()
    for number in (0, 7, 22):
        outputs = model(torch.from_numpy(picture(number))[None, None])
        wanted = model.decode(outputs)["redshift_pred"][0]
        found = frame.set_index("spectrum_id").loc[f"spec-{number:04d}"]
        assert found["redshift_pred"] == pytest.approx(wanted, abs=1e-5)


def test_truth_and_identity_are_the_catalogues_and_null_stays_null(model, shards):
    frame = predict_split(model, shards, "test").set_index("spectrum_id")
    assert frame.loc["spec-0003", "class_true"] == "STAR"
    assert frame.loc["spec-0003", "teff_true"] == 5003.0
    assert frame.loc["spec-0007", "redshift_true"] == 0.007  # not rounded to single precision
    assert frame.loc["spec-0007", "object_id"] == "object-3"
    assert frame.loc["spec-0007", ["teff_true", "teff_pit", "subclass"]].isna().all()
    assert frame.loc["spec-0004", ["z", "redshift_true", "redshift_pit"]].isna().all()
    assert frame["redshift_pred"].notna().all()


def test_an_unreadable_picture_stops_with_its_name(model, shards):
    write_shard(shards[1], [row(i) for i in range(13, 23)], broken=[17])
    with pytest.raises(DataError, match=r"test-000001/spec-0017 cannot be predicted: the PNG"):
        predict_split(model, shards, "test")


def test_a_spectrum_of_another_split_is_refused(model, shards):
    write_shard(shards[1], [row(30, split="train")])
    with pytest.raises(DataError, match=r"spec-0030 is of the split train, not of test"):
        predict_split(model, shards, "test")


def test_a_shard_without_spectra_is_a_sentence(model, tmp_path):
    path = tmp_path / "test-000000.tar"
    write_shard(path, [])
    with pytest.raises(DataError, match="the split test hold no spectrum"):
        predict_split(model, [path], "test")


def test_other_plots_than_the_trained_ones_are_refused(model, shards):
    check_plots(model, RENDER.model_copy(update={"name": "mine"}), Grid())
    with pytest.raises(DataError, match=r"\(render\.rows = 4 then, 8 now; grid\.wave_max = 9"):
        check_plots(model, Render(size=32, rows=8), Grid(wave_max=9000.0))
    write_shard(shards[1], [row(14)], render="0123456789ab")
    with pytest.raises(DataError, match=r"test-000001\.tar has other plots \(0123456789ab\) than"):
        predict_split(model, shards, "test")


@pytest.fixture
def run(model, tmp_path):
    """A run's folder with a trained model and shards of two splits, and its configuration."""
    settings = {
        "run": "small",
        "results_dir": str(tmp_path / "results"),
        "tasks": ["class", "redshift", "teff"],
        "surveys": {"files": {"base_url": "file:///", "labels": "labels.csv"}},
        "split": {"shards": {"train": 1, "val": 1, "test": 2}},
        "render": RENDER.model_dump(mode="json"),
        "train": {"workers": 0},
    }
    folder = tmp_path / "results" / "small"
    save_model(folder / "models" / "vit", model, {"plan": dict(PLAN.values)})
    shards = folder / "shards" / "stacked-32"
    write_shard(shards / "train-000000.tar", [row(i, "train") for i in range(50, 80)])
    write_shard(shards / "val-000000.tar", [row(i, "val") for i in range(40, 45)])
    write_shard(shards / "test-000000.tar", [row(i) for i in range(9)])
    write_shard(shards / "test-000001.tar", [row(i) for i in range(9, 17)])
    return folder, ["--config", json.dumps(settings)]


def test_the_command_writes_both_splits_and_the_same_bytes_again(run):
    folder, options = run
    for _ in range(2):
        assert CliRunner().invoke(command, options, catch_exceptions=False).exit_code == 0
        test, val = folder / "predictions" / "vit.parquet", folder / "predictions/val/vit.parquet"
        novelty = folder / "models" / "vit" / "novelty.safetensors"
        bytes_ = test.read_bytes(), val.read_bytes(), novelty.read_bytes()
    check_predictions(pd.read_parquet(test), TASKS)
    assert len(pd.read_parquet(test)) == 17
    assert pd.read_parquet(val)["spectrum_id"].tolist() == [f"spec-{i:04d}" for i in range(40, 45)]
    CliRunner().invoke(command, [*options, "--split", "test"], catch_exceptions=False)
    assert bytes_ == (test.read_bytes(), val.read_bytes(), novelty.read_bytes())
    nearest = load(folder).nearest(spectrum_of(galaxy_flux()), 50)
    assert sorted(nearest["spectrum_id"]) == [f"spec-{i:04d}" for i in range(50, 80)]
    assert isinstance(pd.read_parquet(test)["class_prob_QSO"].iloc[0], np.float32)


def test_relevance_is_kept_for_the_failures_that_the_report_shows(run, model):
    folder, options = run
    CliRunner().invoke(command, [*options, "--split", "test"], catch_exceptions=False)
    path = folder / "predictions" / "relevance" / "vit.parquet"
    frame = pd.read_parquet(folder / "predictions" / "vit.parquet").set_index("spectrum_id")
    wrong = frame.index[frame["class_true"] != frame["class_pred"]]
    found = read_relevance(path, PLAN, read_json(folder / "models/vit/model.json")[WEIGHTS_HASH])
    explained = [name for name, task in found if task == "class"]
    assert 0 < len(explained) == min(len(wrong), MOST)
    assert set(explained) <= set(wrong)
    for one in found.values():
        assert one.share.min() >= 0
        assert one.share.sum() == pytest.approx(1, abs=1e-6)
        assert one.edges[[0, -1]] == pytest.approx([3800, 9200])
    # What speaks for the answer in the shard's own picture, of all beyond the flux's continuum.
    name = explained[0]
    spectrum = spectrum_of(FLUX.astype(float), bin_centres(Grid(), len(FLUX)))
    smooth = pictures_of(model, [only_continuum(spectrum)])
    label = TASKS[0].labels.index(frame.loc[name, "class_pred"])
    seen = torch.from_numpy(picture(int(name[-4:])))[None, None]
    share = gradient(model.eval(), seen, smooth, TASKS[0], torch.tensor([label]))
    wanted = in_windows(share, stretch_edges(RENDER, Grid()))[0]
    assert found[name, "class"].share == pytest.approx(wanted, abs=1e-3)


def test_the_map_has_every_spectrum_and_what_the_model_finds_near(run, model):
    folder, options = run
    CliRunner().invoke(command, options, catch_exceptions=False)
    weights = read_json(folder / "models/vit/model.json")[WEIGHTS_HASH]
    found = read_map(folder / "predictions" / "map" / "vit.parquet", PLAN, weights)
    assert found["spectrum_id"].tolist() == [f"spec-{i:04d}" for i in range(17)]
    seen = torch.from_numpy(np.stack([picture(i) for i in range(17)]))[:, None]
    with torch.inference_mode(), full_float32():
        embeddings = model.eval().embedding(*model.tokens(seen)).double().numpy()
    novelty = Novelty.read(folder / "models" / "vit", weights)
    for row, embedding in zip(found.itertuples(), embeddings, strict=True):
        near = novelty.nearest(embedding, 3)
        np.testing.assert_allclose(row.distance, near["distance"], rtol=1e-3)
    np.testing.assert_allclose(found["novelty"], novelty.score(embeddings), rtol=1e-3)
    # Principal components: no direction has more variance than the first, none with it in common.
    places = novelty.describe(novelty.embeddings.astype(float))[["x", "y"]].to_numpy()
    kept = novelty.embeddings.astype(float)
    most = np.linalg.eigvalsh(np.cov(kept.T, bias=True))[::-1]
    np.testing.assert_allclose(np.cov(places.T, bias=True), np.diag(most[:2]), atol=1e-6 * most[0])
    with pytest.raises(DataError, match=r"map/vit\.parquet is of other weights"):
        read_map(folder / "predictions" / "map" / "vit.parquet", PLAN, "others")


def test_no_relevance_is_kept_for_networks_whose_failures_are_not_shown(run, model):
    folder, options = run
    save_model(folder / "models" / "other", model, {"plan": dict(PLAN.values)})
    options = [*options, "--config", '{"experiments": [{"name": "other"}]}', "--model", "other"]
    CliRunner().invoke(command, [*options, "--split", "test"], catch_exceptions=False)
    assert pd.read_parquet(folder / "predictions" / "relevance" / "other.parquet").empty


def test_a_network_or_shards_of_another_plan_are_refused(run, model):
    folder, options = run
    other = dict(PLAN.values) | {"selection": "0123456789ab"}
    save_model(folder / "models" / "vit", model, {"plan": other})
    with pytest.raises(DataError, match=r"val-000000.* and .*model\.json are of different plans"):
        CliRunner().invoke(command, [*options, "--split", "val"], catch_exceptions=False)
    more = Plan.dealt(Split(shards=ShardCounts(train=1, val=3, test=2)), ())
    path = folder / "shards" / "stacked-32" / "val-000000.tar"
    write_shard(path, [row(40, "val")], plan=more)
    with pytest.raises(DataError, match=r"configuration: split\.shards\.val = 3, not 1;"):
        CliRunner().invoke(command, [*options, "--split", "val"], catch_exceptions=False)
    assert not (folder / "predictions" / "val" / "vit.parquet").exists()


def test_the_command_without_a_trained_model_is_a_sentence(run):
    _, options = run
    options = [*options, "--config", '{"experiments": [{"name": "other"}]}', "--model", "other"]
    with pytest.raises(DataError, match=r"models/other/model.json does not exist"):
        CliRunner().invoke(command, options, catch_exceptions=False)
