"""Files that follow what people reported (../shared/cases): each is read, or refused in words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from specvit.config import validate
from specvit.surveys.files.catalogue import FilesCatalogue
from specvit.surveys.read import read_spectrum


@pytest.mark.parametrize("name", ["mask_int16.fits", "mask_uint8.fits"])
def test_a_mask_of_any_type_is_read(cases: Path, name: str) -> None:
    spectrum = read_spectrum((cases / name).read_bytes())
    assert spectrum.good.sum() > 1000  # no BRIGHTSKY in a mask too narrow for bit 23


def test_spectra_without_a_catalogue_number_are_no_copies(cases: Path) -> None:
    folder = cases / "sdssv_unassigned"
    survey = validate({"surveys": {"files": {"base_url": folder.as_uri()}}}).surveys.files
    assert survey is not None
    catalogue = FilesCatalogue(folder, survey)
    (piece,) = catalogue.pieces()
    assert len(piece["path"]) == 8
    (keys,) = catalogue.group_keys(piece)
    assert np.count_nonzero(keys) == 0
