"""Confident mistakes and their links."""

import numpy as np
import pandas as pd
import pytest

from specvit.io import read_parquet
from specvit.report.failures import survey_page, worst
from specvit.tasks import TASKS


@pytest.fixture(scope="module")
def catalog(run):
    return read_parquet(run.config.paths.catalog).set_index("spectrum_id")


def test_the_most_confident_wrong_classes_come_first(run, catalog):
    frame = read_parquet(run.config.paths.predictions("vit"))
    found = worst(frame, TASKS["class"], catalog, 5)
    wrong = frame[frame["class_true"] != frame["class_pred"]]
    sure = wrong.filter(like="class_prob_").max(axis=1)
    expected = wrong.loc[sure.sort_values(ascending=False).index[:5], "spectrum_id"]
    assert [failure.spectrum_id for failure in found] == list(expected)
    first = wrong.set_index("spectrum_id").loc[found[0].spectrum_id]
    assert found[0].said.startswith(first["class_pred"])
    assert found[0].truth.startswith(first["class_true"])
    assert found[0].shard == catalog.loc[found[0].spectrum_id, "shard"]
    assert found[0].simulated
    assert found[0].url is None


def test_redshift_outliers_with_the_narrowest_interval_come_first(run, catalog):
    frame = read_parquet(run.config.paths.predictions("vit"))
    found = worst(frame, TASKS["redshift"], catalog, 100)
    dz = (frame["redshift_pred"] - frame["redshift_true"]) / (1 + frame["redshift_true"])
    assert {f.spectrum_id for f in found} == set(frame.loc[dz.abs() > 0.05, "spectrum_id"])
    width = (frame["redshift_hi"] - frame["redshift_lo"]) / (1 + frame["redshift_pred"])
    widths = frame.assign(width=width).set_index("spectrum_id")["width"]
    chosen = widths.loc[[f.spectrum_id for f in found]].to_numpy()
    assert (np.diff(chosen) >= 0).all()


def page(**values):
    row = {"survey": "sdss", "release": "dr17", "identity": "266-51602-1", "simulated": False}
    return survey_page(pd.Series({**row, **values}))


SDSS = "https://dr17.sdss.org/optical/spectrum/view?plateid=266&mjd=51602&fiberid=1"
LAMOST = "https://www.lamost.org/dr10/v2.0/spectrum/view?obsid=101001"


@pytest.mark.parametrize(
    ("row", "url"),
    [
        ({}, SDSS),
        ({"release": "26"}, SDSS),
        ({"simulated": True}, None),
        ({"identity": None}, None),
        ({"release": "dr19"}, None),
        ({"survey": "lamost", "release": "dr10 v2.0", "identity": "101001"}, LAMOST),
        (
            {"survey": "lamost", "release": "dr8 v1.1", "identity": "101001"},
            LAMOST.replace("dr10/v2.0", "dr8/v1.1"),
        ),
        ({"survey": "lamost", "release": "LAMOST DR1", "identity": "101001"}, LAMOST),
    ],
)
def test_links_lead_to_the_survey_and_never_from_simulated_spectra(row, url):
    assert page(**row) == url
