"""How many threads are taken, and that processes beside this one end with it."""

from __future__ import annotations

import subprocess
import sys

import psutil
import pytest

from specvit.machine import available_cores, available_threads


@pytest.mark.parametrize(
    ("value", "threads"),
    [("3", 3), ("1", 1), ("", None), ("0", None), ("many", None), (None, None)],
)
def test_omp_num_threads_is_obeyed_where_it_is_a_number(value, threads, monkeypatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if value is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", value)
    assert available_threads() == (threads or available_cores())


POOL = """
import os, time
from specvit.machine import worker_processes

if __name__ == "__main__":
    with worker_processes(2) as pool:
        one = pool.submit(os.getpid).result()
        other = pool.submit(time.sleep, 600)  # one is busy, one waits
        print(one, flush=True)
        other.result()
"""


def test_processes_end_with_one_that_is_killed(tmp_path) -> None:
    script = tmp_path / "pool.py"
    script.write_text(POOL)
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        workers = psutil.Process(process.pid).children(recursive=True)
        process.kill()
    assert len(workers) >= 2
    assert psutil.wait_procs(workers, timeout=60)[1] == []
