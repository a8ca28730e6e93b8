"""Locks: of what a process writes, and Snakemake's own of a working folder.

A process holds a lock of each thing that it writes below results/<run>, as long as it lives: the
system takes it back whatever the process dies of, so that no lock is ever stale.
"""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from specvit.errors import LockedError, MachineError, SpecvitError, machine_says
from specvit.logs import get_logger
from specvit.paths import LOCKS, RunPaths

LOG = get_logger(__name__)


@contextmanager
def writing(paths: RunPaths, what: str) -> Iterator[None]:
    """Be the only process that writes `what` of a run (`models/vit`, `report`, ...).

    Raises LockedError while another one is, MachineError where nothing can be written.
    """
    path = paths.lock(what)
    lock = _acquire(path, what)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)  # while it is held: who waits for it finds another file
        os.close(lock)


def hold(paths: RunPaths, what: str) -> None:
    """Take the lock of `what` until this process ends; LockedError while another one has it."""
    _acquire(paths.lock(what), what)


def _acquire(path: Path, what: str) -> int:
    while True:
        lock = _open(path)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(lock, 300, 0).decode(errors="replace").strip()
            os.close(lock)
            raise LockedError(
                f"{path.parent.parent}: {what} is being written by {holder or 'another process'}; "
                "wait for it or stop it first"
            ) from error
        except OSError as error:
            # Some cluster file systems have no locks; one Snakemake runs each job once anyway.
            LOG.debug("%s: no lock: %s", path, error.strerror)
        if _is(lock, path):
            break
        os.close(lock)  # its holder ended, and removed it, between the two calls
    os.ftruncate(lock, 0)
    with machine_says(path):
        os.write(lock, f"process {os.getpid()} on {socket.gethostname()}\n".encode())
    return lock


def _open(path: Path) -> int:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        at = Path(error.filename)
        why = "it is a link to nothing" if at.is_symlink() and not at.exists() else error.strerror
        raise MachineError(f"cannot write {at}: {why}") from error


def _is(lock: int, path: Path) -> bool:
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(lock), path.stat())
    return False


def writers(root: Path) -> list[str]:
    """What processes are writing below results/<run>, by which: `models/vit (process 7 on a)`."""
    found = []
    for path in sorted((root / LOCKS).glob("*")):
        with suppress(FileNotFoundError):
            lock = os.open(path, os.O_RDONLY)
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = os.pread(lock, 300, 0).decode(errors="replace").strip()
                found.append(f"{path.name.replace('.', '/')} ({holder})")
            except OSError:
                continue
            finally:
                os.close(lock)
    return found


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

    Raises SpecvitError while one is running, or jobs that outlived theirs: two runs of one folder
    would write the same files.
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
    alive = [writer for root in _runs_of(locks, directory) for writer in writers(root)]
    if alive:
        raise SpecvitError(
            f"{directory}: jobs of the run that was killed are still running: {', '.join(alive)}; "
            "wait for them or stop them first"
        )
    for lock in locks:
        with suppress(FileNotFoundError):
            lock.unlink()
    return True


def _runs_of(locks: list[Path], directory: Path) -> set[Path]:
    """The results/<run> folders of the files that Snakemake's locks name."""
    found = set()
    for lock in locks:
        for line in lock.read_text(encoding="utf-8", errors="replace").splitlines():
            parents = (directory / line).parents
            found |= {parent for parent in parents if (parent / LOCKS).is_dir()}
    return found
