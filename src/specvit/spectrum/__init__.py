"""One type for a spectrum, its common grid, and the files that spectra and tables come in."""

from specvit.spectrum.grid import bin_centres, rebin, to_grid
from specvit.spectrum.types import Header, Spectrum

__all__ = ["Header", "Spectrum", "bin_centres", "rebin", "to_grid"]
