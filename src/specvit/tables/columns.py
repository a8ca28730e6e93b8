"""From anything with named columns (astropy's, pandas', a mapping) to arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from specvit.errors import SpectrumError
from specvit.tables.arrays import Arrays
from specvit.tables.names import named


def arrays_of(
    table: Any,
    units: Mapping[str, Any] | None = None,
    *,
    in_air: bool | None = None,
    notes: tuple[str, ...] = (),
) -> Arrays:
    """The columns of a spectrum.

    Units are the columns' own (astropy's `unit`), unless given by column. Raises SpectrumError
    where there is no wavelength or no flux.
    """
    names = [str(name) for name in _names(table)]
    found = named(names)
    wave, flux = names[found.wave], names[found.flux]
    units = units or {}
    kind = found.kind
    error = None if found.error is None else table[names[found.error]]
    return Arrays(
        *(_one_row(table[wave]), _one_row(table[flux])),
        error=None if error is None else _one_row(error),
        kind=kind,
        wave_unit=_unit(units.get(wave, getattr(table[wave], "unit", None))) or found.unit,
        flux_unit=_unit(units.get(flux, getattr(table[flux], "unit", None))),
        in_air=in_air if found.in_air is None else found.in_air,
        notes=notes,
    )


def is_table(thing: Any) -> bool:
    """Whether it has named columns."""
    return bool(_names(thing)) and hasattr(thing, "__getitem__")


def _names(table: Any) -> list[Any]:
    if isinstance(table, Mapping):
        return list(table)
    if isinstance(table, np.ndarray):
        return list(table.dtype.names or ())
    if hasattr(table, "colnames"):  # astropy's; pandas' have `columns` alone
        return list(table.colnames)
    return list(getattr(table, "columns", ()))


def _one_row(column: Any) -> Any:
    """The vector that the one row of a column holds, where the column has vectors of any length."""
    values = np.asanyarray(column)
    if values.dtype == object:
        if len(values) != 1:
            raise SpectrumError(f"{len(values)} rows of vectors: several spectra, not one")
        return np.asanyarray(values[0])
    return values


def _unit(value: Any) -> str | None:
    text = "" if value is None else str(value).strip()
    return text or None
