"""The samples that a network learns from: where each picture is and what its labels are."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from specvit.errors import DataError
from specvit.models.labels import encode
from specvit.plan import Plan
from specvit.shards.index import Index, open_tar, place_columns, read_index
from specvit.shards.subset import ALL, Subset
from specvit.tasks import Task


@dataclass(frozen=True)
class BadSample:
    """A sample that cannot be used: `name` is shard/key, `reason` a short sentence."""

    name: str
    reason: str

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}"


@dataclass(frozen=True)
class Samples:
    """Samples of some shards, in the order of shards and of samples in them.

    Arrays have one row a sample: `shard` (n,) is the position in `tars`, `picture` (n, 2) byte
    offset and size of the PNG, `checksum` (n,) its CRC-32, `keys` (n,) the names in the tar.
    `labels` are those of
    `specvit.models.labels.encode`, (n,) for each task. Numbers and fixed-width text only: reader
    processes share these arrays instead of copying them.
    """

    tars: tuple[Path, ...]
    tar_bytes: tuple[int, ...]
    plan: Plan
    shard: npt.NDArray[np.int32]
    picture: npt.NDArray[np.int64]
    checksum: npt.NDArray[np.uint32]
    keys: npt.NDArray[np.bytes_]
    labels: dict[str, npt.NDArray[Any]]

    @staticmethod
    def columns(tasks: Sequence[Task]) -> list[str]:
        """Columns of the shards' indexes that `of` reads."""
        labels = [task.column for task in tasks]
        return list(dict.fromkeys(["spectrum_id", *place_columns("png"), *labels]))

    @classmethod
    def of(cls, index: Index, tasks: Sequence[Task], subset: Subset = ALL) -> Samples:
        """The samples of an index that are of the subset.

        Raises DataError for a label that its task does not have.
        """
        taken, table = subset.mask(index.table), index.table
        shard = np.repeat(np.arange(len(index.tars), dtype=np.int32), index.sizes)
        *places, checksum = (table[name].to_numpy() for name in place_columns("png"))
        labels = {}
        for task in tasks:
            try:
                labels[task.name] = encode(task, table[task.column]).numpy()[taken]
            except DataError as error:
                raise DataError(f"the shards in {index.tars[0].parent}: {error}") from error
        return cls(
            tars=index.tars,
            tar_bytes=index.tar_bytes,
            plan=index.plan,
            shard=shard[taken],
            picture=np.stack(places, axis=1)[taken],
            checksum=checksum[taken],
            keys=_fixed_width(table["spectrum_id"])[taken],
            labels=labels,
        )

    def __len__(self) -> int:
        return len(self.shard)

    @property
    def sizes(self) -> npt.NDArray[np.int64]:
        """Samples of each shard, (shards,)."""
        return np.bincount(self.shard, minlength=len(self.tars)).astype(np.int64)

    @property
    def fingerprint(self) -> str:
        """12 hex digits that change with any sample's name, picture, place or label."""
        digest = hashlib.sha256()
        for array in self.arrays().values():
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()[:12]

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Every array by a name of its own, labels in the order of their tasks' names."""
        labels = {f"labels.{task}": self.labels[task] for task in sorted(self.labels)}
        own = {name: getattr(self, name) for name in ("shard", "picture", "checksum", "keys")}
        return {**own, **labels}

    def with_arrays(self, arrays: Mapping[str, Any]) -> Samples:
        """The same samples on other arrays, named as `arrays` names them."""
        own = {name: array for name, array in arrays.items() if not name.startswith("labels.")}
        labels = {task: arrays[f"labels.{task}"] for task in self.labels}
        return replace(self, **own, labels=labels)

    def open(self, shard: int) -> int:
        """A descriptor of a shard's file."""
        return open_tar(self.tars[shard], self.tar_bytes[shard])

    def name(self, sample: int) -> str:
        """`train-000003/spec-0266-51602-0001`: what a message calls this sample."""
        return f"{self.tars[self.shard[sample]].stem}/{self.keys[sample].decode()}"


def read_samples(tars: Sequence[Path], tasks: Sequence[Task], subset: Subset = ALL) -> Samples:
    """Read the indexes of some shards; DataError where one is missing or is none."""
    columns = dict.fromkeys([*Samples.columns(tasks), *subset.columns])
    return Samples.of(read_index(tars, columns), tasks, subset)


def _fixed_width(texts: pa.ChunkedArray) -> npt.NDArray[np.bytes_]:
    """Text as an array of equally long bytes, piece by piece: as objects it would be large."""
    pieces = [np.array(chunk.cast(pa.binary()).to_pylist(), np.bytes_) for chunk in texts.chunks]
    return np.concatenate([np.empty(0, "S1"), *pieces])
