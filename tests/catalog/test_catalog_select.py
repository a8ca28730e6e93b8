"""Selection: every cut counts what it removes; samples are nested and stay when rows are added."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from hypothesis import given, settings
from hypothesis import strategies as st

from specvit.catalog.select import Selection, select
from specvit.config import validate
from specvit.errors import DataError

CLASS_TEXTS = [b"STAR", b"GALAXY", b"QSO", b"Unknown"]


def numbers(result: Selection) -> list[int]:
    found: list[int] = result.columns["number"].tolist()
    return found


@pytest.fixture
def run(array_survey: Any, selection: Callable[..., Any]) -> Callable[..., Selection]:
    def go(columns: dict[str, Any], seed: int = 1, **over: Any) -> Selection:
        return select(array_survey(**columns), selection(**over), seed, "test")

    return go


@pytest.mark.parametrize(
    ("over", "kept"),
    [
        ({}, [1, 2, 3, 4, 5]),
        ({"classes": ["STAR", "QSO"]}, [1, 4, 5]),
        ({"subclasses": {"STAR": ["F.*", "WD"]}}, [1, 2, 3, 4]),
        ({"subclasses": {"STAR": ["F"]}}, [2, 3, 4]),
        ({"min_snr": 5.0}, [1, 3]),
        ({"z_range": [-0.01, 0.3]}, [1, 2, 5]),
        ({"require": ["class", "redshift"]}, [1, 2, 4, 5]),
        ({"require": ["stellar_type"]}, [1]),
        ({"box": {"ra": [350, 15], "dec": [-10, 10]}}, [1, 2]),
        ({"box": {"ra": [15, 350], "dec": [-10, 10]}}, [3]),
        ({"cone": {"ra": 0, "dec": 0, "radius": 10}}, [1, 2]),
        ({"classes": ["STAR"], "min_snr": 0.0}, [1]),
    ],
)
def test_cuts(run: Callable[..., Selection], over: dict[str, Any], kept: list[int]) -> None:
    columns = {
        "number": [5, 4, 3, 2, 1],
        "text": [b"STAR", b"QSO", b"Unknown", b"GALAXY", b"STAR"],
        "subclass": [b"OB", b"", b"Non", b"AGN", b"F5"],
        "snr": [np.nan, 4.9, 5.0, 2.0, 30.0],
        "z": [0.0, 2.0, np.nan, 0.3, -0.001],
        "ra": [np.nan, 12.0, 100.0, 355.0, 5.0],
        "dec": [np.nan, 50.0, 0.0, -5.0, 5.0],
    }
    assert numbers(run(columns, **over)) == kept


@given(
    seed=st.integers(0, 5),
    rows=st.integers(1, 60),
    piece=st.integers(1, 70),
    limit=st.one_of(st.none(), st.integers(1, 20)),
)
@settings(max_examples=40, deadline=None)
def test_counts_add_up_whatever_the_piece(
    seed: int, rows: int, piece: int, limit: int | None, request: pytest.FixtureRequest
) -> None:
    array_survey, selection = (request.getfixturevalue(n) for n in ("array_survey", "selection"))
    random = np.random.default_rng(seed)
    columns = {
        "number": random.permutation(rows),
        "text": random.choice(CLASS_TEXTS, rows),
        "snr": random.normal(5, 5, rows),
    }
    over = {"min_snr": 0.0, "max_per_class": limit}
    try:
        result = select(array_survey(piece=piece, **columns), selection(**over), 1, "test")
    except DataError:
        assert (columns["snr"] < 0).all()
        return
    steps = result.ladder.steps
    assert steps[0] == ("in the catalogue", rows, rows)
    assert all(after == before for (_, _, after), (_, before, _) in itertools.pairwise(steps))
    assert steps[-1][2] == result.rows
    assert steps[1][1] - steps[1][2] == int((columns["snr"] < 0).sum())
    assert numbers(result) == sorted(numbers(result))
    whole = select(array_survey(piece=1000, **columns), selection(**over), 1, "test")
    assert numbers(whole) == numbers(result)


def test_the_ladder_is_a_table(run: Callable[..., Selection]) -> None:
    result = run({"number": [1, 2], "snr": [1.0, 9.0]}, min_snr=5.0)
    assert result.ladder.as_csv() == (
        "cut,before,removed,after\nin the catalogue,2,0,2\nS/N at least 5,2,1,1\n"
    )


def test_a_cone_is_as_wide_as_astropy_says(run: Callable[..., Selection]) -> None:
    random = np.random.default_rng(4)
    rows = 500
    ra, dec = random.uniform(0, 360, rows), np.degrees(np.arcsin(random.uniform(-1, 1, rows)))
    centre = SkyCoord(200 * u.deg, -60 * u.deg)
    inside = SkyCoord(ra * u.deg, dec * u.deg).separation(centre) <= 40 * u.deg
    cone = {"ra": 200, "dec": -60, "radius": 40}
    kept = numbers(run({"number": np.arange(rows), "ra": ra, "dec": dec}, cone=cone))
    assert kept == np.flatnonzero(inside).tolist()


# --- samples


def classes_of(result: Selection) -> dict[int, int]:
    codes, counts = np.unique(result.columns["class"], return_counts=True)
    return dict(zip(codes.tolist(), counts.tolist(), strict=True))


MANY = {
    "number": np.arange(300),
    "text": np.array([b"STAR"] * 200 + [b"GALAXY"] * 70 + [b"QSO"] * 30),
}


@pytest.mark.parametrize(
    ("over", "counts"),
    [
        ({"max_per_class": 50}, {0: 50, 1: 50, 2: 30}),
        ({"max_per_class": {"STAR": 10}}, {0: 10, 1: 70, 2: 30}),
        ({"balance": True}, {0: 30, 1: 30, 2: 30}),
        ({"balance": True, "max_per_class": {"GALAXY": 20}}, {0: 20, 1: 20, 2: 20}),
        ({"balance": True, "classes": ["STAR", "GALAXY"]}, {0: 70, 1: 70}),
    ],
)
def test_how_many_of_each_class(
    run: Callable[..., Selection], over: dict[str, Any], counts: dict[int, int]
) -> None:
    assert classes_of(run(MANY, **over)) == counts


def test_a_class_that_is_not_there_cannot_be_balanced(run: Callable[..., Selection]) -> None:
    columns = {"number": [1, 2], "text": [b"STAR", b"GALAXY"]}
    with pytest.raises(DataError, match="no QSO is left to balance with"):
        run(columns, balance=True)


@given(small=st.integers(1, 60), more=st.integers(0, 100), extra=st.integers(0, 100))
@settings(max_examples=30, deadline=None)
def test_samples_are_nested_and_stay_when_rows_are_added(
    small: int, more: int, extra: int, request: pytest.FixtureRequest
) -> None:
    array_survey, selection = (request.getfixturevalue(n) for n in ("array_survey", "selection"))

    def sample(rows: np.ndarray, limit: int) -> set[int]:
        survey = array_survey(piece=50, number=rows)
        return set(numbers(select(survey, selection(max_per_class=limit), 1, "test")))

    rows = np.arange(200)
    drawn = sample(rows, small)
    assert drawn <= sample(rows, small + more)
    assert sample(rows[::-1], small) == drawn
    with_new = sample(np.arange(200 + extra), small)
    # Only new rows push old ones out, one each.
    assert len(drawn - with_new) == len([n for n in with_new if n >= 200])
    assert {n for n in with_new if n < 200} <= drawn


def test_another_seed_draws_other_rows(run: Callable[..., Selection]) -> None:
    one, two = (set(numbers(run(MANY, seed=seed, max_per_class=25))) for seed in (1, 2))
    assert one != two


# --- objects, duplicates, refusals


def test_repeats_are_named_by_the_first_row(run: Callable[..., Selection]) -> None:
    result = run({"number": [4, 3, 2, 1], "object": [7, 0, 7, 9]})
    assert numbers(result) == [1, 2, 3, 4]
    assert result.first.tolist() == [0, 1, 2, 1]


def test_a_spectrum_listed_twice_is_taken_once(run: Callable[..., Selection]) -> None:
    result = run({"number": [1, 2, 1, 2, 3]})
    assert numbers(result) == [1, 2, 3]
    assert result.ladder.steps[-1] == ("listed once", 5, 3)


def test_an_empty_selection_says_which_cut_removed_what(run: Callable[..., Selection]) -> None:
    with pytest.raises(DataError, match=r"no spectrum is left .*S/N at least 99: 2 -> 0"):
        run({"number": [1, 2]}, min_snr=99.0)


def test_lists_that_cannot_be_read_are_refused(
    run: Callable[..., Selection], tmp_path: Path
) -> None:
    (tmp_path / "ids.txt").write_text("# none\n\n")
    with pytest.raises(DataError, match="names no spectrum"):
        run({"number": [1]}, ids=str(tmp_path / "ids.txt"))
    with pytest.raises(DataError, match="No such file"):
        run({"number": [1]}, ids=str(tmp_path / "nothing.txt"))
    (tmp_path / "ids.txt").write_text("2\n3 # both\n")
    assert numbers(run({"number": [1, 2, 3]}, ids=str(tmp_path / "ids.txt"))) == [2, 3]


def test_a_list_may_have_a_mark_and_comments_of_any_encoding(
    tmp_path: Path, run: Callable[..., Selection]
) -> None:
    path = tmp_path / "ids.txt"
    path.write_bytes(b"\xef\xbb\xbf1\n2 # caf\xe9\n")
    assert numbers(run({"number": [1, 2, 3]}, ids=str(path))) == [1, 2]


def test_ids_that_are_in_no_catalogue_are_told(
    tmp_path: Path, run: Callable[..., Selection], caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "ids.txt"
    path.write_bytes(b"3\n77\nno-such\nno-s\xfcch\n1\n")
    logging.getLogger("specvit").addHandler(caplog.handler)
    run({"number": [1, 2, 3]}, ids=str(path))
    assert f"3 of the 5 ids in {path} are not in the catalogue, the first: 77" in caplog.text
    caplog.clear()
    path.write_text("3\n1\n")
    run({"number": [1, 2, 3]}, ids=str(path))
    assert "not in the catalogue" not in caplog.text
    logging.getLogger("specvit").removeHandler(caplog.handler)


def test_settings_survive_the_way_through_a_rules_command_line() -> None:
    select_settings = {
        "classes": ["STAR", "QSO"],
        "subclasses": {"STAR": ["[FG]\\d"]},
        "max_per_class": {"STAR": 5},
        "cone": {"ra": 1, "dec": 2, "radius": 3},
        "surveys": ["boss"],
    }
    config = validate({"surveys": {"sdss": {"select": select_settings}}})
    assert validate(config.model_dump(mode="json")) == config
