"""Reader processes: deaf to signals that are for training, and without copies of its index."""

from __future__ import annotations

import os
import signal
from concurrent.futures import ProcessPoolExecutor

import numpy as np

from specvit.train.readers import SIGNALS, SharedArray, reader_context


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
