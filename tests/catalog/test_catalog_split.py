"""Splits and shards: by object, in the shares asked for, stable when rows are added."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from specvit.catalog.split import check_filled, shard_codes, split_codes
from specvit.catalog.together import ALONE, Files, dealt
from specvit.config.data import ShardCounts, Split
from specvit.errors import DataError
from specvit.paths import SPLITS
from specvit.surveys.survey import Shared

SETTINGS = Split(val_fraction=0.15, test_fraction=0.25, shards=ShardCounts(train=5, val=2, test=3))


def test_shares_are_those_asked_for() -> None:
    codes = split_codes(1, [f"o{i}" for i in range(40_000)], SETTINGS)
    shares = np.bincount(codes) / len(codes)
    # Three standard deviations of a share of 40,000 objects.
    assert shares == pytest.approx([0.6, 0.15, 0.25], abs=3 * 0.5 / 200)


def test_every_class_is_split_alike() -> None:
    for class_ in ("STAR", "GALAXY", "QSO"):
        codes = split_codes(1, [f"{class_}-{i}" for i in range(10_000)], SETTINGS)
        assert np.bincount(codes) / 10_000 == pytest.approx([0.6, 0.15, 0.25], abs=0.015)


@given(
    names=st.lists(st.text("abcdef0123456789-", min_size=1), unique=True, min_size=1, max_size=60),
    kept=st.integers(1, 60),
    seed=st.integers(0, 3),
)
@settings(max_examples=50)
def test_no_object_moves_when_others_come_or_go(names: list[str], kept: int, seed: int) -> None:
    whole = dict(zip(names, split_codes(seed, names, SETTINGS).tolist(), strict=True))
    some = sorted(names)[:kept]
    assert split_codes(seed, some, SETTINGS).tolist() == [whole[name] for name in some]
    splits = np.array([whole[name] for name in names], np.int8)
    shards = dict(zip(names, shard_codes(seed, names, splits, SETTINGS).tolist(), strict=True))
    splits = np.array([whole[name] for name in some], np.int8)
    assert shard_codes(seed, some, splits, SETTINGS).tolist() == [shards[name] for name in some]


def test_a_larger_test_fraction_keeps_the_test_objects() -> None:
    names = [f"o{i}" for i in range(2000)]
    test = SPLITS.index("test")
    small = split_codes(1, names, SETTINGS) == test
    large = split_codes(1, names, SETTINGS.model_copy(update={"test_fraction": 0.4})) == test
    assert large[small].all()


def test_shards_are_fair_samples() -> None:
    splits = np.full(10_000, SPLITS.index("train"), np.int8)
    shards = shard_codes(1, [f"s{i}" for i in range(10_000)], splits, SETTINGS)
    assert np.bincount(shards, minlength=5) == pytest.approx([2000] * 5, abs=4 * 40)


def test_shard_and_split_are_drawn_apart() -> None:
    names = [f"s{i}" for i in range(20_000)]
    splits = split_codes(1, names, SETTINGS)
    shards = shard_codes(1, names, np.zeros(len(names), np.int8), SETTINGS)
    shares = [np.mean(splits[shards == shard] == 2) for shard in range(5)]
    assert shares == pytest.approx([0.25] * 5, abs=0.03)


@pytest.mark.parametrize(
    ("train", "val", "test", "words"),
    [
        ([5, 5], [0, 0], [3], r"val split would be empty: 13 .*split\.val_fraction"),
        ([0], [1], [1], r"train split would be empty: 2 spectra are too few; select more$"),
        ([40, 0, 30], [1], [1], r"train-000001 would be empty: 70 .* 3 shards; .* at most 8,"),
        ([5], [1], [0, 1], r"test-000000 would be empty: 1 .*split\.shards\.test to at most 1,"),
    ],
)
def test_empty_splits_and_shards_are_refused(
    train: list[int], val: list[int], test: list[int], words: str
) -> None:
    counts = dict(zip(SPLITS, map(np.array, (train, val, test)), strict=True))
    with pytest.raises(DataError, match=words):
        check_filled(counts, {name: int(rows.sum()) for name, rows in counts.items()})


def test_filled_shards_pass() -> None:
    counts = dict(zip(SPLITS, map(np.array, ([5, 5], [1], [2])), strict=True))
    check_filled(counts, dict.fromkeys(SPLITS, 1))


def test_few_files_fill_few_shards() -> None:
    counts = dict(zip(SPLITS, map(np.array, ([900, 0, 700], [90], [90])), strict=True))
    words = "1600 spectra of the train split, 17 with those of a file as one, .* at most 2,"
    with pytest.raises(DataError, match=words):
        check_filled(counts, {"train": 17, "val": 9, "test": 9})


def test_rows_of_a_file_go_together_where_a_split_has_enough_of_them() -> None:
    """Files of 60 and 20 rows, worth it from 30 on, and rows without a file."""

    def shared(path: str) -> Shared | None:
        return Shared(path[:4], 30) if path.startswith("big") else Shared(path[:6], 30)

    paths = [f"big{n // 60}/{n}" for n in range(600)] + [f"small{n // 20}/{n}" for n in range(200)]
    files = Files()
    own = files.numbers(paths, shared)
    alone = np.full(100, ALONE, np.int32)
    split = np.zeros(900, np.int8)
    split[20:60] = 1  # of the first, the first split has too few
    file = files.worthwhile(np.concatenate([own, alone]), split)
    assert (file[:20] == ALONE).all()
    assert (file[20:600] == own[20:600]).all()
    assert (file[600:] == ALONE).all()
    names = [f"s{n}" for n in range(900)]
    keys = list(files.keys(file, names))
    assert keys[:20] + keys[600:] == names[:20] + names[600:]
    shards = shard_codes(1, keys, split, SETTINGS)
    assert all(len(set(shards[start : start + 60])) == 1 for start in range(60, 600, 60))
    # Rows that are alone go where they went before there were files.
    assert (shards[600:] == shard_codes(1, names, split, SETTINGS)[600:]).all()
    assert dealt(file, split) == {SPLITS[0]: 20 + 9 + 300, SPLITS[1]: 1, SPLITS[2]: 0}
