"""SDSS catalogues: columns, paths, exact identifiers, cuts, lists, parameters of stars."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from astropy.table import Table

from specvit.catalog.select import Selection, select
from specvit.config import validate
from specvit.errors import DataError
from specvit.surveys.catalogue import finished
from specvit.surveys.sdss import SdssSettings
from specvit.surveys.sdss.catalogue import SdssCatalogue
from specvit.surveys.sdss.paths import RELEASES

# 19 digits, next to one another: one object more or less would be the same float.
OBJECTS = (1237648720142401611, 1237648720142401612)


def specobj(folder: Path, **columns: list[Any]) -> Path:
    """Four spectra, of which the first and third are of one object; `columns` overrides some."""
    rows = {
        "PLATE": [266, 3586, 10656, 2640],
        "MJD": [51602, 55181, 58163, 54806],
        "FIBERID": [1, 1000, 366, 7],
        "RUN2D": ["26     ", "v5_13_2", "v5_13_2", "26"],
        "CLASS": ["STAR  ", "GALAXY", "QSO   ", "STAR"],
        "SUBCLASS": ["F5", "AGN BROADLINE", "", "WD"],
        "Z": np.array([1e-4, 0.25, 2.5, -2e-4], np.float32),
        "Z_ERR": np.array([1e-5, -4, 1e-4, 1e-5], np.float32),
        "ZWARNING": [0, 0, 4, 0],
        "SN_MEDIAN_ALL": np.array([30, 8, 4.5, 12], np.float32),
        "PLUG_RA": [10.0, 20.0, 30.0, 40.0],
        "PLUG_DEC": [-1.0, 0.0, 1.0, 2.0],
        "SPECPRIMARY": np.array([1, 1, 0, 1], np.uint8),
        "SURVEY": ["sdss  ", "boss  ", "eboss ", "segue2"],
        "PROGRAMNAME": ["legacy", "boss", "eboss", "segue2"],
        "TARGETTYPE": ["SCIENCE ", "STANDARD", "SCIENCE ", "SCIENCE "],
        "BESTOBJID": [str(OBJECTS[0]), str(OBJECTS[1]), str(OBJECTS[0]), " " * 19],
        "SPECOBJID": ["    299489676975171584", "4", "  11997690149582688256", "5"],
    }
    path = folder / "specObj-dr17.fits"
    Table({name: columns.get(name, values) for name, values in rows.items()}).write(
        path, overwrite=True
    )
    return path


def selected(
    path: Path, release: str = "dr17", stars: Path | None = None, **over: Any
) -> tuple[Any, Selection]:
    keep_all = {"zwarning_zero": False, "min_snr": None, "z_range": None}
    config = validate(
        {"surveys": {"sdss": {"release": release, "select": {**keep_all, **over}}}}
    ).surveys.sdss
    assert config is not None
    catalogue = SdssCatalogue(path, config, stars)
    return catalogue, select(catalogue, config.select, 1, "sdss")


def ids(path: Path, **over: Any) -> list[str]:
    catalogue, selection = selected(path, **over)
    found: list[str] = catalogue.spectrum_ids(selection.columns)
    return found


ALL = ["sdss-00266-51602-0001", "sdss-02640-54806-0007", "sdss-03586-55181-1000"]
ALL.append("sdss-10656-58163-0366")


@pytest.mark.parametrize(
    ("plate", "mjd", "fiber", "run2d", "path"),
    [
        (266, 51602, 1, "26", "sdss/spectro/redux/26/spectra/lite/0266/spec-0266-51602-0001.fits"),
        (
            1960,
            53289,
            640,
            "103",
            "sdss/spectro/redux/103/spectra/lite/1960/spec-1960-53289-0640.fits",
        ),
        (
            3128,
            54776,
            8,
            "104",
            "sdss/spectro/redux/104/spectra/lite/3128/spec-3128-54776-0008.fits",
        ),
        (
            3586,
            55181,
            1,
            "v5_13_2",
            "eboss/spectro/redux/v5_13_2/spectra/lite/3586/spec-3586-55181-0001.fits",
        ),
        (
            10656,
            58163,
            1000,
            "v5_13_2",
            "eboss/spectro/redux/v5_13_2/spectra/lite/10656/spec-10656-58163-1000.fits",
        ),
    ],
)
def test_paths_of_dr17(plate: int, mjd: int, fiber: int, run2d: str, path: str) -> None:
    assert RELEASES["dr17"].path(plate, mjd, fiber, run2d) == f"dr17/{path}"


@pytest.mark.parametrize(
    "pair",
    [
        (2640, 54806),
        (2957, 54807),
        (2962, 54774),
        (3000, 54843),
        (3000, 54892),
        (3002, 54844),
        (3003, 54845),
        (3005, 54876),
    ],
)
def test_eight_plates_listed_under_26_are_under_104(pair: tuple[int, int]) -> None:
    assert "/redux/104/" in RELEASES["dr17"].path(*pair, 1, "26")
    assert "/redux/26/" in RELEASES["dr17"].path(pair[0], pair[1] + 1, 1, "26")


def test_rows_are_what_the_table_says(tmp_path: Path) -> None:
    catalogue, selection = selected(specobj(tmp_path))
    frame = finished(catalogue, selection.columns)
    assert frame["spectrum_id"].tolist() == ALL
    assert frame["identity"].tolist()[0] == "266-51602-1"
    assert frame["class"].tolist() == ["STAR", "STAR", "GALAXY", "QSO"]
    assert frame["subclass"].fillna("-").tolist() == ["F5", "WD", "AGN BROADLINE", "-"]
    assert frame["stellar_type"].fillna("-").tolist() == ["F", "-", "-", "-"]
    assert frame["z"].tolist() == [float(np.float32(z)) for z in (1e-4, -2e-4, 0.25, 2.5)]
    assert np.isnan(frame["z_err"][2])  # negative: the fit failed
    assert frame["snr"].tolist() == [30, 12, 8, 4.5]
    assert frame["ra"].tolist() == [10, 40, 20, 30]
    assert frame["path"][1].startswith("dr17/sdss/spectro/redux/104/spectra/lite/2640/")


def test_objects_are_told_apart_by_all_19_digits(tmp_path: Path) -> None:
    _, selection = selected(specobj(tmp_path))
    assert selection.first.tolist() == [0, 1, 2, 0]


def test_integer_identifiers_are_exact_too(tmp_path: Path) -> None:
    numbers = np.array([OBJECTS[0], OBJECTS[1], OBJECTS[0], 0])
    _, selection = selected(specobj(tmp_path, BESTOBJID=numbers))
    assert selection.first.tolist() == [0, 1, 2, 0]


@pytest.mark.parametrize(
    ("over", "rows"),
    [
        ({"zwarning_zero": True}, [0, 1, 2]),
        ({"primary_only": True}, [0, 1, 2]),
        ({"science_only": True}, [0, 1, 3]),
        ({"surveys": ["legacy"]}, [0]),
        ({"surveys": ["segue", "eboss"]}, [1, 3]),
        ({"programs": ["BOSS"]}, [2]),
    ],
)
def test_cuts_that_only_sdss_has(tmp_path: Path, over: dict[str, Any], rows: list[int]) -> None:
    assert ids(specobj(tmp_path), **over) == [ALL[row] for row in rows]


def test_lists_name_spectra_in_every_usual_way(tmp_path: Path) -> None:
    (tmp_path / "ids.txt").write_text(
        "# mine\n0266-51602-0001\nsdss-03586-55181-1000  # padded\n\n11997690149582688256\n1-2-3\n"
    )
    assert ids(specobj(tmp_path), ids=str(tmp_path / "ids.txt")) == [ALL[0], ALL[2], ALL[3]]
    with (tmp_path / "ids.txt").open("a") as more:
        more.write("11997690149582688256\n99999999999999999999-1-1\n")
    assert ids(specobj(tmp_path), ids=str(tmp_path / "ids.txt")) == [ALL[0], ALL[2], ALL[3]]


def test_a_spectrum_listed_twice_is_taken_once(tmp_path: Path) -> None:
    path = specobj(tmp_path, PLATE=[266] * 4, MJD=[51602] * 4, FIBERID=[1, 1, 2, 2])
    _, selection = selected(path)
    assert selection.rows == 2
    assert selection.ladder.steps[-1] == ("listed once", 4, 2)


def test_columns_are_needed_only_by_what_asks_for_them(tmp_path: Path) -> None:
    path = specobj(tmp_path)
    table = Table.read(path)
    table.remove_columns(["TARGETTYPE", "SURVEY", "SPECOBJID"])
    table.write(path, overwrite=True)
    assert len(ids(path)) == 4
    with pytest.raises(DataError, match="no column TARGETTYPE"):
        ids(path, science_only=True)


def spall_lite(folder: Path) -> Path:
    """DR19: two spectra of one target, one without a catalogue position."""
    path = folder / "spAll-lite-v6_1_3.fits.gz"
    Table(
        {
            "FIELD": [15000, 101126, 15143],
            "MJD": [59146, 60000, 59205],
            "RUN2D": ["v6_1_3"] * 3,
            "CATALOGID": [4375786564, 27021598054114233, 4544940698],
            "SDSS_ID": [54321, 54321, -999],
            "CLASS": ["GALAXY", "GALAXY", "STAR"],
            "SUBCLASS": ["", "AGN", "G2"],
            "Z": np.array([0.1, 0.1, 0], np.float32),
            "Z_ERR": np.array([1e-5, 1e-5, 1e-6], np.float32),
            "ZWARNING": [0, 0, 0],
            "SN_MEDIAN_ALL": np.array([10, 5, 50], np.float32),
            "RACAT": [12.0, 12.0, -999.0],
            "DECCAT": [5.0, 5.0, -999.0],
            "PLUG_RA": [12.1, 12.1, 77.0],
            "PLUG_DEC": [5.1, 5.1, -7.0],
            "SPECPRIMARY": [1, 0, 1],
            "PROGRAMNAME": ["BHM", "bhm_rm", "MWM"],
        }
    ).write(path, overwrite=True)
    return path


def test_dr19_names_spectra_by_field_mjd_and_catalogid(tmp_path: Path) -> None:
    catalogue, selection = selected(spall_lite(tmp_path), release="dr19")
    frame = finished(catalogue, selection.columns)
    assert frame["path"].tolist()[0] == (
        "dr19/spectro/boss/redux/v6_1_3/spectra/lite/015000/59146/spec-015000-59146-4375786564.fits"
    )
    assert frame["identity"].tolist() == [
        "15000-59146-4375786564",
        "15143-59205-4544940698",
        "101126-60000-27021598054114233",
    ]
    assert frame["ra"].tolist() == [12.0, 77.0, 12.0]  # the fiber's where there is no target's
    assert selection.first.tolist() == [0, 1, 0]  # SDSS_ID groups, -999 does not
    assert sorted(frame["spectrum_id"]) == frame["spectrum_id"].tolist()
    assert ids(spall_lite(tmp_path), release="dr19", primary_only=True) == [
        frame["spectrum_id"][0],
        frame["spectrum_id"][1],
    ]


_BOSS = "spectro/boss/redux"


@pytest.mark.parametrize(
    ("release", "path"),
    [
        (
            "dr18",
            "dr18/{}/v6_0_4/spectra/lite/15143p/59205/spec-15143-59205-04544940698.fits",
        ),
        ("dr19", "dr19/{}/v6_1_3/spectra/lite/015143/59205/spec-015143-59205-4544940698.fits"),
        (
            "dr20",
            "dr20/{}/v6_2_1/spectra/daily/lite/015XXX/015143/59205/"
            "spec-015143-59205-4544940698.fits",
        ),
        (
            "dr20-epoch",
            "dr20/{}/v6_2_1/spectra/epoch/lite/015XXX/015143/59205/"
            "spec-015143-59205-4544940698.fits",
        ),
    ],
)
def test_paths_of_sdss5(release: str, path: str) -> None:
    run2d = path.split("/")[2]
    assert RELEASES[release].path(15143, 59205, 4544940698, run2d) == path.format(_BOSS)


def test_the_configuration_knows_every_release() -> None:
    assert get_args(SdssSettings.model_fields["release"].annotation) == tuple(RELEASES)


def test_dr18_has_neither_sdss_id_nor_position_of_the_target(tmp_path: Path) -> None:
    path = spall_lite(tmp_path)
    table = Table.read(path)
    table.remove_columns(["SDSS_ID", "RACAT", "DECCAT"])
    table["SPECPRIMARY"] = [True, False, True]  # a logical here
    table.write(path, overwrite=True)
    catalogue, selection = selected(path, release="dr18", primary_only=True)
    frame = finished(catalogue, selection.columns)
    assert frame["ra"].tolist() == [12.1, 77.0]
    assert set(frame["release"]) == {"dr18"}


def bossnet(folder: Path, **columns: list[Any]) -> Path:
    """Five rows of three stars: one seen by two telescopes, one flagged, one of no spectrum."""
    rows = {
        "sdss_id": [54321, 54321, 77, 77, 99],
        "telescope": ["apo25m", "lco25m"] * 2 + ["apo25m"],
        "snr": np.array([20, 50, 10, 5, np.nan], np.float32),
        "teff": np.array([5000, 5100, 4000, 4100, 6000], np.float32),
        "logg": np.array([4, 4.5, 2, 2.5, 3], np.float32),
        "fe_h": np.array([-1, -1.5, 0, 0.25, np.nan], np.float32),
        "flag_bad": [False, False, True, False, False],
    }
    path = folder / "astraAllStarBossNet-0.8.1.fits.gz"
    Table({name: columns.get(name, values) for name, values in rows.items()}).write(
        path, overwrite=True
    )
    return path


def test_parameters_of_stars_are_joined_on_sdss_id(tmp_path: Path) -> None:
    path = spall_lite(tmp_path)
    table = Table.read(path)
    table["CLASS"] = ["STAR", "GALAXY", "STAR"]
    table["SDSS_ID"] = [54321, 54321, 77]
    table.write(path, overwrite=True)
    catalogue, selection = selected(path, "dr20", bossnet(tmp_path))
    frame = finished(catalogue, selection.columns)
    assert frame["class"].tolist() == ["STAR", "STAR", "GALAXY"]
    assert frame["teff"].tolist()[:2] == [5100, 4100]  # the highest S/N that is not flagged
    assert frame["feh"].tolist()[:2] == [-1.5, 0.25]
    assert frame.loc[2, ["teff", "logg", "feh"]].isna().all()  # whatever BossNet says: no star
    flagged = next(cut for cut in selection.ladder.steps if "flag_bad" in cut.name)
    assert (flagged.removed, "1 of 5 rows" in flagged.name) == (0, True)
    _, required = selected(path, "dr20", bossnet(tmp_path), require=["feh"])
    assert required.rows == 2


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"flag_bad": [True] * 5}, "no star whose parameters"),
        ({"teff": ["5000"] * 5}, "column TEFF has TFORM"),
    ],
)
def test_a_table_of_stars_that_is_none_is_refused(
    tmp_path: Path, columns: dict[str, list[Any]], words: str
) -> None:
    with pytest.raises(DataError, match=words):
        selected(spall_lite(tmp_path), "dr19", bossnet(tmp_path, **columns))


def test_spectra_of_fibers_without_a_target_are_cut_and_counted(tmp_path: Path) -> None:
    path = spall_lite(tmp_path)
    table = Table.read(path)
    table["CATALOGID"][2] = -999
    table.write(path, overwrite=True)
    _, selection = selected(path, release="dr19")
    assert selection.ladder.steps[1] == ("has a catalogid", 3, 2)


UNSIGNED = np.array([2**63 + 5, 2**63 + 7, 12, 2**64 - 1], np.uint64)


@pytest.mark.parametrize("kind", [np.uint64, np.int64])
def test_numbers_above_the_signed_range_are_exact(tmp_path: Path, kind: type) -> None:
    objects = np.array([OBJECTS[0], OBJECTS[1], OBJECTS[0], 0]).astype(np.int64).astype(np.uint64)
    path = specobj(tmp_path, BESTOBJID=objects, SPECOBJID=UNSIGNED.astype(kind))
    _, selection = selected(path)
    assert selection.first.tolist() == [0, 1, 2, 0]
    (tmp_path / "ids.txt").write_text(f"{2**63 + 7}\n{2**64 + 12}\nno-such\n")
    assert ids(path, ids=str(tmp_path / "ids.txt")) == [ALL[2]]
