"""Where else a spectrum may be: the rules of SDSS's tree."""

from __future__ import annotations

import pytest

from specvit.surveys.sdss.paths import alternatives

SDSS = "dr17/sdss/spectro/redux"


@pytest.mark.parametrize(
    ("path", "others"),
    [
        (
            f"{SDSS}/26/spectra/lite/0266/spec-0266-51602-0001.fits",
            [f"{SDSS}/26/spectra/0266/spec-0266-51602-0001.fits"],
        ),
        (
            f"{SDSS}/104/spectra/lite/2640/spec-2640-54806-0007.fits",
            [
                f"{SDSS}/26/spectra/lite/2640/spec-2640-54806-0007.fits",
                f"{SDSS}/104/spectra/2640/spec-2640-54806-0007.fits",
                f"{SDSS}/26/spectra/2640/spec-2640-54806-0007.fits",
            ],
        ),
        (
            "dr17/eboss/spectro/redux/v5_13_2/spectra/lite/3586/spec-3586-55181-0001.fits",
            ["dr17/eboss/spectro/redux/v5_13_2/spectra/full/3586/spec-3586-55181-0001.fits"],
        ),
        (
            "dr19/spectro/boss/redux/v6_1_3/spectra/lite/015000/59146/spec-015000-59146-437.fits",
            ["dr19/spectro/boss/redux/v6_1_3/spectra/full/015000/59146/spec-015000-59146-437.fits"],
        ),
    ],
)
def test_sdss_files_may_be_elsewhere(path: str, others: list[str]) -> None:
    assert alternatives(path) == others
