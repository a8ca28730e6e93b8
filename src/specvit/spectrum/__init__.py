"""One type for a spectrum, and readers for the files of each survey."""

from specvit.spectrum.grid import bin_centres, rebin, to_grid
from specvit.spectrum.read import read_header, read_identity, read_spectrum
from specvit.spectrum.types import Header, Layout, Spectrum

__all__ = [
    "Header",
    "Layout",
    "Spectrum",
    "bin_centres",
    "read_header",
    "read_identity",
    "read_spectrum",
    "rebin",
    "to_grid",
]
