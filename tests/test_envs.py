"""The conda environments name the versions of the lock, and the lock names no host."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]


def pinned() -> dict[str, set[str]]:
    versions: dict[str, set[str]] = {}
    for line in (ROOT / "requirements.lock").read_text().splitlines():
        name, version = re.match(r"([A-Za-z0-9_.-]+)(?:\[.*\])?==(\S+)", line).groups()
        versions.setdefault(name, set()).add(version)
    return versions


@pytest.mark.parametrize("name", ["data", "gpu", "report"])
def test_environment_agrees_with_the_lock(name: str) -> None:
    environment = yaml.safe_load((ROOT / "envs" / f"{name}.yaml").read_text())
    packages = environment["dependencies"][-1]["pip"]
    versions = pinned()
    for package in packages:
        wanted, version = package.split("==")
        assert version in versions[wanted], f"{package}: the lock has {versions[wanted]}"


def test_lock_holds_only_pins() -> None:
    for line in (ROOT / "requirements.lock").read_text().splitlines():
        assert re.match(r"[A-Za-z0-9_.-]+(\[.*\])?==\S+( ;.*)?$", line), line
