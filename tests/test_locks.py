"""One process writes one thing; a stale Snakemake lock is removed, a live one is not."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from specvit import locks
from specvit.errors import LockedError, MachineError, SpecvitError
from specvit.locks import remove_stale_lock, writers, writing
from specvit.paths import RunPaths

HOLDER = """
import sys, time
from pathlib import Path
from specvit.locks import hold
from specvit.paths import RunPaths
hold(RunPaths(Path(sys.argv[1])), "models/vit")
print("up", flush=True)
time.sleep(600)
"""


@contextmanager
def held_elsewhere(run: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that writes models/vit of a run, killed with -9 at the end."""
    command = [sys.executable, "-c", HOLDER, str(run)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        try:
            yield process
        finally:
            process.kill()


def lock(directory: Path) -> Path:
    path = directory / ".snakemake" / "locks" / "0.input.lock"
    path.parent.mkdir(parents=True)
    path.write_text("a\n")
    return path


def test_stale_lock_is_removed(tmp_path: Path) -> None:
    path = lock(tmp_path)
    assert remove_stale_lock(tmp_path)
    assert not path.exists()
    assert not remove_stale_lock(tmp_path)


def test_live_lock_is_kept(tmp_path: Path) -> None:
    path = lock(tmp_path)
    script = tmp_path / "snakemake"
    script.write_text("import time; print('up', flush=True); time.sleep(60)")
    with subprocess.Popen(
        [sys.executable, str(script)], cwd=tmp_path, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            with pytest.raises(SpecvitError, match=str(process.pid)):
                remove_stale_lock(tmp_path)
            assert path.exists()
        finally:
            process.kill()
    assert remove_stale_lock(tmp_path)


def test_one_process_writes_at_a_time_and_none_leaves_a_lock_behind(tmp_path: Path) -> None:
    paths = RunPaths(tmp_path / "demo")
    with held_elsewhere(paths.root) as process:
        said = f"models/vit is being written by process {process.pid} on .*wait for it or stop it"
        with pytest.raises(LockedError, match=said), writing(paths, "models/vit"):
            pass
        with writing(paths, "models/svm"):
            assert len(writers(paths.root)) == 2
        assert [each.split()[0] for each in writers(paths.root)] == ["models/vit"]
    assert writers(paths.root) == []
    with writing(paths, "models/vit"):
        assert f"process {os.getpid()} on" in writers(paths.root)[0]
        with pytest.raises(LockedError), writing(paths, "models/vit"):
            pass
    with writing(paths, "models/vit"):
        pass
    assert LockedError.exit_code == 7


def test_the_lock_is_kept_while_jobs_of_a_killed_snakemake_live(tmp_path: Path) -> None:
    path = lock(tmp_path)
    path.write_text("results/demo/models/vit/model.json\n")
    with held_elsewhere(tmp_path / "results" / "demo") as process:
        with pytest.raises(SpecvitError, match=rf"models/vit \(process {process.pid} on "):
            remove_stale_lock(tmp_path)
        assert path.exists()
    assert remove_stale_lock(tmp_path)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    gone, file = tmp_path / "gone", tmp_path / "file"
    gone.symlink_to(tmp_path / "nothing" / "there")
    file.write_text("")
    for root, said in ((gone, "gone: it is a link to nothing"), (file, "file.*: Not a directory")):
        with pytest.raises(MachineError, match=said), writing(RunPaths(root / "demo"), "catalog"):
            pass


def test_a_folder_that_is_read_only_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: object, *args: object) -> int:
        raise OSError(errno.EROFS, "Read-only file system", str(path))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(MachineError, match=r"cannot write .*catalog: Read-only"):
        locks._open(RunPaths(tmp_path / "demo").lock("catalog"))
