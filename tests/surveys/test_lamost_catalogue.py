"""LAMOST catalogues: both separators, names that changed, sentinels, the join, exact groups."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from specvit.catalog.select import select
from specvit.config import validate
from specvit.errors import ConfigError, DataError
from specvit.surveys.catalogue import finished
from specvit.surveys.lamost import SURVEY, LamostSettings, catalogue_paths
from specvit.surveys.lamost.catalogue import LamostCatalogue

HEADER = "obsid,uid,gp_id,designation,obsdate,lmjd,mjd,planid,spid,fiberid,ra_obs,dec_obs,snru,"
HEADER += "snrg,snrr,snri,snrz,class,subclass,z,z_err,ra,dec,fibermask"
# The second and third groups differ in the last of 17 digits.
ROWS = [
    "101001,G1,10000000000000001,LAMOST J1,2011-10-24,55859,55858,F5902,1,1,332.2,-2.0,0.7,12.2,"
    "27.16,36.1,21.0,STAR,G7,-0.000139,0.00002,332.20227,-2.056767,0",
    "1247301005,N2,72057594037927937,LAMOST J2,2025-01-02,60591,60590,LN04,1,5,66.4,32.5,1.2,3.6,"
    "5.03,7.2,6.1,QSO,Non,1.5,0.008,66.478502,32.582322,0",
    "101005,G3,72057594037927936,LAMOST J3,2011-10-24,55859,55858,F5902,1,5,332.5,-2.1,0.7,8.0,"
    "-9999.0,23.2,12.0,STAR,dM2,-9999.0,-9999.0,332.535456,-2.116436,0",
    "101013,G1,10000000000000009,LAMOST J4,2011-10-24,55859,55858,F5902,1,13,332.3,-2.1,0.7,5.5,"
    "8.79,9.1,4.6,Unknown,Non,-9999.0,-9999.0,332.321523,-2.122024,0",
]
STELLAR = "obsid,teff,logg,feh\n101001,5671.25,4.31,-0.12\n101005,-9999.0,-9999.0,0.1\n7,1,1,1\n"


def settings(**over: Any) -> LamostSettings:
    keep_all = {"classes": None, "min_snr": None, "z_range": None}
    select = {**keep_all, **over.pop("select", {})}
    survey = validate({"surveys": {"lamost": {**over, "select": select}}}).surveys.lamost
    assert survey is not None
    return survey


def write(folder: Path, text: str, name: str = "c.csv.gz") -> Path:
    path = folder / name
    data = text.encode()
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return path


def general(folder: Path, separator: str = ",", name: str = "c.csv.gz") -> Path:
    return write(folder, "\n".join([HEADER, *ROWS, ""]).replace(",", separator), name)


def rows(catalogue: LamostCatalogue, survey: LamostSettings) -> Any:
    selection = select(catalogue, survey.select, 1, "lamost")
    frame = finished(catalogue, selection.columns)
    frame["first"] = selection.first
    return frame.set_index("identity")


@pytest.mark.parametrize("separator", [",", "|"])
@pytest.mark.parametrize("name", ["c.csv", "c.csv.gz"])
def test_rows_are_what_the_catalogue_says(tmp_path: Path, separator: str, name: str) -> None:
    survey = settings()
    frame = rows(LamostCatalogue(general(tmp_path, separator, name), survey), survey)
    assert frame.index.tolist() == ["101001", "101005", "101013", "1247301005"]
    assert frame["spectrum_id"].tolist()[::3] == ["lamost-0000101001", "lamost-1247301005"]
    assert frame["class"].fillna("-").tolist() == ["STAR", "STAR", "-", "QSO"]
    assert frame["subclass"].fillna("-").tolist() == ["G7", "dM2", "-", "-"]
    assert frame["stellar_type"].fillna("-").tolist() == ["G", "M", "-", "-"]
    np.testing.assert_array_equal(frame["z"], [-0.000139, np.nan, np.nan, 1.5])
    np.testing.assert_array_equal(frame["snr"], [27.16, np.nan, 8.79, 5.03])  # of the r band
    assert frame["ra"].tolist()[0] == 332.20227
    assert frame["path"].tolist()[0] == "dr10/v2.0/spectrum/fits/101001"
    assert frame["release"].unique().tolist() == ["dr10 v2.0"]


def test_groups_are_exact_and_follow_uid_and_gp_id(tmp_path: Path) -> None:
    survey = settings()
    frame = rows(LamostCatalogue(general(tmp_path), survey), survey)
    # 101013 shares its uid with 101001; 17-digit gp_ids that one float would hold are two.
    assert frame["first"].tolist() == [0, 1, 0, 3]
    shared = [row.replace("72057594037927937", "72057594037927936") for row in ROWS]
    path = write(tmp_path, "\n".join([HEADER, *shared, ""]), "shared.csv.gz")
    assert rows(LamostCatalogue(path, survey), survey)["first"].tolist() == [0, 1, 0, 1]


def test_an_older_catalogue_without_groups_and_with_other_names(tmp_path: Path) -> None:
    text = "obsid|objra|objdec|snrr|class|subclass|z|tcomment\n1|10.0|-5.0|7.5|STAR|A6IV|0.0|it's\n"
    path = write(tmp_path, text)
    survey = settings(release="dr3", version="v1", catalogue=str(path))
    catalogue = SURVEY.catalogue(survey, lambda path: pytest.fail(f"asked for {path}"))
    frame = rows(catalogue, survey)
    assert frame.loc["1", ["ra", "dec", "snr", "stellar_type"]].tolist() == [10, -5, 7.5, "A"]
    assert np.isnan(frame.loc["1", "z_err"])


def test_stellar_parameters_are_joined_on_obsid(tmp_path: Path) -> None:
    survey = settings(stellar_parameters=True)
    stellar = write(tmp_path, STELLAR, "stellar.csv.gz")
    frame = rows(LamostCatalogue(general(tmp_path), survey, stellar), survey)
    np.testing.assert_array_equal(frame["teff"], [5671.25, np.nan, np.nan, np.nan])
    np.testing.assert_allclose(frame["feh"], [-0.12, 0.1, np.nan, np.nan], rtol=1e-6)
    survey = settings(select={"require": ["teff", "logg"]})
    assert survey.has_stellar_labels
    frame = rows(LamostCatalogue(general(tmp_path), survey, stellar), survey)
    assert frame.index.tolist() == ["101001"]


def test_paths_in_unpacked_nightly_tars(tmp_path: Path) -> None:
    survey = settings(layout="nightly", base_url="file:///mirror")
    frame = rows(LamostCatalogue(general(tmp_path), survey), survey)
    assert frame["path"].tolist()[0] == "20111024/F5902/spec-55859-F5902_sp01-001.fits.gz"


def test_lists_of_obsids(tmp_path: Path) -> None:
    (tmp_path / "ids.txt").write_text("101013\nlamost-1247301005\n5\n11997690149582688256\n")
    survey = settings(select={"ids": str(tmp_path / "ids.txt")})
    frame = rows(LamostCatalogue(general(tmp_path), survey), survey)
    assert frame.index.tolist() == ["101013", "1247301005"]


@pytest.mark.parametrize(
    ("release", "version", "names"),
    [
        ("dr4", "v2", ("dr4_v2", "dr4_v2_stellar")),
        ("dr5", "v3", ("dr5_v3", "dr5_v3_stellar")),
        ("dr7", "v1.2", ("dr7_v1.2", "dr7_v1.2_stellar")),
        ("dr7", "v1.3", ("dr7_v1.3_catalogue_LRS", "dr7_v1.3_stellar_LRS")),
        ("dr7", "v2.0", ("dr7_v2.0_LRS_catalogue", "dr7_v2.0_LRS_stellar")),
        ("dr8", "v1.0", ("dr8_v1.0_catalogue_LRS", "dr8_v1.0_stellar_LRS")),
        ("dr9", "v2.0", ("dr9_v2.0_LRS_catalogue", "dr9_v2.0_LRS_stellar")),
        ("dr10", "v2.0", ("dr10_v2.0_LRS_catalogue", "dr10_v2.0_LRS_stellar")),
        ("dr12", "v1.0", ("dr12_v1.0_LRS_catalogue", "dr12_v1.0_LRS_stellar")),
    ],
)
def test_where_catalogues_are(release: str, version: str, names: tuple[str, str]) -> None:
    settings(release=release, version=version)
    folder = f"{release}/{version}/catdl?name="
    expected = tuple(f"{folder}{name}.csv.gz" for name in names)
    assert catalogue_paths(release, version) == expected


@pytest.mark.parametrize(
    ("over", "key"),
    [
        ({"release": "dr1"}, "catalogue"),
        ({"release": "dr6", "version": "v2"}, "catalogue"),
        ({"release": "dr8", "version": "v9.0"}, "catalogue"),
        (
            {"release": "dr3", "catalogue": "x.csv", "stellar_parameters": True},
            "stellar_catalogue",
        ),
    ],
)
def test_a_catalogue_whose_name_is_not_known_must_be_given(over: dict[str, Any], key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        settings(**over)
    text = str(caught.value)
    assert over["release"] in text
    assert "dr5 v3, dr7 v1" in text
    assert text.endswith(f"name the file as {key}")


def test_files_of_ones_own_are_read_in_place(tmp_path: Path) -> None:
    stellar = write(tmp_path, STELLAR, "stellar.csv")
    own = {"catalogue": str(general(tmp_path)), "stellar_catalogue": str(stellar)}
    survey = settings(release="dr2", stellar_parameters=True, **own)
    catalogue = SURVEY.catalogue(survey, lambda path: pytest.fail(f"asked for {path}"))
    assert rows(catalogue, survey).loc["101001", "teff"] == 5671.25


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_letters_that_are_not_ascii_are_replaced(tmp_path: Path, encoding: str) -> None:
    text = "\n".join([HEADER, *ROWS, ""]).replace("G7", "G7\xe9")
    path = tmp_path / "c.csv"
    path.write_bytes(text.encode(encoding))
    survey = settings()
    subclass = rows(LamostCatalogue(path, survey), survey).loc["101001", "subclass"]
    assert subclass.rstrip("?") == "G7"
    assert subclass != "G7"


def test_quoted_names_and_cells_between_bars(tmp_path: Path) -> None:
    lines = [HEADER, *ROWS]
    text = "\n".join("|".join(f'"{cell}"' for cell in line.split(",")) for line in lines)
    survey = settings()
    frame = rows(LamostCatalogue(write(tmp_path, text), survey), survey)
    assert frame.index.tolist() == ["101001", "101005", "101013", "1247301005"]
    assert frame["subclass"].tolist()[0] == "G7"


def test_a_row_without_an_obsid_is_cut_and_counted(tmp_path: Path) -> None:
    survey = settings()
    text = "\n".join([HEADER, *ROWS, ROWS[0].replace("101001,", ",", 1), ""])
    catalogue = LamostCatalogue(write(tmp_path, text), survey)
    selection = select(catalogue, survey.select, 1, "lamost")
    assert ("has an obsid", 5, 4) in selection.ladder.steps
    assert selection.rows == 4


def test_a_list_may_hold_numbers_of_another_survey(tmp_path: Path) -> None:
    (tmp_path / "ids.txt").write_text("11997690149582688256\n101013\n")  # above 2**63
    survey = settings(select={"ids": str(tmp_path / "ids.txt")})
    assert rows(LamostCatalogue(general(tmp_path), survey), survey).index.tolist() == ["101013"]


def test_broken_catalogues_are_refused_in_words(tmp_path: Path) -> None:
    survey = settings()
    whole = general(tmp_path).read_bytes()
    cases = {
        "no_redshift.csv": (HEADER.replace(",z,", ",redshift,").encode(), "has no column z$"),
        "page.html": (b"<html>", "is no CSV table"),
        "half.csv.gz": (whole[: len(whole) // 2], "broken"),
        "text.csv": (
            ("obsid,class,subclass,z,snrr,ra,dec\n" + "a,STAR,,0,1,2,3\n").encode(),
            "CSV column #0",
        ),
    }
    for name, (data, words) in cases.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(DataError, match=words):
            list(LamostCatalogue(tmp_path / name, survey).pieces())
