"""Snakemake's lock of a working folder: whose it is, and removing it when its owner is dead."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import psutil

from specvit.errors import SpecvitError


def snakemake_processes(directory: Path) -> list[int]:
    """Process ids of Snakemake main processes that run in this folder on this machine."""
    found = []
    ours = {os.getpid(), *(process.pid for process in psutil.Process().parents())}
    for process in psutil.process_iter(["pid", "cmdline", "cwd"]):
        command = process.info["cmdline"] or []
        is_snakemake = any(Path(part).name == "snakemake" for part in command[:3])
        same_folder = process.info["cwd"] == str(directory)
        if is_snakemake and same_folder and process.pid not in ours:
            found.append(process.pid)
    return found


def remove_stale_lock(directory: Path) -> bool:
    """Remove the lock files if no Snakemake runs in the folder; True if there were any.

    Raises SpecvitError while one is running: two runs of one folder would write the same files.
    """
    locks = sorted((directory / ".snakemake" / "locks").glob("*.lock"))
    if not locks:
        return False
    running = snakemake_processes(directory)
    if running:
        raise SpecvitError(
            f"{directory} is locked by a Snakemake that is running (process {running[0]}): "
            "wait for it or stop it first"
        )
    for lock in locks:
        with suppress(FileNotFoundError):
            lock.unlink()
    return True
