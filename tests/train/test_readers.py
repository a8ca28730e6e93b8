"""Reader processes: deaf to signals that are for training, and bound to it in life and death."""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import psutil
import pytest
from made_shards import SIZE, write_shards

from specvit.config.data import Render
from specvit.errors import MachineError, TrainingError
from specvit.tasks import tasks_of
from specvit.train import loader
from specvit.train.readers import (
    SIGNALS,
    SharedArray,
    error_number,
    machine_error,
    reader_context,
)
from specvit.train.samples import read_samples


def blocked() -> set[signal.Signals]:
    return signal.pthread_sigmask(signal.SIG_BLOCK, ())


def write(shared: SharedArray) -> None:
    shared.array[1, 2] = 7


def test_readers_are_no_forks_of_this_process_and_deaf_to_its_signals() -> None:
    before = blocked()
    with ProcessPoolExecutor(1, reader_context()) as pool:
        assert pool.submit(os.getppid).result() != os.getpid()
        assert set(SIGNALS) <= pool.submit(blocked).result()
        pool.submit(os.kill, next(iter(pool._processes)), signal.SIGTERM).result()
        assert pool.submit(os.getpid).result() in pool._processes
    assert blocked() == before


def test_an_array_is_shared_and_not_copied() -> None:
    array = np.arange(12, dtype=np.int32).reshape(3, 4)
    shared = SharedArray.of(array)
    np.testing.assert_array_equal(shared.array, array)
    with ProcessPoolExecutor(1, reader_context()) as pool:
        pool.submit(write, shared).result()
    assert shared.array[1, 2] == 7
    assert array[1, 2] == 6
    keys = np.array([b"a", b"spec-0007"])
    np.testing.assert_array_equal(SharedArray.of(keys).array, keys)


LIMIT_S = 120  # against hanging only


@pytest.fixture
def started(configure):
    """`specvit train` with two readers, far from its end, and its processes by then."""
    config = configure(train={"epochs": 10_000, "workers": 2, "checkpoint_minutes": 1e-9})
    settings = json.dumps(config.model_dump(mode="json"))
    command = [sys.executable, "-m", "specvit", "train", "--config", settings]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    state = config.paths.model_dir("vit") / "checkpoints" / "last.pt"
    family: list[psutil.Process] = []
    until = time.monotonic() + LIMIT_S
    while time.monotonic() < until and process.poll() is None:
        family = psutil.Process(process.pid).children(recursive=True)
        if state.exists() and readers_of(family):
            break
        time.sleep(0.02)
    yield process, family
    process.kill()
    process.communicate()


def readers_of(family: list[psutil.Process]) -> list[psutil.Process]:
    """Those that another of the family, the server, was forked to."""
    pids = {process.pid for process in family}
    found = []
    for process in family:
        try:
            if process.ppid() in pids and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.NoSuchProcess:
            continue
    return found


def test_readers_and_their_server_end_with_training_that_is_killed(started):
    process, family = started
    assert len(family) >= 3  # tracker, server, readers
    process.kill()
    process.wait()
    assert psutil.wait_procs(family, timeout=LIMIT_S)[1] == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_lost_reader_ends_reading_and_the_other_readers(tmp_path, monkeypatch, number):
    contexts = []

    def context():
        contexts.append(reader_context())
        return contexts[-1]

    monkeypatch.setattr(loader, "reader_context", context)
    render = Render(mode="stacked", size=SIZE, rows=4)
    samples = read_samples(write_shards(tmp_path, [40]), tasks_of(["class"]))
    batches = loader.evaluation_batches(samples, render, 1, workers=2)
    next(batches)
    lost, other = contexts[0].readers
    os.kill(lost.pid, number)
    with pytest.raises(TrainingError, match=f"reader.*lost: process {lost.pid} .*same command"):
        list(batches)
    assert not other.is_alive()


class Unsendable:
    """What fails as a batch does when memory for sharing it runs out: with an error of torch's."""

    def __reduce__(self):
        raise RuntimeError("unable to allocate shared memory: No space left on device (28)")


def send(queue):
    queue.put(Unsendable())
    time.sleep(LIMIT_S)


def test_a_reader_that_cannot_hand_on_a_batch_ends():
    context = reader_context()
    queue = context.Queue()
    reader = context.Process(target=send, args=(queue,))
    reader.start()
    reader.join(LIMIT_S)
    assert reader.exitcode == errno.ENOSPC
    problem = context.lost()
    assert isinstance(problem, MachineError)
    assert str(problem).startswith("/dev/shm is full")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (RuntimeError("Too many open files. Communication with"), "too many open files.*ulimit -n"),
        (RuntimeError("received 0 items of ancdata"), "too many open files.*train.workers"),
        (OSError(errno.EMFILE, "Zu viele offene Dateien"), "too many open files"),
        (RuntimeError("No space left on device (28)"), "/dev/shm is full.*train.workers"),
    ],
)
def test_what_the_machine_refuses_to_readers_is_named(error, said):
    assert re.search(said, str(machine_error(error_number(error))))
    assert machine_error(error_number(RuntimeError("another"))) is None
