"""The same settings give the same bytes; what is missing or broken is so on purpose."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from pydantic import ValidationError
from sky_helpers import GENERAL, SETTINGS, SPECOBJ, STELLAR, lamost_path, sdss_path

from specvit.config.surveys import Simulated
from specvit.errors import SpectrumError
from specvit.surveys.desi import CATALOGUE, coadd_path
from specvit.surveys.lamost import LamostSettings
from specvit.surveys.read import read_header, read_spectrum
from specvit.surveys.simulated import SimulatedSky
from specvit.surveys.simulated.exposure import rounded
from specvit.surveys.simulated.observations import CORRUPT, INTACT, MISSING


def some_paths(sky: SimulatedSky) -> list[str]:
    sdss = sky.universe.sdss[sky.universe.sdss["fate"] == INTACT][::25]
    lamost = sky.universe.lamost[sky.universe.lamost["fate"] == INTACT][::25]
    paths = [sdss_path(row) for row in sdss] + [lamost_path(row) for row in lamost]
    return [*paths, *desi_paths(sky), SPECOBJ, GENERAL, STELLAR]


def desi_paths(sky: SimulatedSky) -> list[str]:
    """The catalogue, and coadds of both programmes."""
    rows = sky.desi.rows[sky.desi.rows["fate"] == INTACT]
    rows = np.concatenate([rows[rows["program"] == name][:2] for name in ("bright", "dark")])
    names = ("survey", "program", "healpix")
    coadds = {coadd_path(*(row[name].item() for name in names)) for row in rows}
    return [CATALOGUE, *sorted(coadds)]


OTHER_PROCESS = """
import hashlib, json, sys
from specvit.config.surveys import Simulated
from specvit.surveys.simulated import SimulatedSky
sky = SimulatedSky(Simulated(**json.loads(sys.argv[1])))
paths = json.loads(sys.argv[2])
print(json.dumps({p: hashlib.sha256(sky.read(p)).hexdigest() for p in reversed(paths)}))
"""


def test_bytes_are_the_same_in_another_process_order_and_instruction_set(sky):
    paths = some_paths(sky)
    here = {path: hashlib.sha256(sky.read(path)).hexdigest() for path in paths}
    # Without the vector instructions that numpy picks by machine, its exp differs in the last bit.
    features = np._core._multiarray_umath
    optional = [n for n in features.__cpu_dispatch__ if features.__cpu_features__.get(n)]
    environment = os.environ | {"NPY_DISABLE_CPU_FEATURES": " ".join(optional)}
    arguments = [json.dumps(SETTINGS.model_dump()), json.dumps(paths)]
    there = subprocess.run(
        [sys.executable, "-c", OTHER_PROCESS, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(there.stdout) == here


def test_another_seed_is_another_sky(sky):
    other = SimulatedSky(SETTINGS.model_copy(update={"seed": 4}))
    assert other.read(SPECOBJ) != sky.read(SPECOBJ)
    assert other.read(GENERAL) != sky.read(GENERAL)


def test_rounding_swallows_the_last_bits():
    values = np.random.default_rng(0).lognormal(0, 3, 20000) * np.where(np.arange(20000) % 2, 1, -1)
    assert (rounded(values * (1 + 1e-15)) == rounded(values)).all()
    assert np.abs(rounded(values) / values - 1).max() < 1e-5


@pytest.mark.parametrize(
    "path",
    [
        "dr17/sdss/spectro/redux/26/spectra/lite/9999/spec-9999-51602-0001.fits",
        "dr17/sdss/spectro/redux/26/spectra/lite/0266/spec-0266-51602-9999.fits",
        "dr17/sdss/spectro/redux/26/spectra/full/0266/spec-0266-51602-0001.fits",
        "dr19/spectro/boss/redux/v6_2_1/spAll-lite-v6_2_1.fits.gz",
        "dr19/spectro/boss/redux/v6_1_3/spectra/lite/100266/51602/spec-100266-51602-1.fits",
        "dr10/v2.0/spectrum/png/101001",
        "index.html",
        "",
    ],
)
def test_what_is_not_there_is_not_found(sky, path):
    with pytest.raises(FileNotFoundError):
        sky.read(path)


def test_a_spectrum_is_only_under_its_own_reduction(sky):
    row = sky.universe.sdss[sky.universe.sdss["fate"] == INTACT][0]
    right = sdss_path(row)
    assert sky.read(right)
    for wrong in (right.replace("/26/", "/103/"), right.replace("/sdss/", "/eboss/")):
        with pytest.raises(FileNotFoundError):
            sky.read(wrong)


def test_missing_files_are_as_many_as_asked_for(sky):
    sdss, lamost = sky.universe.sdss, sky.universe.lamost
    assert (sdss["fate"] == MISSING).sum() == 6
    assert (lamost["fate"] == MISSING).sum() == 4
    for row in sdss[sdss["fate"] == MISSING]:
        with pytest.raises(FileNotFoundError):
            sky.read(sdss_path(row))
    for row in lamost[lamost["fate"] == MISSING]:
        # Status 200 and JSON, as the real server answers; so does any obsid that never was.
        assert json.loads(sky.read(lamost_path(row)))["status"] == 404
    assert sky.read("dr10/v2.0/spectrum/fits/123456789") == sky.read(
        lamost_path(lamost[lamost["fate"] == MISSING][0])
    )


def test_corrupt_files_break_in_several_ways_that_a_reader_notices(sky):
    reasons = set()
    sdss, lamost = sky.universe.sdss, sky.universe.lamost
    for rows, path_of, identity in (
        (sdss, sdss_path, lambda row: f"{row['plate']}-{row['mjd']}-{row['fiber']}"),
        (lamost, lamost_path, lambda row: str(row["obsid"])),
    ):
        for row in rows[rows["fate"] == CORRUPT]:
            try:
                header = read_header(sky.read(path_of(row)))
                assert header.identity != identity(row)
                reasons.add("swapped")
            except SpectrumError as error:
                reasons.add("cut" if "truncated" in str(error).lower() else "page")
    assert (sdss["fate"] == CORRUPT).sum() == 9
    assert reasons == {"swapped", "cut", "page"}


def test_intact_files_are_read_and_say_what_was_asked_for(sky):
    for row in sky.universe.sdss[sky.universe.sdss["fate"] == INTACT][::11]:
        header = read_spectrum(sky.read(sdss_path(row))).header
        assert header.identity == f"{row['plate']}-{row['mjd']}-{row['fiber']}"
    for row in sky.universe.lamost[sky.universe.lamost["fate"] == INTACT][::11]:
        header = read_spectrum(sky.read(lamost_path(row))).header
        assert header.identity == str(row["obsid"])


def test_release_and_version_are_those_of_the_path(sky):
    row = sky.universe.lamost[sky.universe.lamost["fate"] == INTACT][0]
    data = sky.read(f"dr8/v1.0/spectrum/fits/{row['obsid']}")
    assert read_header(data).release == "LAMOST DR8"
    assert sky.read("dr5/v3/catdl?name=dr5_v3_stellar.csv.gz") == sky.read(STELLAR)


def test_what_the_sky_does_not_serve_is_refused_by_the_configuration():
    with pytest.raises(ValidationError, match="nightly"):
        LamostSettings(base_url="simulated:", layout="nightly")


@pytest.mark.parametrize(("sdss", "lamost"), [(1, 1), (7, 3), (40, 900)])
def test_skies_of_any_size(sdss, lamost):
    sky = SimulatedSky(Simulated(sdss_spectra=sdss, lamost_spectra=lamost))
    assert len(sky.universe.sdss) == sdss
    assert len(sky.universe.lamost) == lamost
    assert read_header(sky.sdss.lite(sdss - 1)).survey == "sdss"
    assert read_header(sky.lamost.spectrum(lamost - 1, "dr10")).survey == "lamost"
