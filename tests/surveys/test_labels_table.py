"""Labels of one's own: the table wins over headers, and every mistake in it is a sentence."""

from __future__ import annotations

import csv
import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from spectrum_files import galaxy_flux, sdss_file
from specvit.catalog.survey import select_survey
from specvit.config import load_stage, validate
from specvit.errors import ConfigError, DataError
from specvit.io import read_parquet
from specvit.surveys.catalogue import finished
from specvit.surveys.files.catalogue import FilesCatalogue
from specvit.surveys.files.labels import Labels


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    """Four SDSS files of galaxies at z = 0.1, of which the last is empty in the sky's own words."""
    made = {}
    for number, name in enumerate(("a.fits", "b.fits", "sub/c.fits", "d.fits"), 1):
        flags = {"ZWARNING": 1} if name == "d.fits" else {}
        row = {"FIBERID": number, "PLUG_RA": 10.0 * number, "PLUG_DEC": 1.0, **flags}
        made[name] = sdss_file(galaxy_flux(), **row)
    return made


@pytest.fixture
def spectra(tmp_path: Path, files: dict[str, bytes]) -> Path:
    """A folder of them, in a folder of its own."""
    (tmp_path / "spectra" / "sub").mkdir(parents=True)
    for name, data in files.items():
        (tmp_path / "spectra" / name).write_bytes(data)
    return tmp_path / "spectra"


def settings_of(folder: Path, table: Path | str, **select: Any) -> Any:
    files = {"base_url": folder.as_uri(), "labels": str(table), "select": select}
    return validate({"surveys": {"files": files}}).surveys.files


def labelled(folder: Path, table: Path | str, **select: Any) -> pd.DataFrame:
    catalogue = FilesCatalogue(folder, settings_of(folder, table, **select))
    (piece,) = catalogue.pieces()
    return finished(catalogue, piece).set_index("path")


def write(folder: Path, text: str) -> Path:
    path = folder.parent / "labels.csv"
    path.write_text(text)
    return path


def test_the_table_wins_and_an_empty_cell_leaves_the_header(spectra: Path, monkeypatch) -> None:
    write(
        spectra,
        "\ufeffpath,class,subclass,z,teff,ra\r\n"
        "a.fits,STAR,K3,0.0001,4800,-9999\n"
        "./sub//c.fits,,,nan, 5000 ,33.5\n",
    )
    monkeypatch.setenv("MINE", str(spectra.parent))
    frame = labelled(spectra, "$MINE/labels.csv")
    a, b, c = (frame.loc[name] for name in ("a.fits", "b.fits", "sub/c.fits"))
    assert a[["class", "subclass", "stellar_type"]].tolist() == ["STAR", "K3", "K"]
    assert a[["z", "z_err", "teff", "ra"]].tolist() == [0.0001, pytest.approx(1e-5), 4800, 10]
    assert c[["class", "subclass", "teff", "ra"]].tolist() == ["GALAXY", "AGN", 5000, 33.5]
    assert c["z"] == b["z"] == pytest.approx(0.1)
    assert np.isnan(b["teff"])
    assert frame["logg"].isna().all()


def test_what_the_table_calls_nothing_has_no_redshift(spectra: Path) -> None:
    table = write(spectra, "path,class\nb.fits,NONE\nd.fits,QSO\n")
    taken = labelled(spectra, table, classes=["GALAXY", "QSO", "NONE"])
    assert taken.loc["b.fits", "class"] == "NONE"
    assert taken.loc["d.fits", "class"] == "QSO"  # a fibre on the sky by its ZWARNING
    left = labelled(spectra, table)
    for frame in (taken, left):
        assert frame.loc["b.fits", ["z", "z_err", "subclass"]].isna().all()
    assert left.loc["b.fits", ["class"]].isna().all()


@pytest.mark.parametrize("key", ["identity", "spectrum_id"])
def test_rows_are_found_by_other_names_and_in_parquet(spectra: Path, key: str) -> None:
    bare = labelled(spectra, write(spectra, "path,z\na.fits,0.2\n"))
    table = spectra.parent / "labels.parquet"
    rows = {key: [bare.loc["b.fits", key]], "z": np.array([0.3], np.float32), "class": [None]}
    pd.DataFrame(rows).to_parquet(table)
    frame = labelled(spectra, table)
    assert frame["z"].round(6).to_dict() == {
        "a.fits": 0.1, "b.fits": 0.3, "d.fits": 0.1, "sub/c.fits": 0.1
    }  # fmt: skip
    assert set(frame["class"]) == {"GALAXY"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is no CSV table"),
        ("path,z\na.fits,1,2\n", "is no CSV table"),
        ("path,z\n", "has no rows"),
        ("file,z\na.fits,1\n", "unknown column file; known are path, spectrum_id"),
        ("class,z\nSTAR,1\n", "must have one of the columns path, spectrum_id, identity"),
        ("path,identity,z\na,b,1\n", "it has path, identity, z"),
        ("path,z,z\na,1,1\n", "each column once"),
        ("path\na.fits\n", "and labels beside it"),
        ("path,z\na.fits,1\n,2\n", "1 of 2 cells of column path are empty"),
        ("path,z\na.fits,1\n./a.fits,1\n", "path are there twice, the first: 'a.fits'"),
        ("path,class\na.fits,Star\n", "class = 'Star' of a.fits must be STAR, GALAXY, QSO, NONE,"),
        ("path,z\na.fits,1\nb.fits,0.1?\n", "z = '0.1?' of b.fits must be a number"),
        ("path,z\na.fits,inf\n", "z = 'inf' of a.fits must be a number, or empty (1 of 1 rows"),
        ("path,z\na.fits,-5\n", "z = '-5' of a.fits must be between -1 and 20, or empty"),
        ("path,ra,dec\na.fits,12,170.5\n", "dec = '170.5' of a.fits must be between -90 and 90"),
        ("path,z\n" + "a" * 9999 + "," + "?" * 9999, "?' of aaa"),
        (
            "path,z" + "".join(f",c{n}" for n in range(999)) + "\n",
            "unknown column c0, c1,",
        ),
        ("identity,z\n" + f"{'a' * 9999},1\n" * 2, "identity are there twice, the first: 'aaa"),
    ],
)
def test_a_mistake_in_the_table_is_a_sentence(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "labels.csv"
    path.write_text(text)
    with pytest.raises(DataError) as caught:
        Labels(path)
    assert str(path) in str(caught.value)
    assert said in str(caught.value)
    assert len(str(caught.value)) < 800


def test_rows_of_other_files_are_counted_unless_all_are(spectra: Path, caplog) -> None:
    (spectra / "broken.fits").write_bytes(b"")
    text = "path,z\na.fits,1\nbroken.fits,1\n" + "".join(f"{n}.fits,1\n" for n in range(6))
    logging.getLogger("specvit").addHandler(caplog.handler)
    with caplog.at_level("INFO", "specvit"):
        labelled(spectra, write(spectra, text))
    logging.getLogger("specvit").removeHandler(caplog.handler)
    assert "1 of 8 rows used; 3 files have no row" in caplog.text
    assert (
        "6 rows are of no file that is read: 0.fits, 1.fits, 2.fits, 3.fits, 4.fits, ..."
        in caplog.text
    )
    assert "1 rows are of files that are refused: broken.fits" in caplog.text
    with pytest.raises(DataError, match=r"first row has the path /x/a.fits, the first file a.fits"):
        labelled(spectra, write(spectra, "path,z\n/x/a.fits,1\n"))
    with pytest.raises(DataError, match=r"there is no file nowhere\.csv"):
        labelled(spectra, "nowhere.csv")


def test_stellar_numbers_need_the_table(spectra: Path) -> None:
    files = {"base_url": spectra.as_uri()}
    with pytest.raises(ConfigError, match="name a table that has them"):
        validate({"tasks": ["teff"], "surveys": {"files": files}})
    with pytest.raises(ConfigError, match="names teff, which no header has"):
        validate({"surveys": {"files": {**files, "select": {"require": ["teff"]}}}})
    table = write(spectra, "path,teff\na.fits,4800\nb.fits,\n")
    over = {
        "tasks": ["teff"],
        "results_dir": str(spectra.parent / "results"),
        "surveys": {"files": {**files, "labels": str(table), "select": {"require": ["teff"]}}},
    }
    config = load_stage([json.dumps(over)], "survey")
    select_survey(config, "files")
    frame = read_parquet(config.paths.survey_table("files"), ["path", "teff"])
    assert frame.to_numpy().tolist() == [["a.fits", 4800.0]]


def test_real_files_take_the_labels_of_a_table(
    tmp_path: Path, real_spectra: Path, real_index: list[dict[str, str]]
) -> None:
    """A part of the real folder, labelled as its index does but for one class."""
    known = [row for row in real_index if row["class"] in ("STAR", "GALAXY", "QSO")]
    rows = [row for row in known if row["survey"] != "LAMOST-MRS"][::50]
    for row in rows:
        link = tmp_path / "spectra" / row["file"]
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(real_spectra / row["file"])
    table = tmp_path / "labels.csv"
    with table.open("w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(["path", "class", "feh"])
        writer.writerows([row["file"], "QSO", number / 10] for number, row in enumerate(rows))
    frame = labelled(tmp_path / "spectra", table)
    assert len(frame) > 1
    assert set(frame["class"]) == {"QSO"}
    for number, row in enumerate(rows):
        if row["file"] in frame.index:
            assert frame.loc[row["file"], "feh"] == number / 10
            assert frame.loc[row["file"], "z"] == pytest.approx(float(row["z"]), rel=1e-4)
