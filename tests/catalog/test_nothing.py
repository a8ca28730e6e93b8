"""Spectra of nothing as the class NONE: where `select.classes` names it, and nowhere else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from specvit.catalog.survey import select_survey
from specvit.config import load_stage, validate
from specvit.errors import ConfigError
from specvit.io import read_parquet
from specvit.tasks import ALL_CLASSES, CLASSES

SIMULATED = {"sdss_spectra": 900, "lamost_spectra": 600}


def selected(folder: Path, survey: str, **settings: Any) -> pd.DataFrame:
    config = validate(
        {
            "results_dir": str(folder),
            "surveys": {survey: {"base_url": "simulated:", **settings}},
            "simulated": SIMULATED,
            "download": {"cache_dir": str(folder / "cache")},
        }
    )
    select_survey(config, survey)
    return read_parquet(config.paths.survey_table(survey))


@pytest.mark.parametrize(
    ("survey", "settings", "cuts"),
    [
        ("sdss", {"release": "dr17"}, {"science_only": True, "primary_only": True}),
        ("sdss", {"release": "dr20"}, {}),
        ("lamost", {}, {}),
    ],
)
def test_nothing_is_taken_beside_what_is_taken_without_it(
    tmp_path: Path, survey: str, settings: dict[str, Any], cuts: dict[str, Any]
) -> None:
    # A signal and a redshift are asked of objects alone.
    cuts = {**cuts, "min_snr": 3.0}
    without = selected(tmp_path, survey, **settings, select=cuts)
    both = selected(tmp_path, survey, **settings, select={**cuts, "classes": ALL_CLASSES})
    nothing = both[both["class"] == "NONE"]
    assert len(nothing) >= 5
    columns = ["z", "z_err", "subclass", "stellar_type", "teff"]
    assert nothing[columns].isna().all(axis=None)
    assert nothing["path"].notna().all()
    rest = both[both["class"] != "NONE"].reset_index(drop=True)
    pd.testing.assert_frame_equal(rest, without)


def test_a_sample_holds_as_many_as_asked(tmp_path: Path) -> None:
    select = {"classes": ["QSO", "NONE"], "max_per_class": {"QSO": 20, "NONE": 4}}
    counts = selected(tmp_path, "sdss", select=select)["class"].value_counts()
    assert counts.to_dict() == {"QSO": 20, "NONE": 4}
    with pytest.raises(ConfigError, match="max_per_class names"):
        selected(tmp_path, "sdss", select={"max_per_class": {"NONE": 4}})


@pytest.mark.parametrize("stage", ["train", "baselines", "evaluate", "figures", "report"])
def test_every_stage_knows_whether_nothing_is_a_label(stage: str) -> None:
    surveys: dict[str, Any] = {"sdss": {}, "lamost": {"select": {"classes": ["STAR", "NONE"]}}}
    found = [
        load_stage([f'{{"surveys": {{"sdss": {{}}, "lamost": {lamost}}}}}'], stage).asked[0].labels
        for lamost in ("{}", '{"select": {"classes": ["STAR", "NONE"]}}')
    ]
    assert found == [CLASSES, ALL_CLASSES]
    assert validate({"surveys": surveys}).variant("vit").asked[0].labels == ALL_CLASSES
