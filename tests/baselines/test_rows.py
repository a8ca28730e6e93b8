"""What is read from shards: every spectrum once, its own labels, nothing from the pictures."""

from __future__ import annotations

import io

import numpy as np
import pytest
from made_flux import PIXELS, make, write_shard

from specvit.baselines.rows import labels_of, read_rows, read_shard
from specvit.errors import DataError
from specvit.shards.index import read_index
from specvit.shards.npy import parse_npy
from specvit.shards.subset import Subset
from specvit.tasks import TASKS
from specvit.train.samples import read_samples


@pytest.fixture
def made():
    return make(9, seed=1)


def test_rows_and_flux_come_in_the_order_of_the_shards(tmp_path, made):
    rows, flux = made
    write_shard(tmp_path / "a.tar", rows[:4], flux[:4])
    write_shard(tmp_path / "b.tar", rows[4:], flux[4:])
    read = read_rows([tmp_path / "a.tar", tmp_path / "b.tar"], "test")
    assert list(read.table["spectrum_id"]) == [row["spectrum_id"] for row in rows]
    np.testing.assert_array_equal(read.flux, flux)
    assert read.flux.dtype == np.float16
    assert list(read.table["z"]) == [row["z"] for row in rows]


def test_reads_exactly_the_rows_of_the_network_s_loader(tmp_path, made):
    rows, flux = made
    write_shard(tmp_path / "a.tar", rows, flux)
    samples = read_samples([tmp_path / "a.tar"], [TASKS["class"]])
    read = read_shard(tmp_path / "a.tar")
    assert [key.decode() for key in samples.keys] == list(read.table["spectrum_id"])
    np.testing.assert_array_equal(read.flux, flux)


def test_a_subset_by_survey_and_share_of_objects_is_the_loader_s(tmp_path, made):
    write_shard(tmp_path / "a.tar", *made)
    subset = Subset(surveys=("sdss",), fraction=0.5, seed=2)
    samples = read_samples([tmp_path / "a.tar"], [TASKS["class"]], subset)
    read = read_shard(tmp_path / "a.tar", subset)
    assert 0 < len(read) < 4
    assert [key.decode() for key in samples.keys] == list(read.table["spectrum_id"])


def test_a_missing_label_is_none_or_nan_never_zero(tmp_path, made):
    rows, flux = made
    rows[0] |= {"class": None, "z": None, "teff": None}
    write_shard(tmp_path / "a.tar", rows, flux)
    table = read_shard(tmp_path / "a.tar").table
    assert labels_of(table, TASKS["class"])[0] is None
    assert np.isnan(labels_of(table, TASKS["redshift"])[0])
    assert np.isnan(labels_of(table, TASKS["teff"])[0])


def test_a_label_that_the_task_does_not_have_is_refused(tmp_path, made):
    rows, flux = made
    rows[0]["class"] = "COMET"
    write_shard(tmp_path / "a.tar", rows, flux)
    with pytest.raises(DataError, match="COMET"):
        labels_of(read_shard(tmp_path / "a.tar").table, TASKS["class"])


def test_shards_of_different_pixels_are_refused(tmp_path, made):
    rows, flux = made
    write_shard(tmp_path / "a.tar", rows[:4], flux[:4])
    write_shard(tmp_path / "b.tar", rows[4:], flux[4:, :100])
    with pytest.raises(DataError, match=rf"\[100, {PIXELS}\] pixels"):
        read_rows([tmp_path / "a.tar", tmp_path / "b.tar"], "test")


def test_a_shard_without_spectra_is_no_rows(tmp_path, made):
    rows, flux = made
    write_shard(tmp_path / "a.tar", [], flux[:0])
    write_shard(tmp_path / "b.tar", rows, flux)
    assert len(read_rows([tmp_path / "a.tar"], "test")) == 0
    assert len(read_rows([tmp_path / "a.tar", tmp_path / "b.tar"], "test")) == len(rows)


def test_missing_and_cut_shards_are_named(tmp_path, made):
    path = tmp_path / "a.tar"
    with pytest.raises(DataError, match=r"a\.index\.parquet does not exist"):
        read_shard(path)
    write_shard(path, *made)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(DataError, match=r"a\.tar has 5000 bytes where its index says"):
        read_shard(path)


@pytest.mark.parametrize("array", [np.zeros(4, np.float32), np.zeros((2, 2), np.float16)])
def test_other_arrays_than_a_float16_vector_are_refused(tmp_path, array):
    data = io.BytesIO()
    np.save(data, array)
    with pytest.raises(DataError, match="not a float16 vector"):
        parse_npy(data.getvalue(), tmp_path)


def test_flux_that_was_changed_is_refused(tmp_path, made):
    path = tmp_path / "a.tar"
    write_shard(path, *made)
    data = bytearray(path.read_bytes())
    data[read_index([path], ["npy_offset"]).table["npy_offset"][2].as_py() + 200] ^= 1
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"a\.tar: the npy at byte \d+ has not the checksum"):
        read_shard(path)


@pytest.mark.parametrize("cut", [3, 60, 130])
def test_a_cut_array_is_refused(tmp_path, cut):
    data = io.BytesIO()
    np.save(data, np.zeros(40, np.float16))
    assert len(parse_npy(data.getvalue(), tmp_path)) == 40
    with pytest.raises(DataError, match="flux array"):
        parse_npy(data.getvalue()[:cut], tmp_path)
