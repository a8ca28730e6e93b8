"""Which column of a table is the wavelength, which the flux, which its error: told by its name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from specvit.errors import SpectrumError

Error = Literal["ivar", "sigma", "variance"]
LOG_LAMBDA = "log10(Angstrom)"
"""Unit of a wavelength that is given by its logarithm."""

LOG_NAMES = ("loglam", "loglambda", "logwave", "logwavelength", "logwl")
WAVE_NAMES = (
    *("wave", "wavelength", "wavelengths", "waves", "lambda", "lam", "wl", "wvl", "wav"),
    *("spectralaxis", "angstrom", "angstroms", "λ"),
)
FLUX_NAMES = (
    *("flux", "fluxes", "fluxdensity", "flambda", "flam", "fluxlambda", "spec", "spectrum"),
    *("fnu", "intensity", "counts", "fluxreduced", "coadd"),
)
ERROR_NAMES: dict[Error, tuple[str, ...]] = {
    "ivar": ("ivar", "invvar", "inversevariance", "fluxivar", "ivarflux"),
    "sigma": (
        *("err", "error", "errors", "fluxerr", "fluxerror", "errflux", "eflux", "dflux", "noise"),
        *("sigma", "sig", "fluxsigma", "sigmaflux", "uncertainty", "unc", "fluxunc", "std"),
        *("fluxuncertainty", "stddev", "fluxstd", "ferr"),
    ),
    "variance": ("var", "variance", "fluxvar", "fluxvariance"),
}
AIR, VACUUM = ("air", "inair"), ("vac", "vacuum", "invacuum", "obs", "observed")
# `wavelength (nm)`, `flux [1e-17 erg/s/cm2/A]`, `wave_nm`: what follows the name may be its unit.
IN_BRACKETS = re.compile(r"^(?P<name>[^\[(]*)[\[(](?P<unit>[^\])]*)[\])]\s*$")
UNITS = {
    **dict.fromkeys(("a", "aa", "å", "ang", "angs", "angstrom", "angstroms"), "Angstrom"),
    **dict.fromkeys(("nm", "nanometer", "nanometers", "nanometre", "nanometres"), "nm"),
    **dict.fromkeys(("um", "µm", "micron", "microns", "micrometer", "micrometers"), "um"),
}
"""Units of wavelength as people write them, in small letters; any other is astropy's to know."""
SHOWN = 6


@dataclass(frozen=True)
class Named:
    """The columns of a table, by position, and what their names say beside."""

    wave: int
    flux: int
    error: int | None
    kind: Error | None
    unit: str | None
    """Of the wavelength, from its name; None where that says nothing."""
    in_air: bool | None


def named(names: Sequence[str]) -> Named:
    """Find the columns of a spectrum, whatever the case, underscores and blanks of their names.

    The first that fits is taken, in the order of the lists above. Raises SpectrumError, which names
    the columns that there are, where there is no wavelength or no flux.
    """
    parts = [_parts(name) for name in names]
    bare = [bare for bare, _, _ in parts]
    wave = _first(bare, (*LOG_NAMES, *WAVE_NAMES))
    flux = _first(bare, FLUX_NAMES)
    if wave is None or flux is None:
        lacking = " and no ".join(
            what for what, at in (("wavelength", wave), ("flux", flux)) if at is None
        )
        shown = ", ".join(names[:SHOWN]) + ", ..." * (len(names) > SHOWN)
        raise SpectrumError(f"a table with no {lacking} column (it has {shown or 'none'})")
    _, unit, in_air = parts[wave]
    errors = ((kind, _first(bare, known)) for kind, known in ERROR_NAMES.items())
    kind, error = next(((kind, at) for kind, at in errors if at is not None), (None, None))
    unit = LOG_LAMBDA if bare[wave] in LOG_NAMES else unit
    return Named(wave, flux, error, kind, unit, in_air)


def has_spectrum(names: Sequence[str]) -> bool:
    """Whether a table with these columns is a spectrum."""
    try:
        named(names)
    except SpectrumError:
        return False
    return True


def _first(bare: Sequence[str], known: Sequence[str]) -> int | None:
    return next((bare.index(name) for name in known if name in bare), None)


def _parts(name: str) -> tuple[str, str | None, bool | None]:
    """A column's name without ornaments, the unit in it, and whether it says air or vacuum."""
    text, unit, in_air = name.strip().lower(), None, None
    match = IN_BRACKETS.match(text)
    if match:
        text, unit = match["name"], name.strip()[match.start("unit") : match.end("unit")].strip()
    words = [word for word in re.split(r"[^a-z0-9λ]+", text) if word]
    while len(words) > 1:
        if words[-1] in UNITS:
            unit = unit or UNITS[words[-1]]
        elif words[-1] in (*AIR, *VACUUM):
            in_air = words[-1] in AIR
        else:
            break
        words.pop()
    if words and words[0] in (*AIR, *VACUUM) and len(words) > 1:
        in_air = words.pop(0) in AIR
    if words == ["angstrom"] or words == ["angstroms"]:
        unit = "Angstrom"
    return "".join(words), unit or None, in_air
