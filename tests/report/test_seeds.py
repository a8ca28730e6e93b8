"""Networks that differ in their seed alone: kept out of comparisons, their spread is told."""

from __future__ import annotations

import statistics

import pytest
from made_run import MadeRun

from specvit.io import read_json

EXPERIMENT = {"name": "half", "data": {"train_fraction": 0.5}, "train": {"seeds": 1}}
NAMES = ["vit", "vit-seed2", "vit-seed3"]


@pytest.fixture(scope="module")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> MadeRun:
    made = MadeRun(
        str(tmp_path_factory.mktemp("seeded")),
        spectra={"train": 60, "val": 80, "test": 200},
        settings={
            "train": {"seeds": 3},
            "experiments": [EXPERIMENT],
            "evaluate": {"bootstrap": 20},
            "report": {"examples": 1, "formats": ["png"]},
        },
    )
    made.write()
    for command in ("evaluate", "figures", "report"):
        made.call(command)
    return made


def test_the_spread_is_that_of_the_networks_own_numbers(seeded: MadeRun) -> None:
    metrics = read_json(seeded.config.paths.metrics)
    assert metrics["seeds"] == {"vit": NAMES, "half": ["half"]}
    for task, metric in (("class", "accuracy"), ("redshift", "sigma_nmad")):
        entry = metrics["tasks"][task]
        assert set(entry["spread"]) == {"vit"}
        values = [entry["models"][n]["groups"]["all"]["all"][metric]["value"] for n in NAMES]
        assert len(set(values)) == 3
        told = entry["spread"]["vit"][metric]
        assert told["mean"] == pytest.approx(statistics.mean(values), rel=1e-5)
        assert told["deviation"] == pytest.approx(statistics.stdev(values), rel=1e-4)
        assert (told["lowest"], told["highest"]) == (min(values), max(values))


def test_further_seeds_are_in_no_comparison(seeded: MadeRun) -> None:
    metrics = read_json(seeded.config.paths.metrics)
    tables = seeded.config.paths.tables
    for task in ("class", "redshift"):
        assert set(metrics["tasks"][task]["differences"]) == {"half", "svm", "random_forest"}
        for name in ("headline", "experiments"):
            assert "seed2" not in (tables / f"{name}_{task}.csv").read_text()
        assert "ViT,3," in (tables / f"spread_{task}.csv").read_text()


def test_the_report_shows_the_spread_where_there_is_one(seeded: MadeRun, run) -> None:
    page = seeded.config.paths.report.read_text()
    assert "ViT (3 seeds), half, SVM" in page
    assert page.count("<h4>Spread over seeds</h4>") == 2
    assert "for these weights; how much they matter, the spread over seeds shows" in page
    alone = run.config.paths.report.read_text()
    assert "pread over seeds" not in alone
    assert "for these weights." in alone
    assert not list(run.config.paths.tables.glob("spread_*"))
