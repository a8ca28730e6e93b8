"""The README's numbers of the demo are those of its tables, which lie in docs/demo."""

from __future__ import annotations

import re

import pandas as pd

from tests.conftest import ROOT

README = (ROOT / "README.md").read_text()
PLAIN = re.sub(r"\s+", " ", README)


def table(name: str) -> pd.DataFrame:
    return pd.read_csv(ROOT / "docs" / "demo" / f"{name}.csv", keep_default_na=False)


def test_demo_table() -> None:
    both = table("headline_class").merge(table("headline_redshift"), on="Model")
    assert set(both["Model"]) == {"ViT", "SVM", "Random Forest"}
    for row in both.to_dict("records"):
        scores = [
            f"{row[name]:.3f} [{row[f'{name}_lo']:.3f}, {row[f'{name}_hi']:.3f}]"
            for name in ("accuracy", "success")
        ]
        scatter, outliers = f"{row['sigma_nmad']:.5f}", f"{100 * row['outlier_0.05']:.1f} %"
        line = " | ".join([row["Model"], *scores, scatter, outliers])
        assert f"| {line} |" in README


def test_demo_intervals() -> None:
    rows = table("calibration_redshift")
    of = rows[rows["Model"] == "ViT"].set_index("Class")
    before, after = (of[f"68_%_coverage_{when}"].astype(float) for when in ("before", "after"))
    said = f"{before['all']:.2f} of the test redshifts, and {after['all']:.2f} after calibration"
    assert said in PLAIN
    by_class = [f"{after[label]:.2f}" for label in ("STAR", "GALAXY", "QSO")]
    assert "(stars {}, galaxies {}, quasars {};".format(*by_class) in PLAIN
    spectra = int(of.loc["all", "Spectra"])
    assert f"{spectra} spectra, 95 % intervals" in PLAIN
