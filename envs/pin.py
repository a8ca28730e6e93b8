"""Pin the conda environments to requirements.lock: `make envs`, after `make lock && make setup`.

In each file, the packages above MARK are chosen by hand: those that its stages import. Their
versions, and all that stands below MARK (what they need in turn), are written here, so that pip
decides nothing by itself.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from importlib.metadata import requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

FOLDER = Path(__file__).resolve().parent
MARK = "      # What these need in turn, written by `make envs`:\n"
LINE = re.compile(r"^      - ([A-Za-z0-9_.-]+).*\n", re.MULTILINE)
# The environments' own Python, on Linux, whatever runs this.
TARGET = {
    "implementation_name": "cpython",
    "os_name": "posix",
    "platform_machine": "x86_64",
    "platform_python_implementation": "CPython",
    "platform_system": "Linux",
    "python_full_version": "3.11.0",
    "python_version": "3.11",
    "sys_platform": "linux",
}


def needed_by(names: Iterable[str]) -> set[str]:
    """Return the names with all that they need in turn, read from what is installed."""
    done: set[tuple[str, str]] = set()
    waiting = [(canonicalize_name(name), "") for name in names]
    while waiting:
        package = waiting.pop()
        if package in done:
            continue
        done.add(package)
        name, extra = package
        for need in map(Requirement, requires(name) or ()):
            if need.marker is None or need.marker.evaluate({**TARGET, "extra": extra}):
                waiting += [(canonicalize_name(need.name), each) for each in ("", *need.extras)]
    return {name for name, _ in done}


def locked() -> dict[str, str]:
    """Package -> its requirement in the lock for TARGET, with its condition where that is Linux."""
    found = {}
    for line in (FOLDER.parent / "requirements.lock").read_text().splitlines():
        pin = Requirement(line)
        if pin.marker is None or pin.marker.evaluate(TARGET):
            plain = f"{pin.name}{pin.specifier}"
            only_linux = "sys_platform == 'linux'" in line
            found[canonicalize_name(pin.name)] = line if only_linux else plain
    return found


def pinned(text: str) -> str:
    """Return an environment's file with every version and every indirect package as locked."""
    head, _, _ = text.partition(MARK)
    versions = locked()
    chosen = {canonicalize_name(name) for name in LINE.findall(head)}
    chosen_lines = LINE.sub(lambda line: f"      - {versions[line[1]]}\n", head)
    others = sorted(needed_by(chosen) - chosen)
    return chosen_lines + MARK + "".join(f"      - {versions[name]}\n" for name in others)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        path = Path(name)
        path.write_text(pinned(path.read_text()))
