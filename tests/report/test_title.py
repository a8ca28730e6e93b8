"""The title follows from the data where none is set."""

import json

import pandas as pd
import pytest

from specvit.config import load_config
from specvit.report.title import title_of


def settings(**over):
    return load_config([json.dumps({"surveys": {"sdss": {"base_url": "simulated:"}}, **over})])


def catalog(*rows):
    return pd.DataFrame(rows, columns=["survey", "release", "simulated"])


SDSS, LAMOST = ("sdss", "dr17", True), ("lamost", "dr10 v2.0", True)
REAL = ("sdss", "dr17", False)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ((SDSS, SDSS, LAMOST), "simulated SDSS DR17 and LAMOST DR10 v2.0 spectra"),
        ((REAL,), "SDSS DR17 spectra"),
        ((REAL, LAMOST, LAMOST), "partly simulated LAMOST DR10 v2.0 and SDSS DR17 spectra"),
        ((("files", None, False),), "spectra"),
        ((("desi", None, False),), "DESI spectra"),
        (
            [("sdss", f"dr{n}", False) for n in (1, 2, 3, 4)] + [("lamost", "dr5", False)],
            "SDSS and LAMOST spectra",
        ),
    ],
)
def test_surveys_and_whether_they_are_simulated(rows, expected):
    assert title_of(settings(), catalog(*rows)) == f"Class and redshift of {expected}"


def test_tasks_are_named_and_a_set_title_stays():
    config = settings(tasks=["class", "stellar_type", "redshift"])
    assert title_of(config, catalog(REAL)).startswith("Class, stellar type and redshift of SDSS")
    config = settings(report={"title": "Mine"})
    assert title_of(config, catalog(REAL)) == "Mine"
