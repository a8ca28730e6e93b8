"""The plan that a catalogue was dealt by: every file of a run names it, every reader checks it.

What a stage reads was made by others, maybe under other settings: read with these, a catalogue of
eight train shards is one of four to a stage that looks for four, and half of it is gone without a
word. So the catalogue carries its plan, what is made from it carries it on, and nothing is read
under another one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from specvit.config.data import Split
from specvit.errors import DataError
from specvit.io import UNREADABLE, sha256_file, stable_hash

KEY = "plan"
"""Where files hold it: the metadata of a parquet file, a key of a JSON file."""
SELECTION = "selection"
"""Stands for the rows that were dealt: the surveys' tables, and which rows went by file."""


@dataclass(frozen=True)
class Plan:
    """Settings by their dotted keys (split.seed, split.shards.train, ...), and the selection."""

    values: Mapping[str, Any]

    @classmethod
    def dealt(cls, split: Split, tables: Iterable[Path], by_file: bytes = b"") -> Plan:
        """The plan by which the rows of these survey tables are dealt.

        `by_file` has a bit for each row that goes with the others of its file.
        """
        parts = [sha256_file(table) for table in tables]
        if any(by_file):
            parts.append(hashlib.sha256(by_file).hexdigest())
        selection = stable_hash(parts)
        return cls({**_settings(split), SELECTION: selection})

    @classmethod
    def of(cls, value: Any, path: Path) -> Plan:
        """What a file holds under KEY. Raises DataError where it holds no plan."""
        if not isinstance(value, dict):
            raise DataError(f"{path} names no plan: an older version made it; make it again")
        return cls(value)

    @classmethod
    def of_parquet(cls, path: Path) -> Plan:
        """The plan in a parquet file's metadata. Raises DataError where there is none."""
        try:
            metadata = pq.read_schema(path).metadata or {}
            return cls.of(json.loads(metadata.get(KEY.encode(), b"null")), path)
        except FileNotFoundError as error:
            raise DataError(f"{path} does not exist") from error
        except UNREADABLE as error:
            raise DataError(f"{path} is not what it should be: {error}") from error

    @property
    def metadata(self) -> dict[str, str]:
        """What a parquet file made under this plan carries."""
        return {KEY: json.dumps(dict(self.values), sort_keys=True)}

    def check_settings(self, split: Split, path: Path) -> None:
        """Raise DataError where `path`, which has this plan, was made with another split."""
        wanted = Plan({**_settings(split), SELECTION: self.values.get(SELECTION)})
        differences = self._differences(wanted, ", not ")
        if differences:
            raise DataError(
                f"{path} is of another plan than this configuration: {differences}; take those "
                "settings, or another run, or remove the folder of this one and start it again"
            )

    def check_same(self, path: Path, other: Plan, other_path: Path) -> None:
        """Raise DataError where `path`, which has this plan, and `other_path` have not the same."""
        differences = self._differences(other, " and ")
        if differences:
            raise DataError(
                f"{path} and {other_path} are of different plans: {differences}; make again the "
                "one that was not made from this run's catalogue"
            )

    def _differences(self, other: Plan, between: str) -> str:
        keys = dict.fromkeys([*self.values, *other.values])
        pairs = {key: (self.values.get(key), other.values.get(key)) for key in keys}
        told = (f"{key} = {a}{between}{b}" for key, (a, b) in pairs.items() if a != b)
        return ", ".join(told)


def one_plan(plans: Iterable[tuple[Path, Plan]]) -> Plan:
    """The plan of some files; DataError where they have not all the same. There is at least one."""
    (first_path, first), *others = plans
    for path, plan in others:
        plan.check_same(path, first, first_path)
    return first


def _settings(section: Any, prefix: str = "split") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in section.model_dump(mode="json").items():
        name = f"{prefix}.{key}"
        parts = value.items() if isinstance(value, dict) else ()
        flat |= {f"{name}.{part}": count for part, count in parts} or {name: value}
    return flat
