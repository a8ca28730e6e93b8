"""What can go wrong for a user, each with the exit code that a script can trust."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# EFBIG: a limit on file sizes (ulimit -f) stops a writer just as a full disk does.
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
REFUSED = frozenset(
    {
        *(errno.EACCES, errno.EPERM, errno.EROFS, errno.EBUSY, errno.ENAMETOOLONG, errno.ELOOP),
        *(errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENOTEMPTY),
    }
)
"""A place that cannot be written: not allowed, no such name, or something else is in the way."""


class SpecvitError(Exception):
    """A problem the user can act on: shown as one sentence, never as a traceback."""

    exit_code = 1


class ConfigError(SpecvitError):
    """The configuration is wrong; the message names key, value and what is allowed."""

    exit_code = 2


class DataError(SpecvitError):
    """An input file is not what it should be (also raised for what `specvit verify` finds)."""

    exit_code = 3


class SpectrumError(DataError):
    """One spectrum cannot be used; the message is the reason that ledgers and shards record."""


def on_one_line(said: object, most: int = 200) -> str:
    """What a library or a file says, as part of a sentence: short, without control characters."""
    text = " ".join(str(said).split())
    return "".join(char if char.isprintable() else "?" for char in text[:most])


@contextmanager
def blamed_on_the_file() -> Iterator[None]:
    """Turn whatever reading, checking or drawing one file raises into that spectrum's reason.

    A stage ends only where the machine (OSError) or the plan (other SpecvitErrors) is at fault.
    """
    try:
        yield
    except (SpecvitError, OSError):
        raise
    except Exception as error:
        logging.getLogger(__name__).debug("a file that nobody expected", exc_info=True)
        said = f"{type(error).__name__}: {on_one_line(error)}"
        raise SpectrumError(f"unusable: {said}") from error


class DownloadError(SpecvitError):
    """Too many spectra of a shard, or a catalogue file, could not be fetched."""

    exit_code = 4


class TrainingError(SpecvitError):
    """Training cannot start or go on (too few shards, a loss that is not finite, ...)."""

    exit_code = 5


class MachineError(SpecvitError):
    """The machine refused: disk full, no permission, no memory."""

    exit_code = 6


class LockedError(SpecvitError):
    """Another process writes the same files."""

    exit_code = 7


class Preempted(SpecvitError):  # noqa: N818 (no error: the state is saved)
    """Training was told to stop (SIGTERM, SIGUSR1) and saved its state: run it again to go on."""

    exit_code = 75  # EX_TEMPFAIL of sysexits.h: the same command succeeds later


@contextmanager
def machine_says(path: Path) -> Iterator[None]:
    """Turn what a full disk or a path in the way raises while `path` is written to MachineError."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise MachineError(
                f"no space left on the disk of {path.parent}: {path.name} was not written; "
                "free some space and start again, nothing already made is lost"
            ) from error
        if error.errno in REFUSED:
            raise MachineError(f"cannot write {path}: {_refusal(path, error)}") from error
        raise


def _refusal(path: Path, error: OSError) -> str | None:
    """What the system says, and of which file where that is not the one that is written."""
    there = next(folder for folder in path.absolute().parents if os.path.lexists(folder))
    if not there.is_dir():
        return f"{there} is no folder"
    named = Path(os.fsdecode(error.filename or path))
    return error.strerror if named.parent == path.parent else f"{error.strerror} ({named})"
