"""Hashes that decide splits: frozen for ever, uniform, and of no other thing than the text."""

from __future__ import annotations

import hashlib

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from specvit.catalog.hashing import hashes, uniform


def test_hashes_are_what_they_were() -> None:
    # A change here moves objects between the splits of every run that was ever made.
    values = hashes(1, "split", ["sdss-00266-51602-0001", "lamost-0000101001", ""])
    assert [f"{value:016x}" for value in values.tolist()] == [
        "8ed8b6f0e89b0ee5",
        "59a8da2992843399",
        "cced966255aab460",
    ]
    # RFC 7693, as the standard library has it.
    digest = hashlib.blake2b(b"sdss-00266-51602-0001", digest_size=8, key=b"split:1").hexdigest()
    assert f"{values[0]:016x}" == digest


@given(st.lists(st.text(max_size=20), max_size=10))
@settings(max_examples=30)
def test_order_and_company_change_nothing(texts: list[str]) -> None:
    alone = [int(hashes(7, "split", [text])[0]) for text in texts]
    assert hashes(7, "split", texts).tolist() == alone


def test_seed_and_purpose_change_everything() -> None:
    texts = [f"t{i}" for i in range(100)]
    one, two, three = hashes(1, "split", texts), hashes(2, "split", texts), hashes(1, "x", texts)
    assert not set(one.tolist()) & set(two.tolist()) & set(three.tolist())
    assert (one != two).all()
    assert (one != three).all()


def test_numbers_are_uniform_in_the_unit_interval() -> None:
    values = uniform(hashes(3, "split", (f"sdss-{i}" for i in range(20_000))))
    assert values.min() >= 0
    assert values.max() < 1
    counts = np.histogram(values, bins=20, range=(0, 1))[0]
    # Chi-square of 19 degrees of freedom: 43.8 is exceeded once in 1000 draws; this one is fixed.
    assert ((counts - 1000) ** 2 / 1000).sum() < 43.8
    top = np.array([2**64 - 1], np.uint64)
    assert uniform(top)[0] < 1
