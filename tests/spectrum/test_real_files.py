"""Every real file is read as its index says, or refused for the reason that is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from specvit.errors import SpectrumError
from specvit.spectrum import Header
from specvit.spectrum.astropy_fits import AstropyFits
from specvit.spectrum.fits import BytesFits
from specvit.surveys.read import plain_bytes, read_header, read_spectrum, spectrum_of

ALL_ZERO = "sdss_GELATO/spec-0269-51581-0003.fits"
MEDIUM_RESOLUTION = "LAMOST-MRS"


@pytest.fixture(scope="module")
def files(real_spectra: Path, real_index: list[dict[str, str]]) -> list[tuple[dict, bytes]]:
    assert len(real_index) == 345
    return [(row, (real_spectra / row["file"]).read_bytes()) for row in real_index]


def _known(text: str, *sentinels: str) -> str | None:
    return None if text in ("", *sentinels) else text


def _check_header(row: dict[str, str], header: Header) -> None:
    z = _known(row["z"], "-9999")
    assert header.class_ == _known(row["class"], "Unknown")
    assert header.subclass == _known(row["subclass"], "Non")
    assert header.z == (None if z is None else pytest.approx(float(z), rel=1e-6))
    assert header.snr == pytest.approx(float(row["snr"]), rel=1e-6)
    assert header.zwarning == (int(float(row["zwarn"])) if row["zwarn"] else None)
    named = header.identity if header.survey == "sdss" else header.object_name
    assert named == row["objid"]


def test_every_file_is_read_or_refused_for_its_reason(files) -> None:
    refused = {}
    for row, data in files:
        try:
            header = read_header(data)
            _check_header(row, header)
            spectrum = read_spectrum(data)
        except SpectrumError as error:
            refused[row["file"]] = (row["fmt"], str(error))
            continue
        assert spectrum.header == header
        assert len(spectrum.flux) == float(row["npix"])
        ends = 10 ** spectrum.loglam[[0, -1]]
        assert ends == pytest.approx([float(row["wmin"]), float(row["wmax"])], abs=0.06)
        assert spectrum.good.any()
        assert (spectrum.ivar[spectrum.good] > 0).all()
    assert refused.pop(ALL_ZERO)[1] == "no data: flux is all zero (3872 pixels)"
    assert len(refused) == 2
    for layout, reason in refused.values():
        assert layout == MEDIUM_RESOLUTION
        assert "medium resolution" in reason


def test_bytes_and_astropy_give_the_same_arrays(files, monkeypatch: pytest.MonkeyPatch) -> None:
    for number, (row, data) in enumerate(files):
        if row["fmt"] == MEDIUM_RESOLUTION or row["file"] == ALL_ZERO:
            continue
        plain = plain_bytes(data)
        quick = spectrum_of(BytesFits(plain))
        with monkeypatch.context() as patch:
            if number % 4:  # astropy takes 50 ms for the 130 columns of a catalogue row
                patch.setattr("specvit.surveys.sdss.coadd.header", lambda *_, h=quick.header: h)
            slow = spectrum_of(AstropyFits(plain))
        assert quick.header == slow.header, row["file"]
        for name in ("loglam", "flux", "ivar", "good"):
            ours, theirs = getattr(quick, name), getattr(slow, name)
            assert ours.dtype == theirs.dtype
            np.testing.assert_array_equal(ours, theirs, err_msg=row["file"])


def test_zero_flux_is_no_data_in_lamost(files) -> None:
    seen = 0
    for row, data in files:
        if row["survey"] != "LAMOST" or row["fmt"] == MEDIUM_RESOLUTION:
            continue
        spectrum = read_spectrum(data)
        assert not spectrum.good[spectrum.flux == 0].any()
        seen += int((spectrum.flux == 0).sum())
    assert seen > 1000


def test_dr1_images_do_not_take_row_3_for_wavelength(files) -> None:
    rows = [(row, data) for row, data in files if row["row3_is_wavelength"] == "False"]
    assert len(rows) > 100
    for _, data in rows[:20]:
        spectrum = read_spectrum(data)
        assert np.diff(spectrum.loglam) == pytest.approx(1e-4, rel=1e-6)
        assert spectrum.header.identity.startswith("55862-B6212_sp")
