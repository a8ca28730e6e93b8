"""One sample of a shard: the picture, the flux on the common grid, and the catalogue's row."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from specvit.config.data import Grid, Render
from specvit.plot import draw, render_hash
from specvit.plot.scale import percentiles
from specvit.spectrum import Spectrum, to_grid

# Rows of a plot are much like the row above them: its difference, run-length coded, is smaller than
# what zlib finds at level 1, in a third of the time.
PNG_OPTIONS = (
    *(cv2.IMWRITE_PNG_COMPRESSION, 1),
    *(cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE),
    *(cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_UP),
)
LARGEST = np.float32(np.finfo(np.float16).max)
PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
MOST_PIXELS = 4096**2  # a little PNG can unpack to gigabytes
SCALE_PERCENTILE = 99.0


@dataclass(frozen=True)
class Sample:
    """One spectrum's three files, as bytes, and the values of its json."""

    row: dict[str, Any]
    png: bytes
    npy: bytes

    @property
    def key(self) -> str:
        """The name of the sample in its shard."""
        return str(self.row["spectrum_id"])

    def members(self) -> dict[str, bytes]:
        """Contents by kind, in their order in a shard."""
        return {"png": self.png, "npy": self.npy, "json": json_bytes(self.row)}


@dataclass(frozen=True)
class Drawing:
    """How pictures and arrays of one set of plots are made."""

    render: Render
    grid: Grid

    def sample(self, spectrum: Spectrum, row: dict[str, Any]) -> Sample:
        """Make the sample of a spectrum and its catalogue row; SpectrumError if it has no data."""
        picture = draw(spectrum, self.render, self.grid, row["z"])
        flux, scale = scaled_flux(to_grid(spectrum, self.grid))
        values = {**row, "flux_scale": scale, "render": self.hash}
        return Sample(values, png_bytes(picture), npy_bytes(flux))

    @cached_property
    def hash(self) -> str:
        """Stands for everything that decides a picture's pixels."""
        return render_hash(self.render, self.grid)


def scaled_flux(flux: NDArray[np.float32]) -> tuple[NDArray[np.float16], float]:
    """Flux divided by a scale that lets it fit into float16, and the scale: their product is flux.

    The scale is the 99th percentile of absolute flux (1 where that is 0); nan stays nan, and what
    is beyond float16's range (65504 times the scale) is cut there.
    """
    scale = 0.0
    if not np.isnan(flux).all():
        scale = percentiles(np.abs(flux), (0, SCALE_PERCENTILE))[1]
    scale = scale if scale > 0 else 1.0
    scaled = flux / np.float32(scale)
    np.minimum(scaled, LARGEST, out=scaled)
    np.maximum(scaled, -LARGEST, out=scaled)
    return scaled.astype(np.float16), scale


def png_bytes(picture: NDArray[np.uint8]) -> bytes:
    """Encode a grey or RGB picture as PNG; the same picture gives the same bytes."""
    if picture.ndim == 3:
        picture = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), dtype=np.uint8)
    return cv2.imencode(".png", picture, PNG_OPTIONS)[1].tobytes()


def decoded_png(data: bytes) -> NDArray[Any] | None:
    """Decode a PNG as OpenCV does, blue first; None where it is none, or far too large a one."""
    width, height = (int.from_bytes(data[at : at + 4]) for at in (16, 20))  # of its first chunk
    if not data.startswith(PNG_MAGIC) or not 0 < width * height <= MOST_PIXELS:
        return None
    picture: NDArray[Any] | None = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    return picture


def png_array(data: bytes) -> NDArray[np.uint8]:
    """Decode a PNG: (size, size) grey or (size, size, 3) RGB. ValueError if it is none."""
    picture = decoded_png(data)
    if picture is None:
        raise ValueError("not a readable PNG")
    if picture.ndim == 3:
        picture = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
    return np.asarray(picture, dtype=np.uint8)


def npy_bytes(array: NDArray[np.float16]) -> bytes:
    """Encode a vector in numpy's own format."""
    return _npy_header(len(array)) + array.tobytes()


@lru_cache(maxsize=8)
def _npy_header(pixels: int) -> bytes:
    # All arrays of a run have the same one, and numpy takes longer to write it than the data.
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(pixels, np.float16), allow_pickle=False)
    return buffer.getvalue()[: -2 * pixels]


_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False).encode


def json_bytes(row: dict[str, Any]) -> bytes:
    """Encode a row; keys are sorted so that equal rows give equal bytes, nan is refused."""
    return _encode(row).encode()
