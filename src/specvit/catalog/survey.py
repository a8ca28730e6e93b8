"""The survey stage: one survey's catalogue, selected and written as a table of finished rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from specvit.catalog.ladder import Ladder
from specvit.catalog.open import open_catalogue
from specvit.catalog.schema import SURVEY_SCHEMA, as_table
from specvit.catalog.select import ROWS_A_PIECE, Selection, select
from specvit.config import Config
from specvit.io import PARQUET, atomic_path, csv_text, write_text
from specvit.logs import get_logger
from specvit.spectrum.fits_table import Columns
from specvit.surveys.catalogue import SurveyCatalogue, finished

log = get_logger(__name__)


def select_survey(config: Config, key: str) -> Ladder:
    """Write surveys/<key>.parquet and <key>.cuts.csv, and <key>.refused.csv for a folder of files.

    Rows are ordered by spectrum_id. Raises DataError when the selection leaves none.
    """
    survey = config.surveys.active[key]
    catalogue = open_catalogue(config, key)
    try:
        selection = select(catalogue, survey.select, config.split.seed, key)
    finally:
        # What could not be read is worth most when nothing could.
        if catalogue.refused is not None:
            refused = csv_text(["path", "reason"], catalogue.refused)
            write_text(config.paths.survey_refused(key), refused)
    simulated = survey.base_url == "simulated:"
    write_survey_table(config.paths.survey_table(key), catalogue, selection, key, simulated)
    write_text(config.paths.survey_cuts(key), selection.ladder.as_csv())
    for cut in selection.ladder.steps:
        log.info("%s: %s: %d rows, %d removed", key, cut.name, cut.left, cut.removed)
    return selection.ladder


def write_survey_table(
    path: Path, catalogue: SurveyCatalogue, selection: Selection, key: str, simulated: bool
) -> None:
    """Write the finished rows piece by piece; object_id is the first spectrum of the object."""
    with atomic_path(path) as temporary:
        writer = pq.ParquetWriter(temporary, SURVEY_SCHEMA, **PARQUET)
        with writer:
            for start in range(0, selection.rows, ROWS_A_PIECE):
                rows = np.arange(start, min(start + ROWS_A_PIECE, selection.rows))
                frame = finished(catalogue, _rows(selection.columns, rows))
                frame["object_id"] = frame["spectrum_id"]
                first = selection.first[rows]
                again = np.flatnonzero(first != rows)
                others = {name: selection.columns[name][first[again]] for name in catalogue.kept}
                frame.loc[again, "object_id"] = catalogue.spectrum_ids(others)
                frame["source"] = key
                frame["simulated"] = simulated
                writer.write_table(as_table(frame[SURVEY_SCHEMA.names], SURVEY_SCHEMA))


def _rows(columns: Columns, rows: NDArray[np.int64]) -> Columns:
    return {name: values[rows] for name, values in columns.items()}
