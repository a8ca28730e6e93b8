"""Tar files: what is written is read, where it was said to lie, and damage is a sentence."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from specvit.errors import DataError
from specvit.tar import TarWriter, read_members

NAMES = st.text("abcdefghijklmnopqrstuvwxyz0123456789_-.", min_size=1, max_size=100)


@given(members=st.dictionaries(NAMES.filter(lambda name: name[0] != "."), st.binary(max_size=2000)))
def test_what_is_written_is_read_and_lies_where_it_was_said(members: dict[str, bytes]) -> None:
    buffer = io.BytesIO()
    writer = TarWriter(buffer)
    places = {name: writer.add(name, data) for name, data in members.items()}
    writer.close()
    for name, data in members.items():
        assert buffer.getvalue()[places[name] :][: len(data)] == data
    buffer.seek(0)
    with tarfile.open(fileobj=buffer) as archive:
        assert {m.name: archive.extractfile(m).read() for m in archive} == members
        assert all((m.mtime, m.uid, m.uname, m.mode) == (0, 0, "", 0o644) for m in archive)


def test_too_long_a_name_is_refused() -> None:
    with pytest.raises(DataError, match="too long"):
        TarWriter(io.BytesIO()).add("a" * 101, b"")


@pytest.mark.parametrize("length", [0, 300, 1000, 1536, 1800])
def test_every_cut_is_found(tmp_path: Path, length: int) -> None:
    path = tmp_path / "shard.tar"
    with path.open("wb") as handle:
        writer = TarWriter(handle)
        writer.add("one.json", bytes(900))
        writer.close()
    assert [name for name, _ in read_members(path)] == ["one.json"]
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(DataError, match="cut off"):
        list(read_members(path))


def test_damage_between_members_is_not_the_end(tmp_path: Path) -> None:
    path = tmp_path / "shard.tar"
    with path.open("wb") as handle:
        writer = TarWriter(handle)
        for name in ("one.json", "two.json"):
            writer.add(name, bytes(900))
        writer.close()
    data = bytearray(path.read_bytes())
    data[1536 + 5] ^= 1  # the second header
    path.write_bytes(data)
    with pytest.raises(DataError, match="damaged or cut off at byte 1536"):
        list(read_members(path))


def test_another_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "shard.tar"
    path.write_bytes(b"<html>" * 200)
    with pytest.raises(DataError, match="damaged"):
        list(read_members(path))
    with pytest.raises(DataError, match="does not exist"):
        list(read_members(tmp_path / "none.tar"))


@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE])
@pytest.mark.parametrize("size", [-1, -512, -1024])
def test_a_size_below_none_is_refused(tmp_path: Path, kind: bytes, size: int) -> None:
    """Of any kind of member: tarfile alone goes back, and round for ever."""
    buffer = io.BytesIO()
    writer = TarWriter(buffer)
    for name in ("a.json", "b.json"):
        writer.add(name, b"{}")
    writer.close()
    data = buffer.getvalue()
    member = tarfile.TarInfo("b.json")
    member.size, member.type = size, kind
    path = tmp_path / "odd.tar"
    path.write_bytes(data[:1024] + member.tobuf(tarfile.GNU_FORMAT)[-512:] + data[1536:])
    with pytest.raises(DataError, match=r"damaged or cut off: b\.json has -\d+ bytes"):
        list(read_members(path))
