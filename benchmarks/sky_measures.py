"""What is measured on a spectrum, real or simulated: lines, colours, gaps and noise."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from specvit.spectrum import Spectrum

Floats = NDArray[np.float64]

# Rest vacuum wavelength (A): from, to, and the two stretches that give the level beside the line.
LINES: dict[str, tuple[float, float, tuple[float, float], tuple[float, float]]] = {
    "Ca K": (3921, 3949, (3907, 3919), (4008, 4022)),
    "H delta": (4083, 4123, (4042, 4081), (4129, 4162)),
    "G band": (4283, 4318, (4248, 4283), (4318, 4330)),
    "H beta": (4838, 4888, (4800, 4836), (4890, 4930)),
    "[O III] 5008": (4998, 5018, (4975, 4996), (5022, 5060)),
    "Mg b": (5162, 5194, (5119, 5144), (5193, 5208)),
    "Na D": (5880, 5912, (5845, 5878), (5915, 5950)),
    "TiO 6190": (6191, 6274, (6068, 6143), (6374, 6416)),
    "H alpha": (6545, 6586, (6500, 6540), (6600, 6640)),
    "TiO 7100": (7056, 7156, (7020, 7052), (7350, 7500)),
    "Ca T 8544": (8526, 8564, (8500, 8520), (8566, 8590)),
    "Paschen 14": (8594, 8610, (8576, 8590), (8612, 8624)),
}
BROAD: dict[str, tuple[float, float, tuple[float, float], tuple[float, float]]] = {
    "C IV": (1500, 1600, (1450, 1480), (1690, 1710)),
    "C III]": (1830, 1960, (1780, 1820), (1980, 2020)),
    "Mg II": (2740, 2860, (2650, 2700), (2900, 2960)),
    "broad H beta": (4760, 4940, (4690, 4750), (5070, 5120)),
}
COLOURS = {"4150/5150": (4150, 5150), "7500/6600": (7500, 6600), "8500/6600": (8500, 6600)}
BLUE_END, TELLURIC = (3800, 4000), (7590, 7700)
SNR_BANDS = {"g": (4200, 5300), "r": (6020, 6800), "i": (7000, 8500)}
QUIET = ((5300, 5500), (6020, 6250))  # A, observed: no strong sky line
NOISY_BELOW = 25.0  # S/N: above, lines of the spectrum look like noise

# What each kind of measure may differ by whatever its size: error of the measurement itself.
TOLERANCE = {"EW": 0.6, "colour": 0.0, "gaps": 2.0, "noise": 0.1, "join": 1.5}


def kind_of(measure: str) -> str:
    """Return the kind that a measure belongs to."""
    if measure in LINES or measure in BROAD:
        return "EW"
    if measure in COLOURS or measure == "D4000":
        return "colour"
    starts = {"no data": "gaps", "longest": "gaps", "arm join": "join"}
    return next((kind for start, kind in starts.items() if measure.startswith(start)), "noise")


def measure(spectrum: Spectrum, z: float, class_: str) -> dict[str, float]:
    """Measure one spectrum at its redshift; what cannot be measured is absent."""
    wave = np.power(10.0, spectrum.loglam)
    flux, good = spectrum.flux.astype(float), spectrum.good
    rest = wave / (1 + z)
    values: dict[str, float] = {}
    windows = BROAD if class_ == "QSO" else LINES
    for name, window in windows.items():
        values[name] = _equivalent_width(rest, flux, good, *window)
    frame = wave if class_ != "GALAXY" else rest
    for name, (blue, red) in COLOURS.items():
        above, below = (_level(frame, flux, good, c - 50, c + 50) for c in (blue, red))
        values[name] = above / below if below > 0 else np.nan
    if class_ == "GALAXY":
        per_hertz = flux * rest**2
        above = _level(rest, per_hertz, good, 4000, 4100)
        below = _level(rest, per_hertz, good, 3850, 3950)
        values["D4000"] = above / below if below > 0 else np.nan
    return {name: v for name, v in (values | _instrument(wave, spectrum)).items() if np.isfinite(v)}


def _level(wave: Floats, flux: Floats, good: NDArray[np.bool_], low: float, high: float) -> float:
    """Mean over the pixels with data, if they cover most of the stretch."""
    inside = slice(*np.searchsorted(wave, (low, high)))
    used = flux[inside][good[inside]]
    return float(used.mean()) if len(used) > 0.6 * _pixels(low, high) else np.nan


def _pixels(low: float, high: float) -> float:
    return float(np.log10(high / low) / 1e-4)


def _equivalent_width(
    rest: Floats,
    flux: Floats,
    good: NDArray[np.bool_],
    low: float,
    high: float,
    blue: tuple[float, float],
    red: tuple[float, float],
) -> float:
    """Equivalent width (rest A, absorption positive) against a straight line between the sides."""
    levels = [_level(rest, flux, good, *side) for side in (blue, red)]
    near = slice(*np.searchsorted(rest, (low, high)))
    inside = near.start + np.flatnonzero(good[near])
    if not min(levels) > 0 or len(inside) < 0.6 * _pixels(low, high):
        return np.nan
    at = np.interp(rest[inside], [np.mean(blue), np.mean(red)], levels)
    return float((1 - flux[inside] / at).mean() * (high - low))


def _instrument(wave: Floats, spectrum: Spectrum) -> dict[str, float]:
    flux, good, snr = spectrum.flux.astype(float), spectrum.good, spectrum.header.snr
    values: dict[str, float] = {}
    values["arm join (%)"] = _join(wave, flux, good)
    # SDSS files without a reduction were rebuilt by others: their ivar is not the survey's.
    if spectrum.header.survey == "sdss" and spectrum.header.release is None:
        return values
    for name, (low, high) in (("3800-4000", BLUE_END), ("telluric", TELLURIC)):
        count = ((wave > low) & (wave < high) & good).sum()
        values[f"no data, {name} (%)"] = 100 * max(0.0, 1 - count / _pixels(low, high))
    middle = good[(wave > 4100) & (wave < 8900)]
    if len(middle) > 1000:
        edges = np.flatnonzero(np.diff(np.r_[True, middle, True].astype(int)))
        values["longest gap (pixels)"] = float((edges[1::2] - edges[::2]).max(initial=0))
    error = np.sqrt(spectrum.ivar.astype(float))
    if snr is None or snr <= 0:
        return values
    for band, (low, high) in SNR_BANDS.items():
        inside = (wave > low) & (wave < high) & good
        if inside.sum() > 200:
            values[f"S/N, {band} over catalogue"] = float(np.median((flux * error)[inside])) / snr
    if snr < NOISY_BELOW:
        values |= _noise(wave, flux, error, good)
    return values


def _join(wave: Floats, flux: Floats, good: NDArray[np.bool_]) -> float:
    """Largest departure (%) at 5600-6000 A from a straight line between 5500 and 6130 A."""
    sides = [_level(wave, flux, good, *side) for side in ((5440, 5560), (6070, 6190))]
    if not min(sides) > 0:
        return np.nan
    steps = [_level(wave, flux, good, low, low + 50) for low in range(5600, 6000, 50)]
    ratio = np.array(steps) / np.interp(np.arange(5625, 6025, 50), [5500, 6130], sides) - 1
    return float(100 * np.nanmax(np.abs(ratio))) if np.isfinite(ratio).any() else np.nan


def _noise(wave: Floats, flux: Floats, error: Floats, good: NDArray[np.bool_]) -> dict[str, float]:
    """Correlation of neighbours and scatter over the stated error, from differences of pixels.

    Differences of pixels k apart scatter by sqrt(2 (1 - correlation at k)) times their error.
    """
    near = np.any([(wave > low) & (wave < high) for low, high in QUIET], axis=0) & good
    spread = {}
    for apart in (1, 4):
        both = near[apart:] & near[:-apart]
        if both.sum() < 100:
            return {}
        chi: Any = ((flux[apart:] - flux[:-apart]) * error[apart:])[both]
        spread[apart] = 1.4826 * float(np.median(np.abs(chi - np.median(chi))))
    if spread[4] <= 0:
        return {}
    return {
        "neighbour correlation": 1 - (spread[1] / spread[4]) ** 2,
        "scatter over error": spread[4] / np.sqrt(2),
    }
