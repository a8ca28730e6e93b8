"""Connections to a host are bounded over all processes of a machine."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from servers.runs import SHARD, Run, environment, files_of, sdss, specvit_command
from servers.survey_server import SurveyServer
from specvit.download import slots
from specvit.download.slots import ConnectionPool, HostSlots
from specvit.errors import MachineError

HOLD = """
import sys, time
from specvit.download.slots import HostSlots
slots = HostSlots("host", 2)
assert slots.try_acquire() is not None
assert slots.try_acquire() is not None
print("held", flush=True)
time.sleep(60)
"""


def test_slots_of_a_killed_process_are_free(tmp_path: Path):
    mine = HostSlots("host", 2)
    with subprocess.Popen(
        [sys.executable, "-c", HOLD], env=environment(), stdout=subprocess.PIPE, text=True
    ) as job:
        assert job.stdout is not None
        assert job.stdout.readline() == "held\n"
        assert mine.try_acquire() is None
        assert HostSlots("another host", 2).try_acquire() is not None
        job.send_signal(signal.SIGKILL)
    assert mine.try_acquire() is not None
    mine.close()


def test_who_has_none_is_heard_by_who_has_some():
    one, two = HostSlots("host", 1), HostSlots("host", 1)
    slot = one.try_acquire()
    assert slot is not None
    assert not one.wanted()
    assert two.try_acquire() is None
    assert one.wanted()
    one.release(slot)
    assert two.try_acquire() is not None
    assert not two.wanted()


def test_a_pool_gives_up_connections_that_others_want(monkeypatch):
    monkeypatch.setattr(slots, "SLICE_S", 0.05)

    async def scenario() -> list[str]:
        closed: list[str] = []

        async def close(name: str) -> None:
            closed.append(name)

        one = ConnectionPool("host", 1, lambda: "one", close)
        two = ConnectionPool("host", 1, lambda: "two", close)
        async with one, two:
            async with one.lend() as first:
                assert first == "one"
            async with one.lend() as again:  # kept while nobody else wants it
                assert again == "one"
            async with asyncio.timeout(5), two.lend() as second:
                assert second == "two"
                assert closed == ["one"]
        return closed

    assert asyncio.run(scenario()) == ["one", "two"]


def test_a_busy_pool_gives_up_connections_too(monkeypatch):
    monkeypatch.setattr(slots, "SLICE_S", 0.05)

    async def scenario() -> None:
        async def close(name: str) -> None:
            pass

        async def work(pool: ConnectionPool[str]) -> None:
            while True:
                async with pool.lend():
                    await asyncio.sleep(0.005)

        one = ConnectionPool("host", 1, lambda: "one", close)
        two = ConnectionPool("host", 1, lambda: "two", close)
        async with one, two:
            busy = asyncio.create_task(work(one))
            await asyncio.sleep(0.1)
            async with asyncio.timeout(10), two.lend():
                pass
            busy.cancel()

    asyncio.run(scenario())


def test_a_folder_of_someone_else_is_refused(monkeypatch, tmp_path: Path):
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    with pytest.raises(MachineError, match="belongs to another user: set SPECVIT_LOCK_DIR"):
        HostSlots("host", 1)


def test_jobs_of_one_machine_share_their_connections(tmp_path: Path):
    """Three jobs, three connections altogether; each gets its turn."""
    spectra = [sdss(number) for number in range(60)]
    with SurveyServer(files_of(spectra), latency=0.05) as server:
        runs = [
            Run(tmp_path / str(job), spectra, server.base_url, connections=3) for job in range(3)
        ]
        jobs = [
            subprocess.Popen(
                specvit_command("download", "--config", run.inline, "--shard", SHARD),
                env=environment(),
                stderr=subprocess.PIPE,
            )
            for run in runs
        ]
        for job in jobs:
            _, errors = job.communicate(timeout=120)
            assert job.returncode == 0, errors
        assert server.peak_connections == 3
        assert all(len(run.members()) == 60 for run in runs)
        assert set(server.counts.values()) == {3}
