"""A spectrum as the type that astropy's packages share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from specvit.errors import DataError

if TYPE_CHECKING:
    from specvit.spectrum.types import Spectrum

ABSOLUTE = frozenset({"sdss", "desi"})  # the others calibrate relative to themselves
UNIT = "1e-17 erg / (s cm2 Angstrom)"


def to_specutils(spectrum: Spectrum) -> Any:
    """See Spectrum.to_specutils."""
    try:
        from specutils import Spectrum as Theirs
    except ImportError as error:
        raise DataError(
            "to_specutils needs specutils 2 or newer, which is not here: pip install specutils"
        ) from error
    import astropy.units as u
    from astropy.nddata import InverseVariance

    unit = u.Unit(UNIT) if spectrum.header.survey in ABSOLUTE else u.dimensionless_unscaled
    return Theirs(
        spectral_axis=spectrum.wavelength * u.AA,
        flux=spectrum.flux * unit,
        uncertainty=InverseVariance(spectrum.ivar, unit=unit**-2),
        mask=~spectrum.good,
        meta={"survey": spectrum.header.survey, "identity": spectrum.header.identity},
    )
