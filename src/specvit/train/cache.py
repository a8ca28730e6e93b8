"""Shards that are elsewhere: each streamed when it is first opened, kept on disk as far as fits.

The loader reads single samples in an order of its own, so it reads files; what it does not have is
fetched as a whole, once for all processes of this machine, and checked against the sizes and hashes
of `shards.json`. Where all shards fit below the limit, nothing is fetched twice; else those that
were not opened for longest make room. The loader goes through the shards in stretches and keeps
those of a stretch open, so that even then each is fetched once an epoch.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from specvit.config import Config
from specvit.errors import DataError
from specvit.io import atomic_path
from specvit.plot import render_hash
from specvit.train.remote import BrokenTransferError, Pieces, receive

GB = 10**9


@dataclass(frozen=True)
class Shard:
    """What `shards.json` says of a shard."""

    bytes: int
    sha256: str


@dataclass(frozen=True)
class ShardCache:
    """One set of plots below a URL, and the folder of copies, shared by runs and processes."""

    url: str
    folder: Path
    limit: int
    """Bytes that all copies in the folder may have together."""
    shards: dict[str, Shard]

    def path(self, shard: str) -> Path:
        """Where the copy of a shard is kept, apart from shards of this name with other bytes."""
        try:
            return self.folder / self.shards[shard].sha256[:16] / f"{shard}.tar"
        except KeyError as error:
            raise DataError(
                f"{self.url}/shards.json lists {len(self.shards)} shards and no {shard}: it is of "
                "a run with another split"
            ) from error

    def of_one(self, path: Path) -> ShardCache:
        """The same cache, knowing one shard only: little to send to another process."""
        return replace(self, shards={path.stem: self.shards[path.stem]})

    def open(self, path: Path) -> int:
        """A descriptor of a shard's copy, which is fetched first where it is not there."""
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            with _locked(path.with_suffix(".lock")):
                descriptor = self._fetch(path)
        os.utime(descriptor)  # opened last, so removed last
        return descriptor

    def _fetch(self, path: Path) -> int:
        with suppress(FileNotFoundError):  # unless the process that had the lock has done it
            return os.open(path, os.O_RDONLY)
        shard, url = self.shards[path.stem], f"{self.url}/{path.name}"
        self._make_room(shard.bytes)
        with atomic_path(path) as temporary:
            receive(url, lambda pieces: _write(pieces, temporary, shard))
            # Opened before others see it, and may remove it.
            return os.open(temporary, os.O_RDONLY)

    def _make_room(self, needed: int) -> None:
        """Remove the copies that were opened longest ago, until `needed` bytes fit."""
        with _locked(self.folder / "room.lock"):
            copies = sorted(
                (status.st_mtime_ns, status.st_size, path)
                for path in self.folder.glob("*/*.tar")
                if (status := path.stat())
            )
            total = needed + sum(size for _, size, _ in copies)
            for _, size, path in copies:
                if total <= self.limit:
                    return
                path.unlink(missing_ok=True)
                total -= size


def cache_of(config: Config) -> ShardCache | None:
    """The shards that a network learns from, where `train.shards_url` says that they are elsewhere.

    Raises DataError where they are not the plots that the configuration asks for.
    """
    settings, render = config.train, config.render[0]
    if settings.shards_url is None:
        return None
    url = f"{settings.shards_url.rstrip('/')}/{render.label}"
    index = f"{url}/shards.json"
    try:
        found = json.loads(receive(index, b"".join))
        drawn = found["render_hash"]
        shards = {s["shard"]: Shard(int(s["bytes"]), str(s["sha256"])) for s in found["shards"]}
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{index} is not a list of shards, as specvit shards writes it") from error
    if drawn != render_hash(render, config.grid):
        raise DataError(f"{index} is of plots with other settings of grid or render than this run")
    folder = Path(os.path.expandvars(settings.shards_cache))
    return ShardCache(url, folder, int(settings.shards_cache_gb * GB), shards)


def _write(pieces: Pieces, target: Path, shard: Shard) -> None:
    digest, size = hashlib.sha256(), 0
    with target.open("wb") as handle:
        for piece in pieces:
            digest.update(piece)
            size += handle.write(piece)
    if size != shard.bytes:
        raise BrokenTransferError(f"{size} of {shard.bytes} bytes came")
    if digest.hexdigest() != shard.sha256:
        raise BrokenTransferError("its bytes are not those that shards.json has the hash of")


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One process at a time; the lock of one that dies is free."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
