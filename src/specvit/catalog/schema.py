"""The catalogue's columns: the contract between every stage."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pyarrow as pa

from specvit.errors import DataError
from specvit.tasks import ALL_CLASSES, STELLAR_TYPES

if TYPE_CHECKING:  # see specvit.io
    import pandas as pd

# WebDataset cuts keys at the first dot, file systems dislike the rest.
SPECTRUM_ID = re.compile(r"[a-z0-9_-]+")

# What one survey's table holds: everything but grouping across surveys, split and shard.
SURVEY_SCHEMA = pa.schema(
    [
        ("spectrum_id", pa.string()),
        ("survey", pa.string()),  # sdss, lamost: which reader and identity check apply
        ("release", pa.string()),
        ("object_id", pa.string()),  # repeat spectra of one object share it
        ("path", pa.string()),  # below the survey's base URL
        ("identity", pa.string()),  # what the file must say of itself: spectrum.Header.identity
        ("class", pa.string()),
        ("subclass", pa.string()),
        ("stellar_type", pa.string()),
        ("z", pa.float64()),
        ("z_err", pa.float64()),
        ("snr", pa.float64()),
        ("ra", pa.float64()),
        ("dec", pa.float64()),
        ("teff", pa.float64()),
        ("logg", pa.float64()),
        ("feh", pa.float64()),
        ("source", pa.string()),  # key under `surveys:` whose base URL `path` is below
        ("simulated", pa.bool_()),
    ]
)
CATALOG_SCHEMA = SURVEY_SCHEMA.append(pa.field("split", pa.string())).append(
    pa.field("shard", pa.string())
)


def as_table(frame: pd.DataFrame, schema: pa.Schema) -> pa.Table:
    """Cast a frame to the schema: nan in label columns becomes null, never 0.

    Raises DataError for an identifier with other characters than [a-z0-9_-], a repeated one, or a
    class or stellar type that is not of the design's list.
    """
    bad = frame.loc[~frame["spectrum_id"].str.fullmatch(SPECTRUM_ID), "spectrum_id"]
    if len(bad):
        raise DataError(f"spectrum_id {bad.iloc[0]!r} has characters outside [a-z0-9_-]")
    repeated = frame.loc[frame["spectrum_id"].duplicated(), "spectrum_id"]
    if len(repeated):
        raise DataError(f"{len(repeated)} spectrum_ids appear twice, first {repeated.iloc[0]}")
    for column, allowed in (("class", ALL_CLASSES), ("stellar_type", STELLAR_TYPES)):
        values = set(frame[column].dropna().unique()) - set(allowed)
        if values:
            raise DataError(f"{column} {sorted(values)} is not one of {', '.join(allowed)}")
    return pa.Table.from_pandas(
        frame, schema=schema, preserve_index=False
    ).replace_schema_metadata()
