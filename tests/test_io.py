"""Files are whole or absent."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
from pathlib import Path

import pandas as pd
import pytest

from specvit.errors import DataError, LockedError, MachineError
from specvit.io import (
    atomic_folder,
    atomic_open,
    csv_text,
    read_json,
    read_parquet,
    scratch_folder,
    sha256_file,
    stable_hash,
    write_json,
    write_parquet,
)


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a" / "x.txt"
    with atomic_open(path, "w") as handle:
        handle.write("old")
    with pytest.raises(RuntimeError), atomic_open(path, "w") as handle:
        handle.write("new")
        raise RuntimeError
    assert path.read_text() == "old"
    assert [p.name for p in path.parent.iterdir()] == ["x.txt"]


def test_a_full_disk_is_said_in_words(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="no space left"), atomic_open(tmp_path / "x") as handle:
        handle.write(b"part")
        raise OSError(errno.ENOSPC, "No space left on device")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("file/x.json", "file is no folder"),
        ("file/a/x.json", "file is no folder"),
        ("folder", "Is a directory"),
        ("n" * 300, "File name too long"),
        ("loop/x.json", "loop is no folder"),
    ],
)
def test_a_path_that_something_else_is_in_the_way_of_is_a_sentence(
    tmp_path: Path, name: str, said: str
) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(MachineError) as caught:
        write_json(tmp_path / name, 1)
    assert str(caught.value).startswith(f"cannot write {tmp_path / name}: ")
    assert said in str(caught.value)
    assert len(list(tmp_path.iterdir())) == 3


def make(folder: Path, text: str) -> None:
    with atomic_folder(folder) as whole:
        (whole / "made").write_text(text)


@pytest.mark.parametrize("name", ["new", "empty", "link", "dangling"])
def test_a_folder_is_whole_or_absent_wherever_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to("empty")
    (tmp_path / "dangling").symlink_to("nowhere")
    folder = Path(name)
    with pytest.raises(RuntimeError), atomic_folder(folder) as whole:
        (whole / "made").write_text("half")
        raise RuntimeError
    assert not (folder / "made").exists()
    make(folder, "whole")
    assert (folder / "made").read_text() == "whole"
    assert not list(tmp_path.glob(".*"))


def test_two_cannot_make_one_folder_and_a_killed_one_is_cleaned_up(tmp_path: Path) -> None:
    dead = subprocess.Popen(["true"])
    dead.wait()
    left = tmp_path / f".x.{socket.gethostname()}-{dead.pid}.tmp"
    (left / "part").mkdir(parents=True)
    found = pytest.raises(MachineError, match=r"cannot write .*x: Directory not empty")
    with found, atomic_folder(tmp_path / "x"):
        assert not left.exists()
        (tmp_path / "x").mkdir()
        (tmp_path / "x" / "made").write_text("by one on another machine")
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
    other = tmp_path / f".y.{socket.gethostname()}-{os.getppid()}.tmp"
    other.mkdir()
    with pytest.raises(LockedError, match=f"is being made by process {os.getppid()}: wait"):
        make(tmp_path / "y", "too")
    assert other.exists()
    (tmp_path / f".z.{socket.gethostname()}-{os.getpid()}.tmp" / "part").mkdir(parents=True)
    make(tmp_path / "z", "whole")
    assert [path.name for path in (tmp_path / "z").iterdir()] == ["made"]
    for place in (Path("/proc"), Path()):
        with pytest.raises(MachineError, match=r"cannot be replaced by another: name a folder in"):
            make(place, "too")


def test_scratch_goes_when_it_is_done_with_and_when_its_process_was_killed(tmp_path: Path) -> None:
    dead = subprocess.Popen(["true"])
    dead.wait()
    (tmp_path / f".catalog.{socket.gethostname()}-{dead.pid}.tmp" / "part").mkdir(parents=True)
    with scratch_folder(tmp_path / "catalog") as folder:
        (folder / "0.parquet").touch()
        assert list(tmp_path.iterdir()) == [folder]
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_writer_left_is_removed(tmp_path: Path) -> None:
    dead = subprocess.Popen(["true"])
    dead.wait()
    host = socket.gethostname()
    left = tmp_path / f".x.json.{host}-{dead.pid}.tmp"
    alive = tmp_path / f".x.json.{host}-{os.getppid()}.tmp"
    elsewhere = tmp_path / f".x.json.not{host}-{dead.pid}.tmp"
    for path in (left, alive, elsewhere):
        path.write_text("half")
    write_json(tmp_path / "x.json", 1)
    assert not left.exists()
    assert alive.exists()
    assert elsewhere.exists()


def test_equal_tables_give_equal_bytes(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": [1, 2], "b": ["x", None]})
    write_parquet(tmp_path / "1", frame)
    write_parquet(tmp_path / "2", frame.copy())
    assert sha256_file(tmp_path / "1") == sha256_file(tmp_path / "2")
    assert read_parquet(tmp_path / "1")["b"].isna().tolist() == [False, True]


def test_missing_and_broken_files_are_data_errors(tmp_path: Path) -> None:
    (tmp_path / "bad").write_text("{")
    for read in (read_json, read_parquet):
        with pytest.raises(DataError, match="does not exist"):
            read(tmp_path / "none")
        with pytest.raises(DataError, match="not"):
            read(tmp_path / "bad")


def test_stable_hash_ignores_key_order() -> None:
    assert stable_hash({"a": 1, "b": [2]}) == stable_hash({"b": [2], "a": 1})
    assert stable_hash({"a": 1}) != stable_hash({"a": 2})


@pytest.mark.parametrize(
    "text", ["=1+1", "+1+cmd|' /C calc'!A0", "-1+1", "@SUM(A1)", "\t=1", "\r=1"]
)
def test_a_table_holds_no_formula(text: str) -> None:
    header, row, end = csv_text([text], [[text]]).split("\n")
    assert header == row
    assert row.strip('"')[:2] == "'" + text[0]
    assert end == ""


def test_numbers_and_other_text_stay_as_they_are_in_tables() -> None:
    cells = ["-0.5", "+1e-5", "-inf", -0.5, None, "a=b", "spec-1.fits", "", "z > -1"]
    assert csv_text(["x"], [cells]) == "x\n-0.5,+1e-5,-inf,-0.5,,a=b,spec-1.fits,,z > -1\n"
