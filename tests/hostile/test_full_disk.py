"""A full disk, whatever is being written: a sentence, and what was there before stays.

The system itself refuses here: a limit on the size of files stops a writer as a full disk does.
"""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from shard_runs import SHARDS, SPLIT, small_run
from specvit.baselines.store import save_arrays, save_skops
from specvit.catalog.cluster import by_shard
from specvit.cli import main
from specvit.config.data import Grid, Render
from specvit.download.archive import write_archive
from specvit.errors import MachineError
from specvit.io import write_json, write_parquet, write_text
from specvit.shards import ShardJob, make_shard
from specvit.train.checkpoint import save_checkpoint, save_weights
from specvit.train.runlog import RunLog

FREE = 4096  # bytes
NOISE = np.random.default_rng(0).random(20_000)


@contextmanager
def full_disk() -> Iterator[None]:
    """No file may grow beyond FREE bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (FREE, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def rows() -> pa.Table:
    names = [f"s{number}" for number in range(len(NOISE))]
    return pa.table({"spectrum_id": names, "shard": ["a"] * len(NOISE), "z": NOISE})


WRITERS: dict[str, Callable[[Path], object]] = {
    "report": lambda root: write_text(root / "report.html", "x" * 100_000),
    "metrics": lambda root: write_json(root / "metrics.json", NOISE.tolist()),
    "predictions or a ledger": lambda root: write_parquet(root / "t.parquet", rows()),
    "scratch of the catalogue": lambda root: list(by_shard([rows()], [len(NOISE)], ["a"], root)),
    "spectra": lambda root: write_archive(root / "s.tar", ["a"], lambda _: NOISE.tobytes()),
    "arrays": lambda root: save_arrays(root, {"a": NOISE}, {}),
    "skops": lambda root: save_skops(root / "model.skops", {"a": NOISE}),
    "state": lambda root: save_checkpoint(root, {"a": torch.from_numpy(NOISE)}, {}),
    "weights": lambda root: save_weights(root, torch.nn.Linear(100, 200)),
}


@pytest.mark.parametrize("what", WRITERS)
def test_a_full_disk_is_a_sentence_and_loses_nothing(what: str, tmp_path: Path) -> None:
    WRITERS[what](tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with full_disk(), pytest.raises(MachineError, match=f"no space left on the disk of {tmp_path}"):
        WRITERS[what](tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_full_disk_while_plots_are_drawn(tmp_path: Path) -> None:
    paths = small_run(tmp_path / "run")
    job = ShardJob(paths, SHARDS[0], Render(size=24, rows=4), Grid(pixels=64), SPLIT)
    with full_disk(), pytest.raises(MachineError, match="no space left"):
        make_shard(job)
    folder = paths.shard("stacked-24", SHARDS[0]).parent
    assert list(folder.iterdir()) == []
    assert make_shard(job)["spectra"] > 0


def test_a_full_disk_while_training_is_logged(tmp_path: Path) -> None:
    log = RunLog(tmp_path, "vit", 0, {})
    with full_disk(), pytest.raises(MachineError, match=r"log\.jsonl was not written"):
        for step in range(100):
            log.write("train", step, note="x" * 100)
    log.close()


def test_a_full_disk_ends_a_command_with_its_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with full_disk(), pytest.raises(SystemExit) as ended:
        main(["schema", "--write", str(tmp_path / "schema.json")])
    assert ended.value.code == MachineError.exit_code
    assert "specvit: no space left on the disk of" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
