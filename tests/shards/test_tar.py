"""Tar files: the bytes of the standard library's writer, and damage that it would not see."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from specvit.errors import DataError
from specvit.shards.tar import TarWriter, read_members, ustar_header

NAMES = st.text("abcdefghijklmnopqrstuvwxyz0123456789_-.", min_size=1, max_size=100)


@given(name=NAMES, size=st.integers(0, 8**11 - 1))
def test_headers_are_tarfiles(name: str, size: int) -> None:
    member = tarfile.TarInfo(name)
    member.size = size
    assert ustar_header(name, size) == member.tobuf(tarfile.USTAR_FORMAT)


@given(members=st.dictionaries(NAMES.filter(lambda name: name[0] != "."), st.binary(max_size=2000)))
def test_what_is_written_is_read(members: dict[str, bytes]) -> None:
    buffer = io.BytesIO()
    writer = TarWriter(buffer)
    for name, data in members.items():
        writer.add(name, data)
    writer.close()
    buffer.seek(0)
    with tarfile.open(fileobj=buffer) as archive:
        assert {m.name: archive.extractfile(m).read() for m in archive} == members


def test_too_long_a_name_is_refused() -> None:
    with pytest.raises(DataError, match="too long"):
        ustar_header("a" * 101, 1)


@pytest.mark.parametrize(
    ("length", "sentence"),
    [
        (0, "cut off at byte 0"),
        (1000, "cut off within one.json"),
        (1536, "cut off at byte 1536"),
        (1800, "cut off at byte 1536"),
    ],
)
def test_every_cut_is_found(tmp_path: Path, length: int, sentence: str) -> None:
    path = tmp_path / "shard.tar"
    with path.open("wb") as handle:
        writer = TarWriter(handle)
        writer.add("one.json", bytes(900))
        writer.close()
    assert [name for name, _ in read_members(path)] == ["one.json"]
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(DataError, match=sentence):
        list(read_members(path))


def test_another_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "shard.tar"
    path.write_bytes(b"<html>" * 200)
    with pytest.raises(DataError, match="damaged at byte 0"):
        list(read_members(path))
    with pytest.raises(DataError, match="does not exist"):
        list(read_members(tmp_path / "none.tar"))
