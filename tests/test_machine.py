"""How many threads are taken."""

from __future__ import annotations

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
