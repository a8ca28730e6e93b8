"""Whatever is named becomes single spectra, or reasons: nothing is left out."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pandas as pd
import pytest

from specvit.predict.sources import Item, items


def names(*inputs: object) -> list[str]:
    return [item.name for item in items(inputs)]


def only(text: object) -> Item:
    (item,) = items([text])
    return item


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a" / "b").mkdir(parents=True)
    for name in ("a/2.fits", "a/1.fit.gz", "a/b/3.csv", "a/notes.md", "a/b/4.txt"):
        (tmp_path / name).write_bytes(b"x")
    return tmp_path


def make_tar(path: Path, members: dict[str, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def test_files_folders_and_globs(tree: Path) -> None:
    assert names("a/2.fits", "nothing.fits") == ["a/2.fits", "nothing.fits"]
    assert names("a") == ["a/1.fit.gz", "a/2.fits", "a/b/3.csv", "a/b/4.txt"]
    assert names(Path("a")) == names("a")
    assert names("a/*.fit*") == ["a/1.fit.gz", "a/2.fits"]
    assert names("**/*.csv") == ["a/b/3.csv"]
    assert only("*.nothing").reason == "no file matches"
    assert names(f"file://{tree}/a/2.fits") == [f"{tree}/a/2.fits"]


def test_tars_in_place_and_in_folders(tree: Path) -> None:
    members = {"x/1.fits": b"one", "x/2.csv": b"two", "x/1.png": b"no", "x/._1.fits": b"no"}
    for name, mode in (("a.tar", "w"), ("a.tar.gz", "w:gz"), ("a/c.tar", "w")):
        make_tar(tree / name, members, mode)
        found = list(items([name]))
        assert [item.name for item in found] == [f"{name}/x/1.fits", f"{name}/x/2.csv"]
        assert [item.data for item in found] == [b"one", b"two"]
    assert names("a")[2:4] == ["a/c.tar/x/1.fits", "a/c.tar/x/2.csv"]
    make_tar(tree / "none.tar", {})
    assert only("none.tar").reason == "no file of a spectrum in this tar (it is empty)"
    make_tar(tree / "plots.tar", {"1.png": b"", "2.png": b"", "1.json": b""})
    assert only("plots.tar").reason.endswith("(it has 2 .png, 1 .json)")
    (tree / "broken.tar").write_bytes((tree / "a.tar").read_bytes()[:700])
    found = list(items(["broken.tar"]))
    assert found[-1].reason.startswith("no tar that can be read")
    assert "No such file" in only("absent.tar").reason


def test_catalogues_name_files_below_them(tree: Path) -> None:
    rows = pd.DataFrame({"z": [1.0, 2.0, 3.0], "PATH": ["2.fits", "http://host/5.fits", None]})
    rows.to_csv(tree / "a" / "list.csv", index=False)
    rows.to_parquet(tree / "a" / "list.parquet")
    for name in ("a/list.csv", "a/list.parquet"):
        found = list(items([name]))
        assert [item.place for item in found] == ["a/2.fits", "http://host/5.fits", None]
        assert found[-1].reason == "a row without a path"
    pd.DataFrame({"x": [1]}).to_parquet(tree / "other.parquet")
    assert "no column path or file" in only("other.parquet").reason
    (tree / "broken.parquet").write_bytes(b"PAR1")
    assert only("broken.parquet").reason.startswith("no parquet file that can be read")


def test_a_csv_of_a_spectrum_is_no_catalogue(tree: Path) -> None:
    (tree / "spectrum.csv").write_text("wave,flux,file\n4000,1,x\n")
    assert only("spectrum.csv").place == "spectrum.csv"


def test_a_list_on_stdin(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "a/2.fits\n\n# a comment\n  a/b \nhttps://host/x.fits\n-\n"
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    found = names("-")
    assert found == ["a/2.fits", "a/b/3.csv", "a/b/4.txt", "https://host/x.fits", "-"]


def test_folders_without_spectra_and_folders_that_are_shut(tree: Path) -> None:
    (tree / "none").mkdir()
    assert only("none").reason == "no file of a spectrum in this folder (it is empty)"
    (tree / "none" / "x.jpg").touch()
    assert only("none").reason.endswith("(it has 1 .jpg)")
    if os.geteuid() != 0:
        (tree / "a" / "b").chmod(0)
        shut = list(items(["a"]))[-1]
        (tree / "a" / "b").chmod(0o755)
        assert shut.name == "a/b"
        assert "cannot open folder" in shut.reason


def test_secrets_and_odd_names(tree: Path) -> None:
    secret = only("https://me:secret@host/x.fits")
    assert "secret" not in secret.name
    assert secret.reason.startswith("refused")
    assert only("a\0b").reason == "no path"
    thing = object()
    assert only(thing).thing is thing
