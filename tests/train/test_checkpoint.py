"""What lies in a run's folder and is not what it should be is a sentence that says what to do."""

from __future__ import annotations

import errno
import json

import pytest
import torch
from made_shards import TINY

from specvit.config import validate
from specvit.errors import DataError, MachineError, TrainingError
from specvit.models import build_model, load_model
from specvit.models.labels import LabelStats
from specvit.models.store import save_model
from specvit.tasks import tasks_of
from specvit.train import checkpoint
from specvit.train.checkpoint import LAST, load_checkpoint, save_checkpoint

FITS = {"settings": "a", "data": "b", "ranks": 1}


@pytest.mark.parametrize("size", [0, 1, 100, 0.5, 0.99])
def test_a_state_that_was_cut_says_fresh(tmp_path, size):
    save_checkpoint(tmp_path, {"weights": torch.zeros(5000)}, FITS)
    whole = (tmp_path / LAST).read_bytes()
    (tmp_path / LAST).write_bytes(whole[: int(size if size >= 1 else size * len(whole))])
    with pytest.raises(TrainingError, match=r"not a readable checkpoint.*--fresh"):
        load_checkpoint(tmp_path, FITS)


@pytest.mark.parametrize(
    "content", [[], {}, {"fits": FITS, "state": {}}, {"format": 2, "fits": [1], "state": {}}, "a"]
)
def test_a_state_of_something_else_says_fresh(tmp_path, content):
    torch.save(content, tmp_path / LAST)
    with pytest.raises(TrainingError, match=r"not a readable checkpoint.*--fresh"):
        load_checkpoint(tmp_path, FITS)


class FullDisk:
    """What torch does on a full disk: the system's error, and then one of its own."""

    @staticmethod
    def save(state, handle):
        try:
            raise OSError(errno.ENOSPC, "No space left on device")
        except OSError:
            raise RuntimeError("unexpected pos 704 vs 598")  # noqa: B904 (as torch does)


def test_a_full_disk_is_named_and_the_earlier_state_stays(tmp_path, monkeypatch):
    save_checkpoint(tmp_path, {"epoch": 1}, FITS)
    monkeypatch.setattr(checkpoint.torch, "save", FullDisk.save)
    with pytest.raises(MachineError, match=f"no space left on the disk of {tmp_path}.*{LAST}"):
        save_checkpoint(tmp_path, {"epoch": 2}, FITS)
    assert load_checkpoint(tmp_path, FITS)[0] == {"epoch": 1}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    config = validate({**TINY, "results_dir": "x"})
    tasks = tasks_of(["class"])
    stats = LabelStats.measure(tasks, {"class": torch.tensor([0, 1, 2])})
    folder = tmp_path_factory.mktemp("model")
    save_model(folder, build_model(config.model, tasks, config.render[0], stats, config.grid))
    return folder


@pytest.mark.parametrize(
    "change",
    [
        lambda told: [],
        lambda told: {**told, "label_stats": "text"},
        lambda told: {**told, "label_stats": {"range": {"redshift": ["a", 1]}}},
        lambda told: {**told, "label_stats": {**told["label_stats"], "counts": "text"}},
        lambda told: {**told, "labels": "text"},
        lambda told: {**told, "tasks": ["colour"]},
        lambda told: {**told, "versions": []} | {"format": 99},
    ],
)
def test_a_description_of_no_model_is_refused(saved, tmp_path, change):
    told = json.loads((saved / "model.json").read_text())
    (tmp_path / "model.safetensors").write_bytes((saved / "model.safetensors").read_bytes())
    (tmp_path / "model.json").write_text(json.dumps(change(told)))
    with pytest.raises(DataError, match=str(tmp_path)):
        load_model(tmp_path)
