"""The simulated SDSS-V: its catalogues, files and BossNet's table, as a run reads them."""

from __future__ import annotations

import numpy as np
import pytest
from sky_helpers import SETTINGS

from specvit.catalog.survey import select_survey
from specvit.config import validate
from specvit.errors import SpectrumError
from specvit.io import read_parquet
from specvit.surveys.read import read_spectrum
from specvit.surveys.sdss.paths import RELEASES

SDSS5 = [name for name, release in RELEASES.items() if release.has_fields]


def selected(tmp_path, release, **over):
    select = {"zwarning_zero": False, "min_snr": None, "z_range": None, "classes": None}
    sdss = {"base_url": "simulated:", "release": release, "select": select, **over}
    config = validate(
        {
            "results_dir": str(tmp_path),
            "surveys": {"sdss": sdss},
            "simulated": SETTINGS.model_dump(),
            "download": {"cache_dir": str(tmp_path / "cache")},
        }
    )
    ladder = select_survey(config, "sdss")
    return read_parquet(config.paths.survey_table("sdss")), ladder


@pytest.mark.parametrize("release", SDSS5)
def test_every_release_is_served_as_its_catalogue_says(sky, tmp_path, release):
    frame, _ = selected(tmp_path, release)
    assert len(frame) == SETTINGS.sdss_spectra
    assert frame["simulated"].all()
    outcomes = {"read": 0, "missing": 0, "broken": 0}
    for row in frame.iloc[::9].itertuples():
        try:
            spectrum = read_spectrum(sky.read(row.path))
            outcomes["read"] += spectrum.header.identity == row.identity
            assert len(spectrum.flux) > 4000  # the BOSS spectrographs
        except FileNotFoundError:
            outcomes["missing"] += 1
        except SpectrumError:
            outcomes["broken"] += 1
    assert outcomes["read"] >= 30


def test_its_stars_have_parameters_close_to_the_truth(sky, tmp_path):
    frame, ladder = selected(tmp_path, "dr20", stellar_parameters=True)
    stars = frame[frame["teff"].notna()]
    assert set(stars["class"]) == {"STAR"}
    assert 20 < len(stars) < (frame["class"] == "STAR").sum()
    target = stars["identity"].str.split("-").str[2].astype(int).to_numpy()
    truth = sky.universe.objects[target - 27_021_597_000_000_000]
    assert np.median(np.abs(stars["teff"] - truth["teff"])) < 300
    assert stars["teff"].min() >= 3200  # cooler ones are flagged by BossNet's own bounds
    assert any("flag_bad" in rung.name for rung in ladder.steps)
