"""Spectra of no survey: any table with a wavelength and a flux, arrays, other packages' objects."""
