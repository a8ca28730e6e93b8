from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import webdataset
from made_shards import PLAN, PLOTS, SIZE, picture, sample, write_shards

from shard_runs import write_shard
from specvit.config.data import Render
from specvit.errors import DataError
from specvit.shards.index import index_path, read_index
from specvit.shards.sample import Sample
from specvit.shards.subset import Subset
from specvit.tasks import tasks_of
from specvit.train.loader import (
    Batch,
    TrainOrder,
    epoch_order,
    evaluation_batches,
    prefetched,
    train_batches,
)
from specvit.train.samples import Samples, read_samples

TASKS = tasks_of(["class", "stellar_type", "redshift"])
GREY = Render(mode="stacked", size=SIZE, rows=4)
RGB = Render(mode="overlap", size=SIZE)
COUNTS = [7, 5, 0, 11]  # 23 samples: divided by no batch size, number of ranks or of workers


def samples_in(paths: list[Path], **subset: object) -> Samples:
    return read_samples(paths, TASKS, Subset(**subset))


def names_in(samples: Samples, batch: Batch) -> list[str]:
    return [samples.keys[sample].decode() for sample in batch.samples]


def samples_of(batches: list[Batch], epoch: int) -> list[int]:
    found = [s for b in batches if b.epoch == epoch for s in b.samples.tolist()]
    return [s for s in found if s >= 0]


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write_shards(tmp_path_factory.mktemp("shards"), COUNTS)


@pytest.mark.parametrize(("ranks", "accumulate", "batch"), [(1, 1, 5), (2, 1, 6), (3, 2, 12)])
def test_ranks_share_each_epoch_exactly_once(paths, ranks: int, accumulate: int, batch: int):
    samples = samples_in(paths)
    by_rank = []
    for rank in range(ranks):
        order = TrainOrder(samples, 3, 2, batch, accumulate, rank, ranks)
        batches = list(train_batches(order, GREY))
        assert len(batches) == 2 * order.steps_per_epoch * accumulate  # ranks stay in step
        assert {len(b.samples) for b in batches} == {batch // ranks // accumulate}
        by_rank.append(batches)
    for epoch in (0, 1):
        seen = [s for batches in by_rank for s in samples_of(batches, epoch)]
        assert sorted(seen) == list(range(23))
    assert samples_of(by_rank[0], 0) != samples_of(by_rank[0], 1)


def test_a_step_has_the_same_samples_for_any_number_of_ranks(paths):
    samples = samples_in(paths)

    def steps(ranks: int, accumulate: int) -> list[set[int]]:
        sets: dict[tuple[int, int], set[int]] = {}
        for rank in range(ranks):
            for request in TrainOrder(samples, 3, 2, 6, accumulate, rank, ranks):
                key = (request.epoch, request.step)
                sets.setdefault(key, set()).update(request.samples.tolist())
        return [s - {-1} for s in sets.values()]

    assert steps(1, 1) == steps(2, 1) == steps(3, 2)


def test_workers_change_nothing(paths):
    order = TrainOrder(samples_in(paths), 3, 2, 4)
    alone, shared = (list(train_batches(order, GREY, workers=n)) for n in (0, 2))
    assert [b.samples.tolist() for b in alone] == [b.samples.tolist() for b in shared]
    for one, other in zip(alone, shared, strict=True):
        assert torch.equal(one.pictures, other.pictures)
        for task, labels in one.labels.items():
            assert torch.equal(labels.nan_to_num(-9), other.labels[task].nan_to_num(-9))


def test_a_resume_starts_in_the_middle_of_an_epoch(paths):
    samples = samples_in(paths)
    straight = list(TrainOrder(samples, 3, 3, 4))
    resumed = list(TrainOrder(samples, 3, 3, 4, start=(1, 2)))
    tail = straight[-len(resumed) :]
    assert (tail[0].epoch, tail[0].step) == (1, 2)
    assert [r.samples.tolist() for r in resumed] == [r.samples.tolist() for r in tail]


def test_shuffling_mixes_across_shards_and_depends_on_the_seed():
    sizes = np.full(40, 50)
    order = epoch_order(sizes, 1, 0)
    assert sorted(order) == list(range(2000))
    assert len({int(s) // 50 for s in order[:100]}) >= 12
    assert not np.array_equal(order, epoch_order(sizes, 2, 0))
    assert np.array_equal(order, epoch_order(sizes, 1, 0))


def test_batches_hold_what_webdataset_reads(paths):
    """The same pictures and labels as the library's own reader of the same files."""
    urls = [str(path) for path in paths if path.stat().st_size > 10_240]
    plain = webdataset.WebDataset(urls, shardshuffle=False, empty_check=False).decode("l8")
    expected = {s["__key__"]: s for s in plain}
    found = {}
    samples = samples_in(paths)
    for batch in evaluation_batches(samples, GREY, 4):
        classes, redshifts = batch.labels["class"].tolist(), batch.labels["redshift"].tolist()
        for i, name in enumerate(names_in(samples, batch)):
            found[name] = (batch.pictures[i, 0].numpy(), classes[i], redshifts[i])
    assert found.keys() == expected.keys()
    for name, (pixels, class_index, z) in found.items():
        assert np.array_equal(pixels, expected[name]["png"])
        assert TASKS[0].labels[class_index] == expected[name]["json"]["class"]
        assert z == expected[name]["json"]["z"]


def test_colour_channels_are_red_green_blue(tmp_path: Path):
    paths = write_shards(tmp_path, [2], channels=3)
    batch = next(evaluation_batches(samples_in(paths), RGB, 2))
    assert np.array_equal(batch.pictures[1].numpy(), picture(1, channels=3).transpose(2, 0, 1))


def test_null_labels_are_counted_for_the_whole_step(paths):
    order = TrainOrder(samples_in(paths), 3, 1, 6, rank=1, ranks=2)
    requests = list(order)
    assert sum(r.label_counts["class"] for r in requests) == 23
    assert sum(r.label_counts["stellar_type"] for r in requests) == 23 - 5
    batch = list(train_batches(order, GREY))[-1]  # 5 samples in 6 places: rank 1 has a blank
    assert batch.samples[-1] == -1
    assert batch.labels["class"][-1] == -1
    assert torch.isnan(batch.labels["redshift"][-1])
    assert not batch.pictures[-1].any()


@pytest.mark.parametrize("ranks", [1, 2, 5])
def test_evaluation_sees_each_id_once(paths, ranks: int):
    ids: list[str] = []
    samples = samples_in(paths)
    for rank in range(ranks):
        for batch in evaluation_batches(samples, GREY, 3, rank=rank, ranks=ranks):
            ids += names_in(samples, batch)
    assert sorted(ids) == [f"spec-{n:05d}" for n in range(23)]


def test_subsets_by_survey_and_nested_shares_of_objects(tmp_path: Path):
    paths = write_shards(tmp_path, [200], size=2)
    assert len(samples_in(paths, surveys=("sdss",))) == 100
    keys = {f: set(samples_in(paths, fraction=f, seed=1).keys) for f in (0.1, 0.5, 1.0)}
    assert keys[0.1] < keys[0.5] < keys[1.0]
    assert 80 <= len(keys[0.5]) <= 120
    assert keys[0.5] != set(samples_in(paths, fraction=0.5, seed=2).keys)


def test_unreadable_samples_are_named_and_their_place_is_blank(tmp_path: Path):
    def edit(number: int, good: Sample) -> Sample:
        if number == 1:  # one flipped bit in the pixels
            data = bytearray(good.png)
            data[len(data) // 2] ^= 4
            return replace(good, png=bytes(data))
        return replace(good, png=sample(2, size=SIZE + 1).png) if number == 2 else good

    samples = samples_in(write_shards(tmp_path, [4], edit=edit))
    (batch,) = evaluation_batches(samples, GREY, 8)
    assert [bad.name for bad in batch.bad] == ["train-000000/spec-00001", "train-000000/spec-00002"]
    assert batch.labels["class"].tolist() == [0, -1, -1, 0]
    assert batch.pictures.flatten(1).any(dim=1).tolist() == [True, False, False, True]


def test_a_picture_that_is_another_one_than_was_recorded_is_bad(tmp_path: Path):
    """Its pixels can be read, and are not those that belong to the labels."""
    (path,) = write_shards(tmp_path, [3])
    samples = samples_in([path])
    data = bytearray(path.read_bytes())
    places = [slice(first, first + size) for first, size in samples.picture]
    # What follows a picture's end is not read: the shorter one fits into the longer one's place.
    shorter, longer = sorted((0, 1), key=lambda number: samples.picture[number, 1])
    another = data[places[shorter]]
    data[places[longer]] = another.ljust(int(samples.picture[longer, 1]), b"\0")
    path.write_bytes(data)
    (batch,) = evaluation_batches(samples, GREY, 8)
    assert [bad.reason for bad in batch.bad] == [
        "the PNG has not the checksum of its index: it was changed"
    ]
    labels = [0, 1, 2]
    labels[longer] = -1
    assert batch.labels["class"].tolist() == labels


def test_shards_that_are_not_those_listed_are_refused(tmp_path: Path):
    paths = write_shards(tmp_path, [5, 6])
    read_index(paths, ()).check_listed()
    half = [sample(number) for number in range(5, 8)]
    write_shard(paths[1], half, PLOTS, PLAN, listed=False)
    with pytest.raises(DataError, match=r"train-000001\.tar or its index was cut .*\.json says"):
        read_index(paths, ()).check_listed()
    write_shard(paths[1], half, PLOTS, PLAN)
    read_index(paths, ()).check_listed()
    more = paths[1].with_name("train-000002.tar")
    write_shard(more, half, PLOTS, PLAN, listed=False)
    with pytest.raises(DataError, match=r"does not list every shard whole: .train-000002"):
        read_index([*paths, more], ()).check_listed()


def test_a_changed_byte_of_an_index_is_never_a_label(tmp_path: Path):
    """It is told when it is read, or when training starts."""
    (path,) = write_shards(tmp_path, [40])
    index = index_path(path)
    whole, rng = index.read_bytes(), np.random.default_rng(1)
    columns = Samples.columns(TASKS)
    told = {"cannot be read": 0, "index's hash": 0}
    for place in rng.integers(0, len(whole), 200):
        data = bytearray(whole)
        data[place] ^= 1 << int(rng.integers(8))
        index.write_bytes(data)
        with pytest.raises(DataError) as error:
            read_index([path], columns).check_listed()
        for words in told:
            told[words] += words in str(error.value)
    assert all(told.values())


def test_a_shard_that_is_damaged_or_missing_is_a_sentence(tmp_path: Path):
    (path,) = write_shards(tmp_path, [3])
    data = path.read_bytes()
    samples = samples_in([path])
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(DataError, match=r"train-000000\.tar has \d+ bytes where its index says"):
        next(evaluation_batches(samples, GREY, 8))
    path.unlink()
    with pytest.raises(DataError, match=r"train-000000\.tar does not exist"):
        next(evaluation_batches(samples, GREY, 8))
    index_path(path).write_bytes(index_path(path).read_bytes()[:-9])
    with pytest.raises(DataError, match="cannot be read, make the shards again"):
        samples_in([path])
    index_path(path).unlink()
    with pytest.raises(DataError, match=r"train-000000\.index\.parquet does not exist"):
        samples_in([path])


def test_an_unknown_class_names_the_shards(tmp_path: Path):
    paths = write_shards(tmp_path, [2, 2], **{"class": "GALAXIE"})
    with pytest.raises(DataError, match=rf"{tmp_path}: label 'GALAXIE' of task class is not one"):
        samples_in(paths)


def test_the_fingerprint_changes_with_any_label_name_or_place(tmp_path: Path):
    def fingerprint(name: str, **changes: object) -> str:
        return samples_in(write_shards(tmp_path / name, [3], **changes)).fingerprint

    same, again = fingerprint("a"), fingerprint("b")
    others = {fingerprint("c", z=0.5), fingerprint("d", first=3), fingerprint("e", size=12)}
    assert same == again
    assert len(others | {same}) == 4


def test_readers_hold_fewer_passes_ready_where_they_are_large():
    assert prefetched(workers=8, pass_bytes=64 * 64 * 64) == 4
    assert prefetched(workers=14, pass_bytes=256 * 3 * 224 * 224) == 3
    assert prefetched(workers=14, pass_bytes=1024 * 3 * 224 * 224) == 2
