"""Counts from catalogue to predictions: they add up, and a report with others is refused."""

import csv

import pytest
from made_run import MadeRun, rewrite

from specvit.config import load_config
from specvit.errors import DataError
from specvit.io import read_json, read_parquet, write_json, write_parquet
from specvit.plan import KEY, Plan
from specvit.report.flow import alike, follow

SMALL = {"train": 60, "val": 60, "test": 600}


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    made = MadeRun(str(tmp_path_factory.mktemp("flow")), spectra=SMALL, seed=3)
    made.write()
    return made


@pytest.fixture
def config(template):
    return load_config(template.inline)


def test_every_spectrum_is_somewhere(config):
    flow = follow(config)
    catalog = read_parquet(config.paths.catalog)
    assert flow.steps[0].counts == (60, 60, 600)
    level = list(flow.steps[0].counts)
    for step in flow.steps[1:]:
        if step.loss:
            level = [a - b for a, b in zip(level, step.counts, strict=True)]
        elif not step.name.startswith("Predicted"):
            assert list(step.counts) == level, step.name
    assert flow.steps[-1].counts[1:] == tuple(level[1:])
    names = [step.name for step in flow.steps if step.loss]
    assert names == ["missing at download", "corrupt at download", "dropped when drawn"]
    lost = sum(step.total for step in flow.steps if step.loss)
    assert lost == sum(count for _, _, count in flow.reasons)
    assert sum(flow.objects) == catalog["object_id"].nunique()
    assert flow.cuts["sdss"][-1].left + flow.cuts["lamost"][-1].left == len(catalog)


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("cuts", "rows of survey sdss, but .* in the catalogue"),
        ("ledger", "catalogue rows of test-000001, but .* in its ledger"),
        ("shards", "downloaded test spectra, but .* in the test shards of stacked-64"),
        ("predictions", "drawn test spectra, but .* in the predictions of svm"),
    ],
)
def test_counts_that_do_not_add_up_are_refused(config, file, message):
    paths = config.paths
    path = {
        "cuts": paths.survey_cuts("sdss"),
        "ledger": paths.ledger("test-000001"),
        "shards": paths.shards_summary("stacked-64"),
        "predictions": paths.predictions("svm"),
    }[file]
    before = path.read_bytes()
    try:
        if file == "cuts":
            with path.open(newline="") as handle:
                rows = list(csv.reader(handle))
            rows[-1][-1] = str(int(rows[-1][-1]) + 1)
            path.write_text("\n".join(",".join(row) for row in rows))
        elif file == "shards":
            index = read_json(path)
            index["splits"]["test"]["spectra"] -= 1
            write_json(path, index)
        else:
            rewrite(path, read_parquet(path).iloc[1:])
        with pytest.raises(DataError, match=f"counts do not add up: [0-9]+ {message}"):
            follow(config)
    finally:
        path.write_bytes(before)


def test_an_object_in_two_splits_is_refused(config):
    path = config.paths.catalog
    before = path.read_bytes()
    catalog = read_parquet(path)
    catalog.loc[catalog.index[-1], "object_id"] = catalog["object_id"].iloc[0]
    try:
        rewrite(path, catalog)
        with pytest.raises(DataError, match="an object is in two splits"):
            follow(config)
    finally:
        path.write_bytes(before)


@pytest.mark.parametrize("file", ["catalog", "ledger", "shards", "training", "predictions"])
def test_a_file_of_another_plan_is_refused(config, file):
    paths = config.paths
    path = {
        "catalog": paths.catalog,
        "ledger": paths.ledger("test-000001"),
        "shards": paths.shards_summary("stacked-64"),
        "training": paths.model_dir("svm") / "training.json",
        "predictions": paths.predictions("svm"),
    }[file]
    before = path.read_bytes()
    other = Plan({**Plan.of_parquet(paths.catalog).values, "split.seed": 5})
    try:
        if path.suffix == ".json":
            write_json(path, read_json(path) | {KEY: dict(other.values)})
        else:
            write_parquet(path, read_parquet(path), other.metadata)
        with pytest.raises(DataError, match=r"of different plans: split\.seed = "):
            follow(config)
    finally:
        path.write_bytes(before)


def test_a_run_of_another_plan_than_the_configuration_is_refused(template):
    config = load_config([*template.inline, '{"split": {"shards": {"test": 3}}}'])
    with pytest.raises(DataError, match=r"split\.shards\.test = 2, not 3|test-000002.* not exist"):
        follow(config)


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("truncated: 84096 bytes", "truncated: … bytes"),
        ("wrong file: asked for 846-52186-425", "wrong file: asked for …"),
        ("HTTP 404 Not Found", "HTTP 404 Not Found"),
    ],
)
def test_reasons_that_differ_in_sizes_only_are_alike(reason, expected):
    assert alike(reason) == expected


def test_predictions_of_other_spectra_are_refused_however_many_they_are(config):
    path = config.paths.predictions("svm", "test")
    frame, kept = read_parquet(path), path.read_bytes()
    rewrite(path, frame.assign(spectrum_id=["another", *frame["spectrum_id"][1:]]))
    try:
        with pytest.raises(
            DataError, match=r"svm\.parquet has 1 spectra that are not .*test split"
        ):
            follow(config)
    finally:
        path.write_bytes(kept)


def test_what_the_models_learned_from_is_told_beside_what_was_drawn(config):
    flow = follow(config)
    assert [one.model for one in flow.learned] == config.model_names
    drawn = next(step for step in flow.steps if step.name.startswith("Drawn"))
    assert all(one.counts == one.drawn == drawn.counts[:2] for one in flow.learned)
    assert all(one.doubt is None for one in flow.learned)


@pytest.mark.parametrize(
    ("change", "doubt"),
    [
        ({"samples": {"train": 29, "val": 58}}, "was given 29 train spectra where "),
        (
            {"bad_samples": {"val-000000/sdss-1": "why"}},
            "could not read the plots of 1 val spectra",
        ),
    ],
)
def test_a_model_that_did_not_learn_from_everything_is_doubted(config, change, doubt):
    path = config.paths.model_dir("vit") / "training.json"
    kept = read_json(path)
    write_json(path, {**kept, **change})
    try:
        told = next(one.doubt for one in follow(config).learned if one.model == "vit")
    finally:
        write_json(path, kept)
    assert doubt in told
