"""The benchmark on real spectra: fair folds, nothing done twice, a table of what was answered."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from click.testing import CliRunner

from benchmarks.__main__ import app
from benchmarks.real import CONFIGS
from benchmarks.real_data import FINAL, Prepared, deal, fewer, write_fold
from benchmarks.real_systems import IMAGENET, PUBLISHED, Bench, settings_of
from benchmarks.real_table import compare, markdown
from specvit.config import load_config
from specvit.config.data import Grid, Render
from specvit.config.learning import Model
from specvit.errors import ConfigError, DataError
from specvit.models import LabelStats, build_model, save_model
from specvit.tasks import CLASSES, tasks_of

ROOT = Path(__file__).resolve().parents[2]
TASKS = ("class", "redshift", "stellar_type")
RENDER = {"mode": "stacked", "size": 32, "rows": 4}
MODEL: dict[str, Any] = {
    "backbone_args": {"patch_size": 8, "depth": 1, "embed_dim": 32, "num_heads": 2},
    "pretrained": False,
    "redshift": {"bins": 64},
}


def made_rows(count: int = 120) -> pd.DataFrame:
    """Rows in random order: a third of each class, two spectra of every fifth object."""
    number = np.arange(count)
    rows = pd.DataFrame({"spectrum_id": [f"s{n:04d}" for n in number]})
    rows["object_id"] = [f"o{n - (n % 5 == 4) * 3:04d}" for n in number]
    rows["class"] = [CLASSES[int(name[1:]) % 3] for name in rows["object_id"]]
    rows["survey"] = np.where(number % 2, "sdss", "lamost")
    return rows


def test_an_object_is_in_one_split_of_each_fold_and_tested_once() -> None:
    dealt = deal(made_rows(), 4)
    folds = [f"fold_{n}" for n in range(4)]
    assert (dealt.groupby("object_id")[[*folds, f"fold_{FINAL}"]].nunique() == 1).all(axis=None)
    assert ((dealt[folds] == "test").sum(axis=1) == 1).all()
    for fold in folds:
        shares = dealt[dealt[fold] == "test"]["class"].value_counts(normalize=True)
        assert shares.between(0.2, 0.5).all()
        assert set(dealt[fold]) == {"train", "val", "test"}
    assert set(dealt[f"fold_{FINAL}"]) == {"train", "val"}


def test_a_class_with_fewer_objects_than_folds_is_told() -> None:
    rows = made_rows()
    rare = (rows["class"] == "QSO") & (rows.index > 10)
    with pytest.raises(DataError, match=r"QSO: \d objects are too few for 5 folds"):
        deal(rows[~rare].reset_index(drop=True), 5)


def answers(wrong: slice) -> pd.DataFrame:
    """Answers to the made rows, all right but for the class, type and redshift of some."""
    frame = made_rows().assign(snr=15.0, z=0.1)
    frame["stellar_type_true"] = np.where(frame["class"] == "STAR", "G", None)
    frame.loc[::6, "stellar_type_true"] = frame.loc[::6, "stellar_type_true"].replace("G", "K")
    frame["class_true"], frame["redshift_true"] = frame["class"], 0.1
    frame["class_pred"], frame["stellar_type_pred"] = frame["class"], frame["stellar_type_true"]
    frame["redshift_pred"], frame["redshift_lo"], frame["redshift_hi"] = 0.1, 0.05, 0.2
    frame["redshift_pit"] = 0.5
    frame.loc[wrong, ["class_pred", "stellar_type_pred", "redshift_pred"]] = ["STAR", "A", 0.5]
    for task in tasks_of(["class", "stellar_type"]):
        for label in task.labels:
            frame[f"{task.name}_prob_{label}"] = (frame[f"{task.name}_pred"] == label) * 1.0
    return frame


def test_the_table_tells_who_is_better_in_what_and_of_how_many() -> None:
    result = compare({"sky-real": answers(slice(0, 0)), "svm": answers(slice(0, 40))}, "sky-real")
    found = {(entry["figure"], entry["of"]): entry for entry in result["figures"]}
    everything = found["class, balanced accuracy", "all"]
    assert everything["spectra"] == 120
    assert everything["systems"]["sky-real"]["value"] == 1
    gap = everything["differences"]["svm"]
    assert 0 < gap["lo"] < gap["value"] < gap["hi"]
    galaxies = found["redshift success, galaxies", "all"]
    wrong = (answers(slice(0, 40)).query("`class` == 'GALAXY'")["redshift_pred"] == 0.5).mean()
    assert galaxies["systems"]["svm"]["value"] == pytest.approx(1 - wrong)
    assert found["68 % interval holds, stars", "all"]["systems"]["sky-real"]["value"] == 1
    assert found["stars at S/N 10 to 20 recalled", "lamost"]["spectra"] < 40
    names = [f"{'copies' if i % 2 else 'own'}/{i}.fits" for i in range(120)]
    systems = {"sky-real": answers(slice(0, 40)).assign(path=names)}
    entries = compare(systems, None, "copies")["figures"]
    assert next(e for e in entries if e["of"] == "without copies")["spectra"] == 60
    titles = {"sky-real": "ours", "svm": "SVM"}
    (line,) = [
        line
        for line in markdown(result, titles, "sky-real").splitlines()
        if line.startswith("| class, balanced accuracy | all | 120 | 1.000 [")
    ]
    assert line.endswith("] * |")


@pytest.fixture
def folder(real_spectra: Path, real_index: list[dict[str, str]], tmp_path: Path) -> Path:
    """A few real spectra of each class."""
    (tmp_path / "spectra").mkdir()
    for label, count in (("STAR", 14), ("GALAXY", 10), ("QSO", 10)):
        files = [real_spectra / row["file"] for row in real_index if row["class"] == label]
        for file in files[:count]:
            (tmp_path / "spectra" / file.name).symlink_to(file)
    return tmp_path / "spectra"


def test_systems_are_compared_on_real_files_and_none_is_run_twice(
    folder: Path, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    stats = LabelStats(
        counts={"class": [1] * 3, "stellar_type": [1] * 7},
        mean={"redshift": 1.0},
        std={"redshift": 0.5},
        range={"redshift": (0.0, 3.0)},
    )
    sky = tmp_path / "sky" / "models" / "vit"
    settings = Model.model_validate_json(json.dumps(MODEL))
    network = build_model(settings, tasks_of(list(TASKS)), Render(**RENDER), stats, Grid())
    save_model(sky, network)
    over = {"render": RENDER, "model": MODEL, "train": {"epochs": 1, "precision": "float32"}}
    (tmp_path / "over.yaml").write_text(yaml.safe_dump(over))
    files = [str(ROOT / source) for source in CONFIGS] + [str(tmp_path / "over.yaml")]
    args = ["real", str(folder), "--out", str(tmp_path / "real"), "--folds", "2"]
    args += ["--sky", str(sky), "--systems", "sky-real,random_forest"]
    args += [part for file in files for part in ("--config", file)]
    done = CliRunner().invoke(app, args, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    result = json.loads((tmp_path / "real" / "real.json").read_text())
    assert result["spectra"]["all"] > 30
    overall = result["figures"][0]
    assert set(overall["systems"]) == {"sky-real", "random_forest"}
    assert overall["systems"]["random_forest"]["value"] > 0.5
    assert (tmp_path / "real" / "real.md").read_text().startswith("| figure | of | spectra |")
    written = {path: path.stat().st_mtime_ns for path in (tmp_path / "real" / "answers").iterdir()}
    assert len(written) == 8
    again = CliRunner().invoke(app, args, catch_exceptions=False)
    assert again.exit_code == 0, again.output
    assert written == {path: path.stat().st_mtime_ns for path in written}
    # The paper's picture was drawn beside the others, and is what its recipe learns from.
    prepared = Prepared(tmp_path / "real" / "prepared")
    bench = Bench(prepared, tmp_path / "real", load_config(files), weights=Path("dinov2"))
    config = settings_of(bench, PUBLISHED, "0")
    write_fold(prepared, config, "0")
    shards = {path.parent.name for path in config.paths.root.glob("shards/*/train-*.tar")}
    assert shards == {"stacked-32", PUBLISHED}
    # A folder of before that picture, or of a drawing that was killed, is made whole.
    prepared.plots_path(config.render[0]).unlink()
    with pytest.raises(DataError, match=r"no plots published: prepare again, with FOLDERS in"):
        write_fold(prepared, settings_of(bench, PUBLISHED, "1"), "1")
    CliRunner().invoke(app, [*args, "--prepare-only"], catch_exceptions=False)
    assert prepared.has(config.render)
    rows = prepared.rows
    rows.drop(columns=["teff", f"fold_{FINAL}"]).to_parquet(prepared.rows_path)
    with pytest.raises(DataError, match=r"rows.parquet has no fold_final, teff: prepare again"):
        write_fold(prepared, settings_of(bench, PUBLISHED, "1"), "1")


def test_the_papers_recipe_takes_nothing_of_the_other_networks() -> None:
    config = load_config([str(ROOT / source) for source in CONFIGS])
    bench = Bench(Prepared(Path("prepared")), Path("out"), config, weights=Path("dinov2"))
    published, other = (settings_of(bench, name, "0") for name in (PUBLISHED, IMAGENET))
    train, model = published.train, published.model
    assert (train.epochs, train.batch_size, train.lr) == (30, 64, 1e-5)
    assert (train.layer_decay, train.weight_decay, train.loss_weight("redshift")) == (1, 0.01, 1)
    assert (train.ema_decay, train.balance_classes, model.drop_path) == (0, False, 0)
    assert (model.redshift_head, model.weights) == ("mse", "dinov2")
    assert model.backbone == other.model.backbone
    assert [(r.mode, r.size) for r in published.render] == [("line", other.render[0].size)]
    with pytest.raises(ConfigError, match="published needs --weights FILE"):
        settings_of(replace(bench, weights=None), PUBLISHED, "0")


def test_fewer_spectra_are_a_part_of_more_with_the_same_classes() -> None:
    classes = np.repeat(["STAR", "GALAXY", "QSO"], [80, 40, 40])
    rows = pd.DataFrame({"object_id": [f"o{i}" for i in range(160)], "class": classes})
    split_of = pd.Series(np.where(np.arange(160) % 4 == 0, "test", "train"))
    few, more = (fewer(rows, split_of, most) for most in (12, 60))
    assert (few == "train").sum() == 12
    assert (more == "train").sum() == 60
    assert ((few != "train") | (more == "train")).all()
    assert few[split_of == "test"].eq("test").all()
    assert rows["class"][few == "train"].value_counts().to_dict() == {
        "STAR": 6,
        "GALAXY": 3,
        "QSO": 3,
    }
