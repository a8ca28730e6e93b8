"""Which objects of the sky DESI observed too: the rows of its simulated catalogue."""

from __future__ import annotations

import numpy as np

from specvit.surveys.simulated.objects import NONE
from specvit.surveys.simulated.observations import (
    SMALL_DELTA_CHI2,
    Universe,
    doubtful_redshifts,
    fates,
    jitter,
    measure,
    misjudge,
)
from specvit.surveys.simulated.seeds import Structured, generator

EVERY = 2  # of the objects that SDSS or LAMOST has, one in so many
BRIGHT_LIMIT = 19.0  # of the bright programme, in r
DEPTH = {"bright": 6.0, "dark": 35.0}  # TSNR2_LRG_R of 180 and 1000 s in good conditions
FIRST_TARGET = 39_627_000_000_000_000
CELL = 2.0  # deg: cells of this size stand in for the pixels of HEALPix

# Named as in the catalogue, but in lower case, where it has the same.
DESI_ROW = np.dtype(
    [
        ("object", "i8"),  # row in the universe's objects
        ("targetid", "i8"),
        ("survey", "U7"),
        ("program", "U6"),
        ("healpix", "i8"),
        ("target_ra", "f8"),
        ("target_dec", "f8"),
        ("z", "f8"),
        ("z_err", "f8"),
        ("zwarn", "i8"),
        ("fiberflux_r", "f8"),  # nanomaggies
        ("tsnr2_lrg_r", "f8"),
        ("snr_all", "f8"),  # about what the depth gives; what z_err follows
        ("primary", "?"),
        ("fate", "u1"),
    ]
)


def draw_targets(universe: Universe) -> Structured:
    """Draw DESI's spectra: each object once in the main survey, a few in sv3 too."""
    # Kept apart from what the catalogue needs, as everything else in the simulated package.
    from specvit.surveys.desi.catalogue import expected_snr

    settings, objects = universe.settings, universe.objects
    rng = generator(settings.seed, "desi")
    once = np.arange(0, len(objects), EVERY)
    again = rng.choice(once, round(len(once) * settings.repeat_fraction), replace=False)
    rows = np.zeros(len(once) + len(again), DESI_ROW)
    rows["object"] = np.concatenate([once, again])
    rows["primary"] = np.arange(len(rows)) < len(once)
    rows["survey"] = np.where(rows["primary"], "main", "sv3")
    seen = universe.seen(rows)
    rows["targetid"] = FIRST_TARGET + rows["object"]
    rows["program"] = np.where(seen["rmag"] < BRIGHT_LIMIT, "bright", "dark")
    across, up = np.floor(seen["ra"] / CELL), np.floor((seen["dec"] + 90) / CELL)
    rows["healpix"] = (across * 180 / CELL + up).astype(np.int64)
    rows["target_ra"], rows["target_dec"] = (jitter(rng, seen[n], 0.1) for n in ("ra", "dec"))
    nothing = seen["kind"] == NONE
    flux = 10 ** (-0.4 * (seen["rmag"] - 22.5))
    rows["fiberflux_r"] = np.where(nothing, 0.0, np.round(flux, 4))
    nominal = np.where(rows["program"] == "bright", DEPTH["bright"], DEPTH["dark"])
    rows["tsnr2_lrg_r"] = np.round(nominal * np.exp(rng.normal(0, 0.25, len(rows))), 3)
    snr = expected_snr(rows["fiberflux_r"], rows["tsnr2_lrg_r"])
    rows["snr_all"] = np.round(np.where(nothing, 0.5, snr), 4)
    measure(rng, rows, seen)
    doubtful = doubtful_redshifts(rng, rows)
    rows["zwarn"] = np.where(doubtful | nothing, SMALL_DELTA_CHI2, 0)
    misjudge(rng, rows, seen, doubtful)
    rows["fate"], _ = fates(rng, len(rows), settings)
    return rows[np.lexsort((rows["targetid"], rows["healpix"], rows["program"], rows["survey"]))]
