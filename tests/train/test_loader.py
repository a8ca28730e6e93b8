from __future__ import annotations

import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
import webdataset
from made_shards import SIZE, Files, picture, sample, write_shards, write_tar

from specvit.config.data import Render
from specvit.errors import DataError, TrainingError
from specvit.tasks import tasks_of
from specvit.train.index import Subset, index_shards
from specvit.train.loader import (
    Batch,
    TrainPlan,
    check_readers,
    epoch_order,
    evaluation_batches,
    train_batches,
)

TASKS = tasks_of(["class", "stellar_type", "redshift"])
GREY = Render(mode="stacked", size=SIZE, rows=4)
RGB = Render(mode="overlap", size=SIZE)
COUNTS = [7, 5, 0, 11]  # 23 samples: divided by no batch size, number of ranks or of workers


def indexed(paths: list[Path], **subset: object):
    return index_shards(paths, TASKS, Subset(**subset))


def samples_of(batches: list[Batch], epoch: int) -> list[int]:
    found = [s for b in batches if b.epoch == epoch for s in b.samples.tolist()]
    return [s for s in found if s >= 0]


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write_shards(tmp_path_factory.mktemp("shards"), COUNTS)


@pytest.mark.parametrize(("ranks", "accumulate", "batch"), [(1, 1, 5), (2, 1, 6), (3, 2, 12)])
def test_ranks_share_each_epoch_exactly_once(paths, ranks: int, accumulate: int, batch: int):
    index = indexed(paths)
    by_rank = []
    for rank in range(ranks):
        plan = TrainPlan(index, 3, 2, batch, accumulate, rank, ranks)
        batches = list(train_batches(plan, GREY))
        assert len(batches) == 2 * plan.steps_per_epoch * accumulate  # ranks stay in step
        assert {len(b.samples) for b in batches} == {batch // ranks // accumulate}
        by_rank.append(batches)
    for epoch in (0, 1):
        seen = [s for batches in by_rank for s in samples_of(batches, epoch)]
        assert sorted(seen) == list(range(23))
    assert samples_of(by_rank[0], 0) != samples_of(by_rank[0], 1)


def test_a_step_has_the_same_samples_for_any_number_of_ranks(paths):
    index = indexed(paths)

    def steps(ranks: int, accumulate: int) -> list[set[int]]:
        sets: dict[tuple[int, int], set[int]] = {}
        for rank in range(ranks):
            for request in TrainPlan(index, 3, 2, 6, accumulate, rank, ranks):
                key = (request.epoch, request.step)
                sets.setdefault(key, set()).update(request.samples.tolist())
        return [s - {-1} for s in sets.values()]

    assert steps(1, 1) == steps(2, 1) == steps(3, 2)


def test_workers_change_nothing(paths):
    plan = TrainPlan(indexed(paths), 3, 2, 4)
    alone, shared = (list(train_batches(plan, GREY, workers=n)) for n in (0, 2))
    assert [b.samples.tolist() for b in alone] == [b.samples.tolist() for b in shared]
    for one, other in zip(alone, shared, strict=True):
        assert torch.equal(one.pictures, other.pictures)
        for task, labels in one.labels.items():
            assert torch.equal(labels.nan_to_num(-9), other.labels[task].nan_to_num(-9))


def test_a_resume_starts_in_the_middle_of_an_epoch(paths):
    index = indexed(paths)
    straight = list(TrainPlan(index, 3, 3, 4))
    resumed = list(TrainPlan(index, 3, 3, 4, start=(1, 2)))
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
    for batch in evaluation_batches(indexed(paths), GREY, 4, rows=True):
        classes, redshifts = batch.labels["class"].tolist(), batch.labels["redshift"].tolist()
        for i, name in enumerate(batch.ids):
            found[name] = (batch.pictures[i, 0].numpy(), classes[i], redshifts[i])
    assert found.keys() == expected.keys()
    for name, (pixels, class_index, z) in found.items():
        assert np.array_equal(pixels, expected[name]["png"])
        assert TASKS[0].labels[class_index] == expected[name]["json"]["class"]
        assert z == expected[name]["json"]["z"]


def test_colour_channels_are_red_green_blue(tmp_path: Path):
    paths = write_shards(tmp_path, [2], channels=3)
    batch = next(evaluation_batches(indexed(paths), RGB, 2))
    assert np.array_equal(batch.pictures[1].numpy(), picture(1, channels=3).transpose(2, 0, 1))


def test_null_labels_are_counted_for_the_whole_step(paths):
    plan = TrainPlan(indexed(paths), 3, 1, 6, rank=1, ranks=2)
    requests = list(plan)
    assert sum(r.label_counts["class"] for r in requests) == 23
    assert sum(r.label_counts["stellar_type"] for r in requests) == 23 - 5
    batch = list(train_batches(plan, GREY))[-1]  # 5 samples in 6 places: rank 1 has a blank
    assert batch.samples[-1] == -1
    assert batch.labels["class"][-1] == -1
    assert torch.isnan(batch.labels["redshift"][-1])
    assert not batch.pictures[-1].any()


@pytest.mark.parametrize("ranks", [1, 2, 5])
def test_evaluation_sees_each_id_once(paths, ranks: int):
    ids = []
    for rank in range(ranks):
        batches = evaluation_batches(indexed(paths), GREY, 3, rank=rank, ranks=ranks, rows=True)
        ids += [name for batch in batches for name in batch.ids]
    assert sorted(ids) == [f"spec-{n:05d}" for n in range(23)]


def test_extra_draws_are_for_training_only(tmp_path: Path):
    samples = {"spec-00001": sample(1), "spec-00001-d1": sample(1, draw=1)}
    write_tar(tmp_path / "train-000000.tar", samples)
    paths = [tmp_path / "train-000000.tar"]
    assert len(indexed(paths)) == 1
    assert len(indexed(paths, extra_draws=True)) == 2


def test_subsets_by_survey_and_nested_shares_of_objects(tmp_path: Path):
    paths = write_shards(tmp_path, [200], size=2)
    assert len(indexed(paths, surveys=("sdss",))) == 100
    keys = {f: set(indexed(paths, fraction=f, seed=1).keys) for f in (0.1, 0.5, 1.0)}
    assert keys[0.1] < keys[0.5] < keys[1.0]
    assert 80 <= len(keys[0.5]) <= 120
    assert keys[0.5] != set(indexed(paths, fraction=0.5, seed=2).keys)


def test_unreadable_samples_are_named_and_their_place_is_blank(tmp_path: Path):
    def edit(number: int, files: Files) -> Files:
        if number == 1:  # one flipped bit in the pixels
            data = bytearray(files["png"])
            data[len(data) // 2] ^= 4
            return files | {"png": bytes(data)}
        if number == 2:
            return files | {"png": sample(2, size=SIZE + 1)["png"]}
        if number == 3:
            return files | {"json": b"{"}
        if number == 4:
            return {"json": files["json"]}
        return files

    index = indexed(write_shards(tmp_path, [6], edit=edit))
    assert [bad.name for bad in index.bad] == ["train-000000/spec-00003", "train-000000/spec-00004"]
    assert "json" in index.bad[0].reason
    assert "png" in index.bad[1].reason
    (batch,) = evaluation_batches(index, GREY, 8)
    assert [bad.name for bad in batch.bad] == ["train-000000/spec-00001", "train-000000/spec-00002"]
    assert batch.labels["class"].tolist() == [0, -1, -1, 2]
    assert batch.pictures.flatten(1).any(dim=1).tolist() == [True, False, False, True]


def test_a_shard_that_is_damaged_or_missing_is_a_sentence(tmp_path: Path):
    (path,) = write_shards(tmp_path, [3])
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(DataError, match="cut off"):
        indexed([path])
    path.write_bytes(data[:100] + b"xyz" + data[103:])
    with pytest.raises(DataError, match="damaged at byte 0"):
        indexed([path])
    path.unlink()
    with pytest.raises(DataError, match=r"train-000000\.tar does not exist"):
        indexed([path])


def test_long_names_and_other_tars_are_read_too(tmp_path: Path):
    path = tmp_path / "train-000000.tar"
    names = ["spec-1", "x" * 180]
    write_tar(path, {name: sample(i) for i, name in enumerate(names)}, tarfile.GNU_FORMAT)
    assert [key.decode() for key in indexed([path]).keys] == names


def test_an_unknown_class_names_the_shard(tmp_path: Path):
    paths = write_shards(tmp_path, [2], edit=lambda n, files: files | json_with(n, "GALAXIE"))
    with pytest.raises(DataError, match=r"train-000000\.tar.*GALAXIE"):
        indexed(paths)


def json_with(number: int, name: str) -> Files:
    values = json.loads(sample(number)["json"]) | {"class": name}
    return {"json": json.dumps(values).encode()}


def test_too_few_shards_is_a_sentence():
    check_readers(4, ranks=2, workers=2)
    check_readers(1, ranks=1, workers=0)
    with pytest.raises(TrainingError, match=r"3 shards .* 2 ranks x 2 workers = 4 readers"):
        check_readers(3, ranks=2, workers=2)
