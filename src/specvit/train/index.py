"""Where every sample of some shards is and what its labels are: one pass over plain tar files."""

from __future__ import annotations

import hashlib
import io
import json
import mmap
import os
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
import numpy.typing as npt

from specvit.catalog.hashing import hashes, uniform
from specvit.errors import DataError
from specvit.models.labels import encode
from specvit.tasks import Task
from specvit.train.cache import ShardCache
from specvit.train.readers import reader_context

BLOCK = 512  # tar: headers and contents are padded to this


@dataclass(frozen=True)
class BadSample:
    """A sample that cannot be used: `name` is shard/key, `reason` a short sentence."""

    name: str
    reason: str

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}"


@dataclass(frozen=True)
class Subset:
    """Which samples of a shard are taken; the defaults take every spectrum once."""

    extra_draws: bool = False
    """Also the noise realisations beside the spectrum itself (json `draw` > 0): train only."""
    surveys: tuple[str, ...] | None = None
    """Surveys to keep; None: all."""
    fraction: float = 1.0
    """Share of objects to keep, by a hash of (seed, object_id): smaller shares are subsets."""
    seed: int = 0

    def __call__(self, row: dict[str, Any]) -> bool:
        """Whether the sample with this json is taken."""
        if row["draw"] and not self.extra_draws:
            return False
        if self.surveys is not None and row["survey"] not in self.surveys:
            return False
        if self.fraction >= 1:
            return True
        chance = uniform(hashes(self.seed, "train_fraction", [row["object_id"]]))
        return bool(chance[0] < self.fraction)


@dataclass(frozen=True)
class ShardIndex:
    """Samples of some shards, in the order of shards and of samples in them.

    Arrays have one row a sample: `shard` (n,) is the position in `paths`, `picture` and `row`
    (n, 2) are byte offset and size of the PNG and of the json, `keys` (n,) the names in the tar.
    `labels` are those of `specvit.models.labels.encode`, (n,) for each task. Numbers and
    fixed-width text only: reader processes share these arrays instead of copying them. With a
    `cache`, the paths are its copies, and it opens them.
    """

    paths: tuple[Path, ...]
    cache: ShardCache | None
    shard: npt.NDArray[np.int32]
    picture: npt.NDArray[np.int64]
    row: npt.NDArray[np.int64]
    keys: npt.NDArray[np.bytes_]
    labels: dict[str, npt.NDArray[Any]]
    bad: tuple[BadSample, ...] = ()

    def __len__(self) -> int:
        return len(self.shard)

    @property
    def sizes(self) -> npt.NDArray[np.int64]:
        """Samples of each shard, (shards,)."""
        return np.bincount(self.shard, minlength=len(self.paths)).astype(np.int64)

    @property
    def fingerprint(self) -> str:
        """12 hex digits that change with any sample's name, size, place or label."""
        digest = hashlib.sha256()
        for array in self.arrays().values():
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()[:12]

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Every array by a name of its own, labels in the order of their tasks' names."""
        labels = {f"labels.{task}": self.labels[task] for task in sorted(self.labels)}
        return {
            "shard": self.shard,
            "picture": self.picture,
            "row": self.row,
            "keys": self.keys,
            **labels,
        }

    def with_arrays(self, arrays: Mapping[str, Any]) -> ShardIndex:
        """The same index on other arrays, named as `arrays` names them."""
        own = {name: array for name, array in arrays.items() if not name.startswith("labels.")}
        labels = {task: arrays[f"labels.{task}"] for task in self.labels}
        return replace(self, **own, labels=labels)

    def open(self, shard: int) -> int:
        """A descriptor of a shard's file."""
        return _open(self.paths[shard], self.cache)

    def name(self, sample: int) -> str:
        """`train-000003/spec-0266-51602-0001`: what a message calls this sample."""
        return f"{self.paths[self.shard[sample]].stem}/{self.keys[sample].decode()}"


def index_shards(
    paths: Sequence[Path],
    tasks: Sequence[Task],
    subset: Subset,
    workers: int = 1,
    cache: ShardCache | None = None,
) -> ShardIndex:
    """Read the headers and json of every sample, with several processes where `workers` > 1.

    With a `cache`, `paths` are its. Raises DataError for a shard that is missing or damaged as a
    tar. A sample without a picture or with an unusable json is left out and listed in `bad`.
    """
    if not paths:
        raise DataError("there are no shards to read")
    jobs = [(path, tuple(tasks), subset, cache and cache.of_one(path)) for path in paths]
    if min(workers, len(paths)) > 1:
        with ProcessPoolExecutor(min(workers, len(paths)), reader_context()) as pool:
            parts = list(pool.map(_index_shard, *zip(*jobs, strict=True)))
    else:
        parts = [_index_shard(*job) for job in jobs]
    return ShardIndex(
        paths=tuple(paths),
        cache=cache,
        shard=np.repeat(np.arange(len(parts), dtype=np.int32), [len(p) for p in parts]),
        picture=np.concatenate([p.picture for p in parts]),
        row=np.concatenate([p.row for p in parts]),
        keys=np.concatenate([p.keys for p in parts]),
        labels={t.name: np.concatenate([p.labels[t.name] for p in parts]) for t in tasks},
        bad=tuple(bad for p in parts for bad in p.bad),
    )


def _index_shard(
    path: Path, tasks: tuple[Task, ...], subset: Subset, cache: ShardCache | None
) -> ShardIndex:
    places: list[tuple[int, int, int, int]] = []
    keys: list[bytes] = []
    values: dict[str, list[Any]] = {task.name: [] for task in tasks}
    bad: list[BadSample] = []
    with _mapped(path, cache) as data:
        for key, members in _samples(path, data):
            try:
                picture, row = members["png"], members["json"]
                labels = json.loads(data[row[0] : row[0] + row[1]])
                wanted = subset(labels)
                found = [labels[task.column] for task in tasks]
            except KeyError as error:
                bad.append(BadSample(f"{path.stem}/{key}", f"has no {error.args[0]}"))
                continue
            except (ValueError, TypeError) as error:
                bad.append(BadSample(f"{path.stem}/{key}", f"has an unreadable json: {error}"))
                continue
            if wanted:
                places.append((*picture, *row))
                keys.append(key.encode())
                for task, value in zip(tasks, found, strict=True):
                    values[task.name].append(value)
    where = np.array(places, dtype=np.int64).reshape(-1, 4)
    try:
        encoded = {task.name: encode(task, values[task.name]).numpy() for task in tasks}
    except DataError as error:
        raise DataError(f"shard {path}: {error}") from error
    return ShardIndex(
        paths=(path,),
        cache=cache,
        shard=np.zeros(len(keys), dtype=np.int32),
        picture=where[:, :2],
        row=where[:, 2:],
        keys=np.array(keys, dtype=np.bytes_),
        labels=encoded,
        bad=tuple(bad),
    )


def _open(path: Path, cache: ShardCache | None) -> int:
    if cache is not None:
        return cache.open(path)
    try:
        return os.open(path, os.O_RDONLY)
    except FileNotFoundError as error:
        raise DataError(f"shard {path} does not exist: make it with specvit shards") from error


@contextmanager
def _mapped(path: Path, cache: ShardCache | None) -> Iterator[bytes | mmap.mmap]:
    """A file's bytes, read by the system only where they are touched."""
    with os.fdopen(_open(path, cache), "rb") as handle:
        if os.fstat(handle.fileno()).st_size == 0:
            yield b""  # an empty file cannot be mapped
        else:
            with mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ) as data:
                yield data


def _samples(
    path: Path, data: bytes | mmap.mmap
) -> Iterator[tuple[str, dict[str, tuple[int, int]]]]:
    """Group members as WebDataset does: neighbours whose names agree up to the first dot."""
    current, members = "", dict[str, tuple[int, int]]()
    for name, offset, size in _members(path, data):
        key, _, suffix = name.partition(".")
        if key != current and members:
            yield current, members
            members = {}
        current = key
        members[suffix] = (offset, size)
    if members:
        yield current, members


def _members(path: Path, data: bytes | mmap.mmap) -> Iterator[tuple[str, int, int]]:
    """Name, byte offset and size of each file in a tar.

    Plain ustar headers, the only ones a shard of ours has, are read here (a tenth of tarfile's
    time); from the first header of another kind on, tarfile reads the shard.
    """
    position, end = 0, len(data)
    while position + BLOCK <= end:
        header = data[position : position + BLOCK]
        if header[0] == 0:
            return
        plain = header[156] in b"0\0" and header[124] < 0x80 and header[345] == 0
        if not plain:
            yield from _members_by_tarfile(path, data, position)
            return
        size = _checked_size(header)
        if size is None:
            raise _damaged(path, f"damaged at byte {position}")
        start = position + BLOCK
        if start + size > end:
            break
        yield header[:100].partition(b"\0")[0].decode("utf-8", "replace"), start, size
        position = start + -(-size // BLOCK) * BLOCK
    raise _damaged(path, "cut off")


def _checked_size(header: bytes) -> int | None:
    """Size of a file from its ustar header; None where the header's check sum is wrong."""
    try:
        size, checksum = int(header[124:135], 8), int(header[148:154], 8)
    except ValueError:
        return None
    # The sum takes its own eight bytes as spaces (POSIX.1-1988, ustar interchange format).
    return size if sum(header) - sum(header[148:156]) + 8 * 32 == checksum else None


def _members_by_tarfile(
    path: Path, data: bytes | mmap.mmap, start: int
) -> Iterator[tuple[str, int, int]]:
    handle = data if isinstance(data, mmap.mmap) else io.BytesIO(data)
    handle.seek(start)
    try:
        with tarfile.open(fileobj=cast(IO[bytes], handle), mode="r:") as archive:
            for member in archive:
                if member.isfile():
                    yield member.name, member.offset_data, member.size
    except tarfile.TarError as error:
        raise _damaged(path, f"damaged after byte {start}") from error


def _damaged(path: Path, how: str) -> DataError:
    return DataError(f"shard {path} is {how}: remove it and make it again with specvit shards")
