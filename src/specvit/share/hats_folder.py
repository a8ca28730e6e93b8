"""Published rows as a HATS catalogue: parquet by HEALPix pixel, as the library hats has it.

Small pixels where spectra are many, large ones where they are few, and beside them what readers
ask first: properties, list of pixels, map of counts.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from numpy.typing import NDArray

from specvit import __version__
from specvit.errors import DataError
from specvit.io import VERIFIED
from specvit.share.published_rows import NOWHERE, PLACE

ORDER = 29
MAP_ORDER = 8
"""Order of the map of counts, and of the smallest pixels: 14 arcmin, in which surveys have some
hundred spectra."""
MOST_ROWS = 10_000
"""Of one pixel's file, which is made in memory: some 150 MB of flux."""


def count(histogram: NDArray[np.int64], places: NDArray[np.int64]) -> int:
    """Add places (n,) to a map of counts, in place; return how many of them are none."""
    known = places[places != NOWHERE]
    pixels, counts = np.unique(known >> 2 * (ORDER - MAP_ORDER), return_counts=True)
    histogram[pixels] += counts
    return len(places) - len(known)


def empty_map() -> NDArray[np.int64]:
    """A map of no counts, nested, (12 * 4^MAP_ORDER,)."""
    return np.zeros(12 * 4**MAP_ORDER, np.int64)


def write_hats(
    folder: Path, files: Iterable[Path], histogram: NDArray[np.int64], about: dict[str, Any]
) -> int:
    """Write the rows of parquet files, each sorted by PLACE, as a catalogue; return its pixels.

    `histogram` counts the rows that have a place; `about` are properties of hats'. Raises DataError
    where hats does not find what was written to be a catalogue.
    """
    from hats.catalog import PartitionInfo
    from hats.io.parquet_metadata import write_parquet_metadata
    from hats.io.skymap import write_skymap
    from hats.io.validation import is_valid_catalog
    from hats.pixel_math import HealpixPixel, generate_alignment

    most = max(MOST_ROWS, int(histogram.max()))
    aligned = generate_alignment(histogram, highest_order=MAP_ORDER, threshold=most)
    pixels = sorted({(int(one[0]), int(one[1])) for one in aligned if one is not None and one[2]})
    rows = _dataset(files)
    for order, pixel in pixels:
        _write_pixel(folder, rows, HealpixPixel(order, pixel))
    written = write_parquet_metadata(folder)
    info = PartitionInfo.from_healpix([HealpixPixel(*pixel) for pixel in pixels])
    info.write_to_file(folder / "partition_info.csv")
    write_skymap(histogram, folder)
    _write_properties(folder, written, info.calculate_fractional_coverage(), about)
    if written != histogram.sum() or not is_valid_catalog(folder, strict=True):
        raise DataError(
            f"hats finds no whole catalogue in what was written: {written:,} rows of "
            f"{histogram.sum():,}"
        )
    return len(pixels)


def write_options(schema: pa.Schema) -> dict[str, Any]:
    """How hats writes parquet, which suits flux: bytes of numbers side by side, zstd."""
    from hats.io.file_io import get_parquet_write_table_kwargs

    options: dict[str, Any] = get_parquet_write_table_kwargs(schema)
    del options["row_group_size"]
    return options


def _dataset(files: Iterable[Path]) -> ds.Dataset:
    verified = ds.ParquetFragmentScanOptions(**VERIFIED)
    form = ds.ParquetFileFormat(default_fragment_scan_options=verified)
    return ds.dataset([str(path) for path in files], format=form)


def _write_pixel(folder: Path, rows: ds.Dataset, pixel: Any) -> None:
    from hats.io.paths import new_pixel_catalog_file

    first, last = (n << 2 * (ORDER - pixel.order) for n in (pixel.pixel, pixel.pixel + 1))
    inside = (pc.field(PLACE) >= first) & (pc.field(PLACE) < last)
    # Nothing ahead: row groups of other pixels would be held as well.
    table = rows.to_table(filter=inside, batch_readahead=0, fragment_readahead=1)
    table = table.sort_by([(PLACE, "ascending"), ("spectrum_id", "ascending")])
    # HATS has its index column first.
    table = table.select([PLACE, *(name for name in table.column_names if name != PLACE)])
    pq.write_table(table, str(new_pixel_catalog_file(folder, pixel)), **write_options(table.schema))


def _write_properties(folder: Path, rows: int, sky: float, about: dict[str, Any]) -> None:
    from hats.catalog import TableProperties

    known = {
        "catalog_type": "object",
        "total_rows": rows,
        "ra_column": "ra",
        "dec_column": "dec",
        "healpix_column": PLACE,
        "healpix_order": ORDER,
        "skymap_order": MAP_ORDER,
        "moc_sky_fraction": sky,
    }
    made = TableProperties.new_provenance_dict(folder, builder=f"specvit v{__version__}", **about)
    TableProperties(**known, **made).to_properties_file(folder)
