"""What lies in a folder: files that may be spectra, what cannot be opened, what is passed over."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from specvit.errors import DataError
from specvit.io import as_text
from specvit.logs import get_logger

NAMES = re.compile(r".*\.(fits|fit)(\.gz)?", re.IGNORECASE | re.DOTALL)
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
SHOWN = 5  # endings that are named

log = get_logger(__name__)


@dataclass
class Found:
    """Paths below the folder, sorted."""

    paths: list[str] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)
    """Folders that cannot be read and files that cannot be named, with the reason."""
    passed_over: Counter[str] = field(default_factory=Counter)
    """Files of other names, by ending."""


def find_spectra(root: Path) -> Found:
    """All files called .fits or .fit, gzipped or not, also behind links to folders.

    Raises DataError where there is none.
    """
    if not root.is_dir():
        raise DataError(f"{root} is not a folder")
    found = Found()
    for path in files_below(root, found.refused):
        if not NAMES.fullmatch(path):
            found.passed_over[PurePosixPath(path).suffix or "no ending"] += 1
        elif CONTROL.search(path):
            found.refused.append((printable(path), "a line break or the like in its name"))
        else:
            found.paths.append(path)
    found.paths.sort()
    found.refused.sort()
    if found.passed_over:
        log.info("%s: %s", root, describe_passed_over(found.passed_over))
    if not found.paths and not found.refused:
        raise DataError(f"{root} has no file called .fits or .fits.gz, nor have its sub-folders")
    return found


def describe_passed_over(endings: Counter[str]) -> str:
    """One line that counts the files whose names are not those of spectra."""
    named = [f"{count} {printable(ending)}" for ending, count in endings.most_common(SHOWN)]
    more = ["..."] if len(endings) > SHOWN else []
    return (
        f"{endings.total()} files passed over, called neither .fits nor .fit "
        f"({', '.join(named + more)})"
    )


def files_below(root: Path, refused: list[tuple[str, str]]) -> Iterator[str]:
    """Paths of all files, sorted in each folder; what is behind several links once.

    A folder that cannot be opened is added to `refused` with the reason.
    """

    def refuse(error: OSError) -> None:
        path = Path(error.filename).relative_to(root).as_posix()
        refused.append((printable(path), f"cannot open folder: {error.strerror}"))

    seen: set[tuple[int, int]] = set()
    starts = [root]
    while starts:
        links: list[Path] = []
        for start in sorted(starts):
            for name, folders, files in os.walk(start, onerror=refuse):
                folder = Path(name)
                state = folder.stat()
                if (state.st_dev, state.st_ino) in seen:  # also what ends a loop
                    folders.clear()
                    continue
                seen.add((state.st_dev, state.st_ino))
                folders.sort()
                files.sort()
                links += [folder / one for one in folders if (folder / one).is_symlink()]
                below = folder.relative_to(root).as_posix()
                yield from files if below == "." else (f"{below}/{one}" for one in files)
        starts = links


def printable(text: str) -> str:
    """The text on one line."""
    return CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), as_text(text))
