"""A stale Snakemake lock is removed; a live one is not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from specvit.errors import SpecvitError
from specvit.locks import remove_stale_lock


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
