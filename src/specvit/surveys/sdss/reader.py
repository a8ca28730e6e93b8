"""Which of SDSS's files this is, by structure; names and the case of columns vary between runs."""

from __future__ import annotations

from specvit.errors import SpectrumError
from specvit.spectrum.fits import FitsSource
from specvit.spectrum.types import Header, Spectrum
from specvit.surveys.sdss import coadd, spspec

COADD, SPSPEC = "sdss", "sdss_spspec"
COADD_COLUMNS = {"FLUX", "LOGLAM", "IVAR"}
# Columns of the row in HDU 2: any of them tells it from another survey's table.
ROW_COLUMNS = {"PLATE", "FIELD", "FIBERID", "CATALOGID"}
MWM_EXTENSIONS = {"BOSS/APO", "BOSS/LCO", "APOGEE/APO", "APOGEE/LCO"}


def recognise(source: FitsSource) -> str | None:
    """See Reader: a coadd of any reduction since DR8, or a spSpec file of DR1 to DR7."""
    if source.names(1) >= COADD_COLUMNS and (
        source.names(2) & ROW_COLUMNS or source.get(0, "PLATEID") is not None
    ):
        return COADD
    card = source.values(0, ("NAXIS", "COEFF0", "SPEC_CLN"))
    if card["NAXIS"] == 2 and card["COEFF0"] is not None:
        if card["SPEC_CLN"] is not None:
            return SPSPEC
        if _is_plate(source):
            raise SpectrumError(
                "an SDSS spPlate file, with the spectra of a whole plate: give the file itself to "
                "`specvit predict`, which takes each of them"
            )
    names = {source.get(hdu, "EXTNAME") for hdu in range(1, min(source.count, 5))}
    if names & MWM_EXTENSIONS:
        raise SpectrumError(
            "an SDSS-V mwm file (mwmStar, mwmVisit), with spectra of several instruments: read "
            "the spec files that it was made from"
        )
    return None


def _is_plate(source: FitsSource) -> bool:
    """Whether inverse variances of as many spectra follow the image."""
    axes = ("NAXIS1", "NAXIS2")
    is_image = source.get(1, "XTENSION") == "IMAGE"
    return is_image and all(source.get(1, axis) == source.get(0, axis) for axis in axes)


def read(source: FitsSource, layout: str, row: int) -> Spectrum:
    """See Reader."""
    return spspec.read(source, layout) if layout == SPSPEC else coadd.read(source, layout)


def header(source: FitsSource, layout: str, row: int) -> Header:
    """See Reader."""
    return spspec.header(source, layout) if layout == SPSPEC else coadd.header(source, layout)


def identity(source: FitsSource, layout: str, row: int) -> str:
    """See Reader."""
    return spspec.identity(source) if layout == SPSPEC else coadd.identity(source)
