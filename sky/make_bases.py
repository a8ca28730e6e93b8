"""Compute the simulated sky's bases from published template libraries.

    python sky/make_bases.py TEMPLATES src/specvit/surveys/simulated/bases.npz

TEMPLATES is a folder with the libraries that NOTICE names. What the package keeps is computed
here: principal components of log flux and what each star, population and quasar is in them. All on
one grid: log10(vacuum wavelength / A) = k * 1e-4, rest frame.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.optimize import nnls

from specvit.spectrum.values import vacuum

Floats = NDArray[np.float64]
STEP = 1e-4

STAR_GRID = (35480, 40200)  # k, first and past the last
STAR_COMPONENTS = 40
POPULATION_GRID = (33000, 40160)  # 1995 to 10375 A
POPULATION_COMPONENTS = 16
LOW_GRID, HIGH_GRID = (32800, 39820), (29600, 36520)  # quasars below and above z = 1.6
QUASAR_SPLIT = 1.6
ROUGH = 0.025  # ln flux
QUASARS = (2500, 2500)  # kept of each kind
BAL_GRID = (29750, 31960, 2)  # 944 to 1570 A, every second pixel
NEIGHBOURS = 4
# Subtypes that the older SDSS templates had, and what those are called that have no digit.
LEGACY_TYPES = ("O5", "B0", "B6", "B9", "A0", "F2", "F5", "F9", "G0", "G2", "G5", "K1", "K3",
                "K5", "K7", "M0", "M1", "M2", "M3", "M4", "M5", "M6", "M7", "M8")  # fmt: skip
LEGACY_NAMES = {"O5": "O", "B0": "OB"}

# Temperature (K) of the types that MILES hardly has (Pecaut & Mamajek 2013, ApJS 208, 9).
COOL = {"M0": 3850, "M1": 3680, "M2": 3550, "M3": 3400, "M4": 3200, "M5": 3050, "M6": 2800,
        "M7": 2650, "M8": 2550, "M9": 2450}  # fmt: skip
HOT = {"O": 35000, "O5": 42000, "O7": 37000, "O8": 35000, "O9": 33000, "B0": 30000, "B1": 25000,
       "B2": 21000, "B3": 17500, "B4": 16500, "B5": 15500, "B6": 14200, "B7": 13200, "B8": 12000,
       "B9": 10700}  # fmt: skip


def grid(limits: tuple[int, int]) -> Floats:
    """Wavelength (A) of the pixels from k = limits[0] to before limits[1]."""
    return np.asarray(np.power(10.0, np.arange(*limits) * STEP))


def resampled(wave: Floats, flux: Floats, limits: tuple[int, int]) -> Floats:
    """Flux on the grid, NaN outside the library's range; `flux` of shape (n, len(wave))."""
    at = grid(limits)
    return np.array([np.interp(at, wave, row, left=np.nan, right=np.nan) for row in flux])


def components(log_flux: Floats, weight: Floats, number: int) -> tuple[Floats, Floats, Floats]:
    """Mean, principal components and coefficients of data with gaps (weight 0).

    By expectation and maximisation: gaps are filled from the components, which are found anew.
    """
    # Noisy pixels count less, but enough that they are not pulled to the mean of all.
    share = np.clip(weight / np.percentile(weight[weight > 0], 90), 0.3, 1.0) * (weight > 0)
    mean = np.nansum(share * log_flux, 0) / share.sum(0)
    filled = np.where(share > 0, np.nan_to_num(log_flux), mean)
    model = np.tile(mean, (len(log_flux), 1))
    for _ in range(40):
        mixed = share * filled + (1 - share) * model
        mean = mixed.mean(0)
        u, s, vectors = np.linalg.svd(mixed - mean, full_matrices=False)
        model = mean + (u[:, :number] * s[:number]) @ vectors[:number]
    return mean, vectors[:number], (u * s)[:, :number]


def star_library(folder: Path) -> tuple[list[str], Floats, Floats]:
    """Names, log flux and weights of all stars, 0 in the median log flux of 5600-6800 A."""
    hammer = np.load(folder / "pyhammer_boss_templates.npz")
    names = [str(name) for name in hammer["name"]]
    parts = [(10 ** hammer["loglam_vac"], hammer["flux"].astype(float), hammer["prop_err"])]
    with fits.open(folder / "sdss_eigen/spEigenStar-55734.fits.gz") as hdus:
        head, flux = hdus[0].header, hdus[0].data.astype(float)
    wave = 10 ** (head["COEFF0"] + STEP * np.arange(flux.shape[1]))
    # Sharper than the surveys' spectrographs: smoothed to them.
    parts.append((wave, gaussian_filter1d(flux, 0.8, axis=1), np.abs(flux) * 0.01))
    names += [head[f"NAME{n}"] for n in range(len(flux))]
    # Few A stars are left of the coadds, and no white dwarfs were among them.
    for kind, number in (("WD", 12), ("A", 20), ("B", 8)):
        wave, flux = redrock_stars(folder, kind, number)
        names += [f"{kind} redrock {n}" for n in range(number)]
        parts.append((wave, flux, 0.02 * flux))
    logs, weights = [], []
    for wave, flux, error in parts:
        level = np.nanmedian(flux[:, (wave > 5600) & (wave < 6800)], axis=1)[:, None]
        flux, error = (
            resampled(wave, values / level, STAR_GRID) for values in (flux, np.asarray(error))
        )
        usable = np.isfinite(flux) & (flux > 0.01)
        logs.append(np.log(np.where(usable, flux, 0.01)))
        noise = error / np.where(usable, flux, 1.0)
        weights.append(np.where(usable, 1 / (noise**2 + 0.02**2), 0.0))
    # Past 9280 A, coadds of stars keep residues of the sky.
    air = grid(STAR_GRID)
    weights[0][:, (air > 9280) & (air < 9720)] = 0.0
    # The few A stars of each coadd are faint in the red: it is left to single stars.
    of_type_a = np.char.startswith(names[: len(logs[0])], "A")
    weights[0][np.ix_(of_type_a, air > 7300)] = 0.0
    logs[0], weights[0] = _completed(logs[0], weights[0], logs[1])
    # Too few stars in the coadd: its pixels scatter.
    second = np.abs(np.diff(logs[0], 2, axis=1))
    rough = np.maximum(
        np.median(second[:, (air > 7600)[1:-1] & (air < 9280)[1:-1]], axis=1),
        0.5 * np.median(second[:, (air > 5000)[1:-1] & (air < 7000)[1:-1]], axis=1),
    )
    skip = re.compile("L|CalciumWD|WDmagnetic")
    keep = [n for n in range(len(names)) if not skip.match(names[n])]
    keep = [n for n in keep if n >= len(rough) or rough[n] < ROUGH]
    return [names[n] for n in keep], np.concatenate(logs)[keep], np.concatenate(weights)[keep]


def _completed(log_flux: Floats, weight: Floats, whole: Floats) -> tuple[Floats, Floats]:
    """Fill gaps of each star from the one of `whole` most like it, levelled at the gap's edge."""
    filled, trust = log_flux.copy(), weight.copy()
    for row, known in zip(filled, weight > 0, strict=True):
        fair = known & (np.arange(len(row)) % 5 == 0)
        nearest = whole[np.argmin(np.abs(whole[:, fair] - row[fair]).mean(1))]
        offset = gaussian_filter1d(np.where(known, row - nearest, 0.0), 40)
        reach = gaussian_filter1d(known.astype(float), 40)
        level = np.where(reach > 0.02, offset / reach.clip(0.02), np.nan)
        there = np.flatnonzero(np.isfinite(level))
        level = np.interp(np.arange(len(row)), there, level[there])
        row[~known] = (nearest + level)[~known]
    trust[weight <= 0] = np.median(weight[weight > 0])
    return filled, trust


def redrock_stars(folder: Path, kind: str, number: int) -> tuple[Floats, Floats]:
    """Model stars spread over the archetypes of one of redrock's types."""
    with fits.open(folder / f"redrock/rrtemplate-STAR-{kind}-v0.1.fits.gz") as hdus:
        head, vectors, archetypes = hdus[0].header, hdus[0].data, hdus[1].data
    wave = head["CRVAL1"] + head["CDELT1"] * np.arange(vectors.shape[1])
    # Ordered by colour, so that even steps span the type.
    blue, red = (vectors[:, np.abs(wave - c) < 50].mean(1) for c in (4200, 7500))
    order = np.argsort((archetypes @ blue) / (archetypes @ red))
    chosen = archetypes[order[np.linspace(0, len(order) - 1, number + 2).astype(int)[1:-1]]]
    flux = gaussian_filter1d(chosen @ vectors, 8.0, axis=1)[:, ::5]  # 0.1 A steps, R = 2500
    return wave[::5], flux.clip(1e-6)


def star_parameters(folder: Path, names: list[str], log_flux: Floats) -> Floats:
    """Teff (K), log g and [Fe/H] of each star: medians of the MILES stars most like it."""
    miles = np.load(folder / "miles_985.npz")
    table = miles["teff_logg_feh"].astype(float)
    known = (table < 9000).all(1) | ((table[:, 0] < 9e4) & (np.abs(table[:, 1:]) < 90).all(1))
    limits = (35700, 38600)
    flux = resampled(vacuum(miles["wave_air"]), miles["flux"][known].astype(float), limits)
    theirs = _shape(np.log(flux.clip(0.01)))
    start = limits[0] - STAR_GRID[0]
    ours = _shape(log_flux[:, start : start + limits[1] - limits[0]])
    out = []
    for name, spectrum in zip(names, ours, strict=True):
        nearest = np.argsort(((theirs - spectrum) ** 2).sum(1))[:7]
        teff, logg, feh = np.median(table[known][nearest], axis=0)
        found = re.match(r"[A-Z]\d?", name)
        kind = found[0] if found else ""
        if "Dwarf" in name:
            logg = max(logg, 4.2)
            feh = float(name.split("_")[1])
        hot = kind in HOT or name.startswith("O")
        giant = re.search("I[abI]", name) or (logg < 3.5 and not hot)
        if kind in COOL:
            teff, logg = COOL[kind], (1.2 if giant and "Dwarf" not in name else 4.8)
        if hot:
            teff, logg, feh = HOT.get(kind, HOT["O"]), (3.2 if giant else 4.1), 0.0
        if name.startswith("WD"):
            logg, feh = 8.0, 0.0  # none is in MILES
        out.append((teff, logg, feh))
    return np.array(out)


def _shape(log_flux: Floats) -> Floats:
    """Log flux less its slow run: lines and bands, with a tenth of the slow run left in."""
    slow = gaussian_filter1d(log_flux, 250, axis=1)
    return np.asarray(log_flux - 0.8 * slow)


def star_type(name: str, teff: float) -> str:
    """Letter and digit of the type, `WD` or `C`; models without a digit have that of their Teff."""
    if name.startswith(("WD", "Carbon")):
        return "WD" if name.startswith("WD") else "C"
    match = re.search(r"([OBAFGKM])(\d?)", name)
    if match is None:
        return ""
    cooler = {"A": (7300, 9900), "B": (10000, 31000), "O": (31000, 50000)}.get(match[1], (0, 1e9))
    place = np.log(cooler[1] / teff) / np.log(cooler[1] / max(cooler[0], 1)) if not match[2] else 0
    return match[1] + (match[2] or str(int(np.clip(10 * place, 0, 9))))


def populations(folder: Path) -> dict[str, Any]:
    """Single stellar populations, drawn out to the ultraviolet by the continua of red galaxies."""
    source = np.load(folder / "mastar_ssp.npz")
    at = grid(POPULATION_GRID)
    flux = resampled(source["wave"], source["flux"].astype(float), POPULATION_GRID)
    with fits.open(folder / "desisim/lrg_templates_v2.1-lite.fits.gz") as hdus:
        galaxies = resampled(hdus["WAVE"].data, hdus["FLUX"].data, POPULATION_GRID)
    galaxies /= np.median(galaxies[:, (at > 5400) & (at < 5600)], axis=1)[:, None]
    joint = (at > 3630) & (at < 7500)
    light = []
    for age, row in zip(source["age_gyr"], flux, strict=True):
        row = row / np.nanmedian(row[(at > 5400) & (at < 5600)])
        # Young populations are bluer than any red galaxy: a power law as of O and B stars.
        if age < 0.2:
            beyond = (at / 3640) ** (-2.4 if age < 0.05 else -1.2)
        else:
            weights, _ = nnls(galaxies[:, joint][:, ::7].T, row[joint][::7])
            beyond = weights @ galaxies
        seam = (at > 3630) & (at < 3700)
        scale = np.median(row[seam]) / np.median(beyond[seam])
        blend = np.clip((at - 3630) / 60, 0, 1)
        blend[~np.isfinite(row)] = 0
        light.append((1 - blend) * beyond * scale + blend * np.nan_to_num(row))
    red = at > grid((0, 1))[0]
    logs = np.log(np.array(light)[:, red].clip(1e-3))
    mean, vectors, coefficients = components(logs, np.ones_like(logs), POPULATION_COMPONENTS)
    ages, metals = np.unique(source["age_gyr"]), np.unique(source["metallicity"])
    place = np.lexsort((source["metallicity"], source["age_gyr"]))
    return {
        "population_mean": mean,
        "population_vectors": vectors,
        "population_coefficients": coefficients[place].reshape(len(ages), len(metals), -1),
        "population_ages": ages,
        "population_metals": metals,
    }


def quasars(folder: Path, rng: np.random.Generator) -> dict[str, Any]:
    """Quasars' eigenspectra and the coefficients of real ones in them, with their redshifts."""
    with fits.open(folder / "desisim/qso_templates_v2.0-lite.fits.gz") as hdus:
        names = hdus["BOSS_PCA"].columns.names
        coefficients = np.concatenate(
            [
                np.column_stack([hdus[f"{survey}_PCA"].data[n] for n in names])
                for survey in ("SDSS", "BOSS")
            ]
        )
        z = np.concatenate([hdus[f"{survey}_Z"].data for survey in ("SDSS", "BOSS")])
    # The same four vectors at full resolution.
    with fits.open(folder / "sdss_eigen/spEigenQSO-55732.fits.gz") as hdus:
        head, own = hdus[0].header, hdus[0].data.astype(float)
    own_wave = 10 ** (head["COEFF0"] + STEP * np.arange(own.shape[1]))
    out: dict[str, Any] = {}
    for kind, limits, number in (("LOZ", LOW_GRID, QUASARS[0]), ("HIZ", HIGH_GRID, QUASARS[1])):
        with fits.open(folder / f"redrock/rrtemplate-QSO-{kind}-v1.1.fits.gz") as hdus:
            head, vectors = hdus[0].header, hdus[0].data.astype(float)
        wave = 10 ** (head["CRVAL1"] + head["CDELT1"] * np.arange(vectors.shape[1]))
        vectors = resampled(wave, vectors, limits)
        near = (z < QUASAR_SPLIT if kind == "LOZ" else z >= QUASAR_SPLIT) & (z > 0.05) & (z < 5)
        at = grid(limits)
        theirs = resampled(own_wave, own, limits)
        fits_of, redshifts = [], []
        for row in np.flatnonzero(near):
            # Only where the spectrum was seen, and redward of the forest.
            seen = (at * (1 + z[row]) > 3800) & (at * (1 + z[row]) < 9200) & (at > 1225)
            flux = coefficients[row] @ theirs[:, seen]
            if seen.sum() < 800 or flux.min() <= 0:
                continue
            level = np.median(flux)
            fitted = np.linalg.lstsq(vectors[:, seen].T, flux / level, rcond=None)[0]
            model = fitted @ vectors[:, seen]
            if model.min() > 0.03 and np.std(model - flux / level) < 0.15 and fitted[0] > 0:
                fits_of.append(fitted)
                redshifts.append(z[row])
        chosen = rng.choice(len(fits_of), min(number, len(fits_of)), replace=False)
        print(f"{kind}: {len(fits_of)} of {near.sum()} quasars fit, {len(chosen)} kept")
        scale = np.array(fits_of).std(0)
        name = "low" if kind == "LOZ" else "high"
        out[f"quasar_{name}_vectors"] = vectors * scale[:, None]
        out[f"quasar_{name}_coefficients"] = np.array(fits_of)[chosen] / scale
        out[f"quasar_{name}_z"] = np.array(redshifts)[chosen]
    with fits.open(folder / "desisim/bal_templates_v3.0-lite.fits.gz") as hdus:
        head, troughs = hdus[1].header, hdus[1].data["TEMP"].astype(float)
    wave = head["CRVAL1"] + head["CDELT1"] * np.arange(troughs.shape[1])
    limits = (BAL_GRID[0], BAL_GRID[1])
    out["troughs"] = np.nan_to_num(resampled(wave, troughs, limits), nan=1.0)[:, :: BAL_GRID[2]]
    return out


def in_order(bases: dict[str, Any]) -> dict[str, Any]:
    """Quasars by rising redshift."""
    out = {}
    for which in ("low", "high"):
        order = np.argsort(bases[f"quasar_{which}_z"], kind="stable")
        for part in ("z", "coefficients"):
            out[f"quasar_{which}_{part}"] = bases[f"quasar_{which}_{part}"][order]
    return out


def likeness(bases: dict[str, Any]) -> dict[str, Any]:
    """Giants and supergiants, and the stars most like each among its kind, itself first."""
    parameters = bases["star_parameters"].astype(np.float64)
    super_giant = np.array([bool(re.search("I[ab]", name)) for name in bases["star_names"]])
    giant = parameters[:, 1] < 3.6
    scaled = parameters / np.array([1, 0.8, 0.6])
    scaled[:, 0] = np.log(parameters[:, 0]) / 0.06
    distance = ((scaled[:, None] - scaled) ** 2).sum(-1)
    letters = bases["star_types"].astype("U1")
    strangers = (letters[:, None] != letters) | (giant[:, None] != giant)
    distance += np.where(strangers | (super_giant[:, None] != super_giant), 1e6, 0.0)
    np.fill_diagonal(distance, -1.0)
    nearest = np.argsort(distance, axis=1, kind="stable")[:, :NEIGHBOURS]
    # Where a kind has few stars, its strangers are replaced by the star itself.
    alone = np.take_along_axis(distance, nearest, axis=1) >= 1e6
    nearest = np.where(alone, np.arange(len(giant))[:, None], nearest)
    return {"star_giant": giant, "star_super_giant": super_giant, "star_neighbours": nearest}


def _number(kind: str) -> int:
    """Place of a type in the sequence, ten to a letter."""
    return 10 * "OBAFGKM".index(kind[0]) + int(kind[1])


def pipelines_names(bases: dict[str, Any]) -> dict[str, Any]:
    """What each star is to the surveys' pipelines.

    BOSS's template (its own are those named by a star's number), the older SDSS templates' type,
    LAMOST's, and redrock's template (it has none of O stars, nor, in DR1, of carbon stars).
    """
    types, models = bases["star_types"], bases["star_coefficients"].astype(np.float64)
    letters = types.astype("U1")
    named = np.char.find(bases["star_names"], "(") >= 0
    out: dict[str, list[str]] = {f"star_{name}": [] for name in ("boss", "legacy", "lamost")}
    for n, kind in enumerate(types.tolist()):
        if kind in ("WD", "C"):
            boss = legacy = lamost = {"WD": "WD", "C": "Carbon"}[kind]
        else:
            distance = ((models - models[n]) ** 2).sum(1)
            same = named & (letters == kind[0])
            boss = str(bases["star_names"][np.where(same, distance, np.inf).argmin()])
            older = min(LEGACY_TYPES, key=lambda known: abs(_number(known) - _number(kind)))
            legacy = LEGACY_NAMES.get(older, older)
            giant = bool(bases["star_giant"][n])
            lamost = {
                "O": "O",
                "A": kind + ("IV" if giant else "V"),
                "M": ("g" if giant else "d") + kind,
            }.get(kind[0], kind)
        for names, name in zip(out.values(), (boss, legacy, lamost), strict=True):
            names.append(name)
    redrock = [{"O": "B", "C": "K", "W": "WD"}.get(kind, kind) for kind in letters.tolist()]
    return {name: np.array(names) for name, names in (out | {"star_redrock": redrock}).items()}


def main() -> None:
    """Compute and write the bases; print their size."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("templates", type=Path)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    names, log_flux, weight = star_library(arguments.templates)
    mean, vectors, coefficients = components(log_flux, weight, STAR_COMPONENTS)
    model = mean + coefficients @ vectors
    parameters = star_parameters(arguments.templates, names, model)
    bases = {
        "star_names": np.array(names),
        "star_types": np.array(
            [star_type(name, teff) for name, teff in zip(names, parameters[:, 0], strict=True)]
        ),
        "star_parameters": parameters,
        "star_mean": mean,
        "star_vectors": vectors,
        "star_coefficients": coefficients,
        **populations(arguments.templates),
        **quasars(arguments.templates, np.random.default_rng(0)),
    }
    half = {
        name: values.astype(np.float32 if values.ndim < 2 or "parameters" in name else np.float16)
        if values.dtype.kind == "f"
        else values
        for name, values in bases.items()
    }
    # From what is kept, not from what it was rounded from.
    half |= in_order(half) | likeness(half)
    half |= pipelines_names(half)
    np.savez_compressed(arguments.out, **half)
    print(f"{arguments.out}: {arguments.out.stat().st_size / 1e6:.2f} MB, {len(names)} stars")


if __name__ == "__main__":
    main()
