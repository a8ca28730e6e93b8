"""A folder of spectra: every file is in the catalogue or refused with a reason."""

from __future__ import annotations

import gzip
import logging
import os
from pathlib import Path

import numpy as np
import pytest

from specvit.config import validate
from specvit.errors import DataError
from specvit.io import from_text
from specvit.surveys.catalogue import finished
from specvit.surveys.files import FilesSettings
from specvit.surveys.files.catalogue import FilesCatalogue, file_spectrum_id
from specvit.surveys.files.find import find_spectra
from specvit.surveys.simulated import SimulatedSky


@pytest.fixture(scope="module")
def sky_files(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """Three whole SDSS files of three spectra."""
    from specvit.config.surveys import Simulated
    from specvit.surveys.sdss.catalogue import SdssCatalogue
    from specvit.surveys.sdss.paths import RELEASES

    sky = SimulatedSky(Simulated(sdss_spectra=20, lamost_spectra=5, missing_fraction=0.0))
    path = tmp_path_factory.mktemp("sky") / "specObj.fits"
    path.write_bytes(sky.read(RELEASES["dr17"].catalogue))
    survey = validate({"surveys": {"sdss": {}}}).surveys.sdss
    assert survey is not None
    catalogue = SdssCatalogue(path, survey)
    frame = finished(catalogue, next(catalogue.pieces()))
    return [sky.read(path) for path in frame["path"][:3]]


@pytest.fixture
def lite(sky_files: list[bytes]) -> bytes:
    return sky_files[0]


def read_all(folder: Path) -> tuple[list[str], dict[str, str]]:
    """Paths in the catalogue, and the reasons of those that are not."""
    catalogue = FilesCatalogue(folder, settings(folder))
    paths = [path for piece in catalogue.pieces() for path in piece["path"].tolist()]
    assert catalogue.rows == len(paths) + len(catalogue.refused)
    return paths, dict(catalogue.refused)


def settings(folder: Path, **select: object) -> FilesSettings:
    files = {"base_url": folder.as_uri(), "select": select}
    survey = validate({"surveys": {"files": files}}).surveys.files
    assert survey is not None
    return survey


def test_one_unreadable_file_never_ends_the_walk(tmp_path: Path, sky_files: list[bytes]) -> None:
    lite = sky_files[0]
    (tmp_path / "sub").mkdir()
    for name, data in {
        "a.fits": b"<html>404</html>",
        "b.FITS": lite,
        "notes.txt": b"not looked at",
        "sub/c.fits.gz": b"\x1f\x8b broken",
        "sub/d.fit": sky_files[1],
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


def test_copies_count_once(tmp_path: Path, sky_files: list[bytes]) -> None:
    """The same bytes, the same spectrum packed, and a link are listed as copies."""
    (tmp_path / "a.fits").write_bytes(sky_files[0])
    (tmp_path / "b.fits").write_bytes(sky_files[0])
    (tmp_path / "c.fits.gz").write_bytes(gzip.compress(sky_files[0]))
    (tmp_path / "d.fits").symlink_to("a.fits")
    (tmp_path / "e.fits").write_bytes(sky_files[1])
    paths, refused = read_all(tmp_path)
    assert paths == ["a.fits", "e.fits"]
    assert refused == dict.fromkeys(("b.fits", "c.fits.gz", "d.fits"), "a copy of a.fits")


def test_identifiers_stay_when_files_are_added(tmp_path: Path, sky_files: list[bytes]) -> None:
    (tmp_path / "b.fits").write_bytes(sky_files[0])
    (before,) = FilesCatalogue(tmp_path, settings(tmp_path)).pieces()
    (tmp_path / "a.fits").write_bytes(sky_files[1])
    (after,) = FilesCatalogue(tmp_path, settings(tmp_path)).pieces()
    assert before["spectrum_id"][0] in after["spectrum_id"]


def test_links_to_folders_are_followed_once(tmp_path: Path, sky_files: list[bytes]) -> None:
    root, elsewhere = tmp_path / "root", tmp_path / "elsewhere"
    (root / "z").mkdir(parents=True)
    elsewhere.mkdir()
    (root / "z" / "a.fits").write_bytes(sky_files[0])
    (elsewhere / "b.fits").write_bytes(sky_files[1])
    (root / "again").symlink_to("z")  # a name before that of the folder itself
    (root / "there").symlink_to(elsewhere)
    (elsewhere / "back").symlink_to(root)
    (root / "z" / "loop").symlink_to(".")
    assert read_all(root) == (["there/b.fits", "z/a.fits"], {})


def test_what_is_passed_over_is_counted(tmp_path: Path, lite: bytes, caplog) -> None:
    (tmp_path / "a.fits").write_bytes(lite)
    for name in ("b.fits.bz2", "c.fits.bz2", "README", "notes.txt"):
        (tmp_path / name).write_bytes(b"")
    logging.getLogger("specvit").addHandler(caplog.handler)
    with caplog.at_level("INFO", "specvit"):
        read_all(tmp_path)
    logging.getLogger("specvit").removeHandler(caplog.handler)
    assert (
        "4 files passed over, called neither .fits nor .fit (2 .bz2, 1 no ending, 1 .txt)"
        in caplog.text
    )


def test_a_folder_that_cannot_be_opened_is_listed(
    tmp_path: Path, sky_files: list[bytes], monkeypatch
) -> None:
    for name, data in zip(("open", "shut"), sky_files, strict=False):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.fits").write_bytes(data)
    scandir = os.scandir

    def guarded(path):
        if Path(path).name == "shut":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", guarded)  # tests may run as root, whom nothing stops
    paths, refused = read_all(tmp_path)
    assert paths == ["open/a.fits"]
    assert refused == {"shut": "cannot open folder: Permission denied"}


def test_a_line_break_in_a_name_is_listed(tmp_path: Path, sky_files: list[bytes]) -> None:
    (tmp_path / "a.fits").write_bytes(sky_files[0])
    (tmp_path / "b\nc.fits").write_bytes(sky_files[1])
    paths, refused = read_all(tmp_path)
    assert paths == ["a.fits"]
    assert refused == {"b\\nc.fits": "a line break or the like in its name"}


def test_names_that_are_not_utf8_are_read(tmp_path: Path, sky_files: list[bytes]) -> None:
    name = os.fsdecode(b"caf\xe9 100%.fits")
    (tmp_path / name).write_bytes(sky_files[0])
    (tmp_path / "100%41.fits").write_bytes(sky_files[1])  # not an escaped name
    paths, refused = read_all(tmp_path)
    assert refused == {}
    assert paths == ["100%41.fits", "caf%E9 100%25.fits"]
    assert [from_text(path, tmp_path).name for path in paths] == ["100%41.fits", name]


def test_only_regular_files_are_opened(tmp_path: Path, lite: bytes) -> None:
    (tmp_path / "a.fits").write_bytes(lite)
    os.mkfifo(tmp_path / "fifo.fits")
    (tmp_path / "zero.fits").symlink_to("/dev/zero")
    with (tmp_path / "huge.fits").open("wb") as huge:
        huge.truncate(2**40)
    paths, refused = read_all(tmp_path)
    assert paths == ["a.fits"]
    assert refused == {
        "fifo.fits": "not a regular file",
        "zero.fits": "not a regular file",
        "huge.fits": "1099511627776 bytes, which no spectrum has",
    }


def test_an_identifier_has_no_character_that_shards_cannot_hold() -> None:
    name = file_spectrum_id("lamost", "55862-B6212_sp06-003", "LAMOST DR1/spec 1.fits")
    assert name.startswith("files-lamost-55862-b6212_sp06-003-")
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-_")


def test_folders_without_spectra_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is not a folder"):
        find_spectra(tmp_path / "none")
    with pytest.raises(DataError, match="has no file called"):
        find_spectra(tmp_path)


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
        if refused.get(row["file"], "").startswith("a copy of "):
            assert refused[row["file"]].removeprefix("a copy of ") in rows.index
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
