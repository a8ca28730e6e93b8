"""What the comparison of the simulated sky with real spectra measures, and when it is content."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from benchmarks.__main__ import app
from benchmarks.sky import compare
from benchmarks.sky_measures import kind_of, measure
from specvit.config.surveys import Simulated
from specvit.spectrum import Header, Spectrum
from specvit.surveys.simulated import SimulatedSky
from specvit.surveys.simulated.exposure import interpolated_noise

LOGLAM = np.arange(3.58, 3.96, 1e-4)


def spectrum(flux, ivar=None, snr=10.0, release="26") -> Spectrum:
    header = Header(
        survey="sdss", layout="sdss", identity="1-2-3", object_name=None, release=release,
        class_="STAR", subclass="G2", z=0.0, z_err=None, zwarning=0, snr=snr, ra=None, dec=None,
    )  # fmt: skip
    ivar = np.full(len(flux), 100.0) if ivar is None else ivar
    return Spectrum(header, LOGLAM, flux, ivar, ivar > 0)


def test_an_equivalent_width_is_that_of_the_line():
    wave = 10**LOGLAM
    for z in (0.0, 0.05):
        # 4 A in the rest frame, with a sigma of 3 A.
        depth = 4 / (3 * np.sqrt(2 * np.pi)) * np.exp(-0.5 * ((wave / (1 + z) - 5177) / 3) ** 2)
        found = measure(spectrum((wave / 6000) ** -1.5 * (1 - depth)), z, "STAR")
        assert found["Mg b"] == pytest.approx(4, abs=0.15)
        assert found["H beta"] == pytest.approx(0, abs=0.05)


def test_gaps_and_missing_stretches_are_counted():
    wave = 10**LOGLAM
    ivar = np.where((wave > 3850) & (wave < 3900), 0.0, 100.0)
    ivar[2000:2030] = 0
    found = measure(spectrum(np.ones(len(wave)), ivar), 0.0, "STAR")
    assert found["no data, 3800-4000 (%)"] == pytest.approx(25.5, abs=1.5)
    assert found["longest gap (pixels)"] == 30
    # A file rebuilt by others says nothing of the survey's gaps or noise.
    rebuilt = measure(spectrum(np.ones(len(wave)), ivar, release=None), 0.0, "STAR")
    assert not [name for name in rebuilt if kind_of(name) in ("gaps", "noise")]


def test_noise_is_measured_as_it_was_made():
    rng = np.random.default_rng(1)
    found = [
        measure(spectrum(1 + 0.08 * interpolated_noise(rng, len(LOGLAM))), 0.0, "STAR")
        for _ in range(40)
    ]
    # Its ivar says 0.1, and shifts of 0.05 to 0.35 pixels correlate by 0.05 to 0.42.
    scatter = [values["scatter over error"] for values in found]
    assert np.median(scatter) == pytest.approx(0.8, abs=0.05)
    correlation = [values["neighbour correlation"] for values in found]
    assert 0.15 < np.median(correlation) < 0.35


def test_a_median_and_a_range_are_judged_by_their_goals():
    rng = np.random.default_rng(0)
    fixed = {"group": "SDSS G", "snr": 20.0, "z": 0.0, "digit": 2, "giant": 0}
    real = pd.DataFrame([fixed | {"Mg b": v} for v in rng.normal(6, 1, 200)])
    good, shifted, wide = (
        pd.DataFrame([fixed | {"Mg b": v} for v in values])
        for values in (rng.normal(6.5, 1, 400), rng.normal(12, 1, 400), rng.normal(6, 6, 400))
    )
    flags = [
        tuple(compare(real, ours)[["median_ok", "range_ok"]].iloc[0])
        for ours in (good, shifted, wide)
    ]
    assert flags == [(True, True), (False, False), (True, False)]
    assert compare(real.head(5), good).empty


def test_the_command_compares_a_folder_with_the_sky(tmp_path):
    sky = SimulatedSky(Simulated(seed=2, sdss_spectra=120, lamost_spectra=1))
    for number in range(120):
        (tmp_path / f"spec-{number}.fits").write_bytes(sky.sdss.lite(number))
    (tmp_path / "broken.fits").write_bytes(b"no spectrum")
    out, figure = tmp_path / "out.json", tmp_path / "out.png"
    arguments = ["sky", str(tmp_path), "--spectra", "400", "--json", str(out)]
    app([*arguments, "--figure", str(figure)], standalone_mode=False)
    found = json.loads(out.read_text())
    assert {"SDSS GALAXY", "SDSS QSO"} <= {row["group"] for row in found["rows"]}
    assert found["measures"] == len(found["rows"]) > 20
    # One sky against another of its kind.
    assert found["median_ok"] > 0.75 * found["measures"]
    assert figure.stat().st_size > 10_000
