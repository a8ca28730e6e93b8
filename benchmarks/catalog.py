"""From a survey's full table to selected rows, grouped and split."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import click
import pandas as pd

from benchmarks.common import BenchResult, json_option
from benchmarks.specobj import write_specobj
from specvit.catalog.build import build_catalog
from specvit.catalog.open import open_catalogue
from specvit.catalog.select import select
from specvit.catalog.survey import select_survey
from specvit.config import Config, validate
from specvit.machine import peak_rss_mb
from specvit.surveys.sdss.paths import RELEASES

REFERENCE_ROWS = 100_000


@click.command("catalog")
@click.option("--rows", default=200_000, show_default=True, help="Rows; DR17 has 5801200 (6.7 GB).")
@click.option(
    "--scratch",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for the table, which is removed afterwards; default: the system's.",
)
@json_option
def command(rows: int, scratch: Path | None, json_path: Path | None) -> None:
    """Select from a table with the columns of DR17's specObj, then group, split and deal it."""
    with tempfile.TemporaryDirectory(prefix="specvit-bench-", dir=scratch) as folder:
        measure(Path(folder), rows).show(json_path)


def measure(folder: Path, rows: int) -> BenchResult:
    """Write the table, run both stages on it, then the naive reading of a part of it."""
    config = _config(folder)
    table = folder / RELEASES["dr17"].catalogue
    write_specobj(table, rows)
    survey = config.surveys.active["sdss"]
    select_s, _ = _timed(
        lambda: select(open_catalogue(config, "sdss"), survey.select, config.split.seed, "sdss")
    )
    select_rss = peak_rss_mb()
    survey_s, survey_cpu = _timed(lambda: select_survey(config, "sdss"))
    survey_rss = peak_rss_mb()
    catalog_s, catalog_cpu = _timed(lambda: build_catalog(config))
    rss = peak_rss_mb()
    few = folder / "few.fits"
    write_specobj(few, min(rows, REFERENCE_ROWS))
    reference_s = min(_timed(lambda: naive(few))[0] for _ in range(3))
    return BenchResult(
        name="catalog",
        what=f"selection from specObj, {rows} rows, {table.stat().st_size / 1e9:.2f} GB",
        unit="rows",
        rate=rows / select_s,
        reference=f"astropy Table.read, masks, to_pandas, on {min(rows, REFERENCE_ROWS)} rows",
        reference_rate=min(rows, REFERENCE_ROWS) / reference_s,
        cores=1,
        extra={
            "rows": rows,
            "select_peak_rss_mb": round(select_rss),
            "survey_s": round(survey_s, 2),
            "survey_cpu_s": round(survey_cpu, 2),
            "survey_peak_rss_mb": round(survey_rss),
            "catalog_s": round(catalog_s, 2),
            "catalog_cpu_s": round(catalog_cpu, 2),
            "peak_rss_mb": round(rss),
            "peak_rss_note": "of all stages, before the reference ran",
        },
    )


def _config(folder: Path) -> Config:
    return validate(
        {
            "run": "bench",
            "results_dir": str(folder / "results"),
            "surveys": {"sdss": {"base_url": folder.as_uri()}},
        }
    )


def naive(path: Path) -> pd.DataFrame:
    """Select as a notebook does: the whole table in memory, every column."""
    from astropy.table import Table

    table = Table.read(path, hdu=1)
    keep = (table["ZWARNING"] == 0) & (table["SN_MEDIAN_ALL"] >= 0)
    keep &= (table["Z"] >= -0.02) & (table["Z"] <= 8)
    columns = [name for name in table.colnames if table[name].ndim == 1]
    return table[keep][columns].to_pandas()


def _timed(run: Callable[[], object]) -> tuple[float, float]:
    start, cpu = time.perf_counter(), time.process_time()
    run()
    return time.perf_counter() - start, time.process_time() - cpu
