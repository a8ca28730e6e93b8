"""Which spectra are of one object: positions against brute force, keys against union by hand."""

from __future__ import annotations

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord, search_around_sky
from hypothesis import given, settings
from hypothesis import strategies as st

from specvit.catalog import group
from specvit.catalog.group import components, first_of, key_pairs, sky_pairs


def as_set(pairs: np.ndarray) -> set[tuple[int, int]]:
    return {(min(a, b), max(a, b)) for a, b in pairs.tolist()}


def clustered(seed: int, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Points in tight groups at the poles, across ra = 0 and elsewhere, some without position."""
    random = np.random.default_rng(seed)
    centres = np.array([[0.0, 89.9999], [10.0, -89.9999], [0.0, 0.0], [359.9999, 45.0], [123, -7]])
    chosen = centres[random.integers(0, len(centres), rows)]
    scale = 3 / 3600
    dec = np.clip(chosen[:, 1] + random.normal(0, scale, rows), -90, 90)
    ra = chosen[:, 0] + random.normal(0, scale, rows) / np.maximum(np.cos(np.radians(dec)), 1e-6)
    ra = ra % 360
    missing = random.random(rows) < 0.05
    return np.where(missing, np.nan, ra), np.where(missing, np.nan, dec)


@pytest.mark.parametrize("strip", [7, 1000])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_pairs_are_astropys(seed: int, strip: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group, "ROWS_A_STRIP", strip)
    ra, dec = clustered(seed, 120)
    there = np.flatnonzero(np.isfinite(ra))
    sky = SkyCoord(ra[there] * u.deg, dec[there] * u.deg)
    one, two, _, _ = search_around_sky(sky, sky, 2 * u.arcsec)
    expected = {(int(there[a]), int(there[b])) for a, b in zip(one, two, strict=True) if a < b}
    assert expected  # there is something to find
    assert as_set(sky_pairs(ra, dec, 2.0)) == {(min(p), max(p)) for p in expected}


def test_no_position_means_no_pair() -> None:
    nan = np.full(3, np.nan)
    assert len(sky_pairs(nan, nan, 2.0)) == 0
    assert len(sky_pairs(np.array([]), np.array([]), 2.0)) == 0
    # One angle alone is no position.
    assert len(sky_pairs(np.zeros(3), nan, 2.0)) == 0


def test_a_chain_of_neighbours_is_one_object() -> None:
    dec = np.arange(5) * 1.5 / 3600
    labels = components(5, sky_pairs(np.full(5, 30.0), dec, 2.0))
    assert len(set(labels.tolist())) == 1
    labels = components(5, sky_pairs(np.full(5, 30.0), dec, 1.0))
    assert len(set(labels.tolist())) == 5


@given(st.lists(st.integers(0, 6), max_size=40), st.lists(st.integers(0, 6), min_size=40))
@settings(max_examples=60)
def test_shared_keys_join_rows_and_zero_does_not(one: list[int], two: list[int]) -> None:
    two = two[: len(one)]
    keys = [np.array(values, np.int64) for values in (one, two)]
    pairs = np.concatenate([key_pairs(values) for values in keys])
    labels = components(len(one), pairs) if one else np.empty(0, np.int32)
    # The same by hand: put sets together until none shares a key with another.
    groups: list[set[int]] = [{row} for row in range(len(one))]
    for values in (one, two):
        for key in set(values) - {0}:
            rows = {row for row, value in enumerate(values) if value == key}
            touched = [g for g in groups if g & rows]
            groups = [g for g in groups if not g & rows] + [set().union(*touched)]
    found = {frozenset(np.flatnonzero(labels == label).tolist()) for label in set(labels.tolist())}
    assert found == {frozenset(g) for g in groups}


def test_64_bit_keys_are_not_rounded() -> None:
    keys = np.array([2**62 + 1, 2**62, 2**62 + 1], np.int64)
    assert key_pairs(keys).tolist() == [[0, 2]]


def test_first_of_names_the_first_row_of_each_component() -> None:
    assert first_of(np.array([4, 1, 4, 0, 1], np.int32)).tolist() == [0, 1, 0, 3, 1]
