"""What counts as the file that was asked for."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from servers.fits_files import lamost_file, sdss5_file, sdss_file
from specvit.download.check import check_spectrum
from specvit.download.ledger import CorruptError, NotThereError, RefusedError
from specvit.surveys.read import read_header, read_identity

SDSS = sdss_file(266, 51602, 1)
LAMOST = lamost_file(101001)


def test_whole_files_pass():
    check_spectrum(SDSS, "sdss", "266-51602-1")
    check_spectrum(gzip.compress(SDSS), "sdss", "266-51602-1")
    check_spectrum(sdss5_file(15000, 59146, 4375924756), "sdss", "15000-59146-4375924756")
    check_spectrum(LAMOST, "lamost", "101001")
    check_spectrum(SDSS, "sdss", None)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty file"),
        (SDSS[:-2880], "truncated"),
        (SDSS[:5000], "truncated"),
        (gzip.compress(SDSS)[:-9], "truncated gzip"),
        (LAMOST[:-4] + b"\0\0\0\0", "corrupt gzip"),
        (b"<!DOCTYPE HTML><html><title>Log in</title>", "not a FITS file: a web page (Log in)"),
        (b"\n <html><body>", "not a FITS file: a web page"),
        (b'{"error": 1}', 'not a FITS file: JSON {"error": 1}'),
        (b"{no JSON", "not a FITS file: starts with {no JSON"),
        (sdss_file(266, 51602, 2), "wrong file: asked for 266-51602-1, this is 266-51602-2"),
        (LAMOST, "wrong file: asked for 266-51602-1, this is 101001"),
    ],
)
def test_others_do_not(data: bytes, reason: str):
    with pytest.raises(CorruptError) as caught:
        check_spectrum(data, "sdss", "266-51602-1")
    assert str(caught.value).startswith(reason)


def test_json_of_lamost():
    with pytest.raises(NotThereError, match="the server answered"):
        check_spectrum(b'{"message": "no such obsid"}', "lamost", "1")
    with pytest.raises(RefusedError, match="need a token"):
        check_spectrum(b'{"message": "you need a token"}', "lamost", "1")


def test_a_long_page_is_quoted_in_short():
    with pytest.raises(NotThereError) as caught:
        check_spectrum(b'{"message": "' + b"x" * 10_000 + b'"}', "lamost", "1")
    assert len(str(caught.value)) < 120


def test_real_files_pass_whole_and_fail_cut_or_under_another_name(real_spectra: Path, real_index):
    compared = 0
    for row in real_index:
        path = real_spectra / row["file"]
        if path.stem.startswith("med-") or not path.exists():
            continue
        data = path.read_bytes()
        header = read_header(data)
        assert read_identity(data) == (header.survey, header.identity)
        check_spectrum(data, header.survey, header.identity)
        with pytest.raises(CorruptError):
            check_spectrum(data[: len(data) // 2], header.survey, header.identity)
        if header.survey == "sdss" or header.identity.isdigit():  # the oldest have no obsid
            compared += 1
            with pytest.raises(CorruptError, match="wrong file: asked for 1-2-3"):
                check_spectrum(data, header.survey, "1-2-3")
    assert compared > 100
