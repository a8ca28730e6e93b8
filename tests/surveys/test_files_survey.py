"""A folder of spectra: every file is in the catalogue or refused with a reason."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from specvit.config import validate
from specvit.errors import DataError
from specvit.surveys.catalogue import finished
from specvit.surveys.files import FilesSettings
from specvit.surveys.files.catalogue import FilesCatalogue, file_spectrum_id, spectrum_files
from specvit.surveys.simulated import SimulatedSky


@pytest.fixture(scope="module")
def lite(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A whole SDSS file."""
    from specvit.config.surveys import Simulated
    from specvit.surveys.sdss.catalogue import SpecObj
    from specvit.surveys.sdss.paths import CATALOGUE_PATHS

    sky = SimulatedSky(Simulated(sdss_spectra=20, lamost_spectra=5, missing_fraction=0.0))
    path = tmp_path_factory.mktemp("sky") / "specObj.fits"
    path.write_bytes(sky.read(CATALOGUE_PATHS["dr17"]))
    survey = validate({"surveys": {"sdss": {}}}).surveys.sdss
    assert survey is not None
    catalogue = SpecObj(path, survey)
    frame = finished(catalogue, next(catalogue.pieces()))
    return sky.read(frame["path"][0])


def settings(folder: Path, **select: object) -> FilesSettings:
    files = {"base_url": folder.as_uri(), "select": select}
    survey = validate({"surveys": {"files": files}}).surveys.files
    assert survey is not None
    return survey


def test_one_unreadable_file_never_ends_the_walk(tmp_path: Path, lite: bytes) -> None:
    (tmp_path / "sub").mkdir()
    for name, data in {
        "a.fits": b"<html>404</html>",
        "b.FITS": lite,
        "notes.txt": b"not looked at",
        "sub/c.fits.gz": b"\x1f\x8b broken",
        "sub/d.fit": lite,
        "e.fits": lite[:3000],
        "f.fits": b"",
    }.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "gone.fits").symlink_to(tmp_path / "nowhere")
    catalogue = FilesCatalogue(tmp_path, settings(tmp_path))
    pieces = list(catalogue.pieces())
    assert catalogue.rows == 7
    assert [path for piece in pieces for path in piece["path"]] == ["b.FITS", "sub/d.fit"]
    reasons = dict(catalogue.refused)
    assert set(reasons) == {"a.fits", "e.fits", "f.fits", "gone.fits", "sub/c.fits.gz"}
    assert "<html>" in reasons["a.fits"]
    assert "truncated" in reasons["e.fits"]
    assert reasons["f.fits"] == "empty file"
    assert "No such file" in reasons["gone.fits"]
    assert "gzip" in reasons["sub/c.fits.gz"]


def test_two_copies_are_two_spectra_of_one_object(tmp_path: Path, lite: bytes) -> None:
    for name in ("a.fits", "b.fits"):
        (tmp_path / name).write_bytes(lite)
    catalogue = FilesCatalogue(tmp_path, settings(tmp_path))
    (piece,) = catalogue.pieces()
    ids = catalogue.spectrum_ids(piece)
    assert len(set(ids)) == 2
    assert any(keys[0] == keys[1] != 0 for keys in catalogue.group_keys(piece))


def test_identifiers_stay_when_files_are_added(tmp_path: Path, lite: bytes) -> None:
    (tmp_path / "b.fits").write_bytes(lite)
    (before,) = FilesCatalogue(tmp_path, settings(tmp_path)).pieces()
    (tmp_path / "a.fits").write_bytes(lite)
    (after,) = FilesCatalogue(tmp_path, settings(tmp_path)).pieces()
    assert before["spectrum_id"][0] in after["spectrum_id"]


def test_an_identifier_has_no_character_that_shards_cannot_hold() -> None:
    name = file_spectrum_id("lamost", "55862-B6212_sp06-003", "LAMOST DR1/spec 1.fits")
    assert name.startswith("files-lamost-55862-b6212_sp06-003-")
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-_")


def test_folders_without_spectra_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is not a folder"):
        spectrum_files(tmp_path / "none")
    with pytest.raises(DataError, match="has no file called"):
        spectrum_files(tmp_path)


def test_real_files_are_what_their_index_says(
    real_spectra: Path, real_index: list[dict[str, str]]
) -> None:
    catalogue = FilesCatalogue(real_spectra, settings(real_spectra))
    frames = [finished(catalogue, piece) for piece in catalogue.pieces()]
    (frame,) = frames
    rows = frame.set_index("path")
    refused = dict(catalogue.refused)
    assert set(rows.index) | set(refused) == {row["file"] for row in real_index}
    for row in real_index:
        if row["survey"] == "LAMOST-MRS":
            assert refused[row["file"]].startswith("medium resolution")
            continue
        read = rows.loc[row["file"]]
        if row["class"] == "Unknown":
            assert isinstance(read["class"], float)  # no class, and then no redshift
            assert np.isnan(read["z"])
        else:
            assert read["class"] == row["class"]
            assert read["z"] == pytest.approx(float(row["z"]), rel=1e-4, abs=1e-8)
        assert read["snr"] == pytest.approx(float(row["snr"]), rel=1e-3)
    assert len(rows) + len(refused) == len(real_index) == 345


def test_files_with_a_redshift_warning_can_be_left_out(
    real_spectra: Path, real_index: list[dict[str, str]]
) -> None:
    catalogue = FilesCatalogue(real_spectra, settings(real_spectra, zwarning_zero=True))
    (cut,) = catalogue.own_cuts()
    (piece,) = catalogue.pieces()
    left_out = set(piece["path"][~cut.keep(piece)])
    assert left_out == {row["file"] for row in real_index if row["zwarn"] not in ("", "0")}
