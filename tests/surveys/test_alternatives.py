"""Where a spectrum may be when the server says that it is not where the catalogue says."""

from __future__ import annotations

import pytest

from specvit.surveys.alternatives import MOVED_PLATES, alternatives

LEGACY = "dr17/sdss/spectro/redux/{run2d}/spectra/{kind}/{plate}/spec-{plate}-{mjd}-0042.fits"


@pytest.mark.parametrize(("plate", "mjd"), sorted(MOVED_PLATES))
@pytest.mark.parametrize(("listed", "there"), [("26", "104"), ("104", "26")])
def test_moved_plates(plate: int, mjd: int, listed: str, there: str):
    path = LEGACY.format(run2d=listed, kind="lite", plate=plate, mjd=mjd)
    assert alternatives("sdss", "dr17", path) == [
        LEGACY.format(run2d=there, kind="lite", plate=plate, mjd=mjd),
        LEGACY.format(run2d=listed, kind="full", plate=plate, mjd=mjd),
        LEGACY.format(run2d=there, kind="full", plate=plate, mjd=mjd),
    ]


def test_eight_plates():
    assert len(MOVED_PLATES) == 8


def test_another_night_of_a_moved_plate_stays():
    path = LEGACY.format(run2d="26", kind="lite", plate=2640, mjd=54807)
    assert alternatives("sdss", "dr17", path) == [
        LEGACY.format(run2d="26", kind="full", plate=2640, mjd=54807)
    ]


def test_dr19_has_full_files_too():
    lite = "dr19/spectro/boss/redux/v6_1_3/spectra/lite/015000/59146/spec-015000-59146-43.fits"
    assert alternatives("sdss", "dr19", lite) == [lite.replace("/lite/", "/full/")]
    assert alternatives("sdss", "dr19", lite.replace("/lite/", "/full/")) == []


def test_lamost_has_none():
    assert alternatives("lamost", "dr10 v2.0", "dr10/v2.0/spectrum/fits/101001") == []
