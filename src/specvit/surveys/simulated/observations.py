"""Which fiber saw which object, when and how deep: the rows of both simulated catalogues."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from specvit.config.surveys import Simulated
from specvit.surveys.simulated.instrument import BAND_CENTRES
from specvit.surveys.simulated.objects import GALAXY, NONE, OBJECT, STAR, draw_objects
from specvit.surveys.simulated.seeds import Bools, Floats, Generator, Ints, Structured, generator

ARCSEC = 1 / 3600

# Bits of ZWARNING, and what the pipeline sets for a fiber that saw nothing (LITTLE_COVERAGE too).
SKY, LITTLE_COVERAGE, SMALL_DELTA_CHI2, MANY_OUTLIERS, UNPLUGGED = 1, 2, 4, 16, 128
DEAD_FIBER = LITTLE_COVERAGE | SMALL_DELTA_CHI2

# Fate of a file on the server.
INTACT, MISSING, CORRUPT = range(3)

_COMMON = [
    ("object", "i8"),  # row in the universe's objects
    ("mjd", "i8"),
    ("fiber", "i8"),
    ("ra", "f8"),  # as this survey measured it
    ("dec", "f8"),
    ("z", "f8"),  # as the pipeline measured it
    ("z_err", "f8"),
    ("snr", "f8", (5,)),  # ugriz, a pixel
    ("snr_all", "f8"),
    ("fate", "u1"),
    ("damage", "i8"),  # which kind of damage a corrupt file has: a running number
]
SDSS_ROW = np.dtype(
    [*_COMMON, ("plate", "i8"), ("program", "i8"), ("zwarning", "i8"), ("primary", "?")]
)
LAMOST_ROW = np.dtype([*_COMMON, ("plan", "i8"), ("spectrograph", "i8"), ("obsid", "i8")])


@dataclass(frozen=True)
class Program:
    """One SDSS programme: its plates, reduction and samples with their shares."""

    survey: str
    name: str
    run2d: str
    boss: bool  # which spectrograph
    share: float  # of all SDSS spectra
    plates: tuple[int, int]
    mjds: tuple[int, int]
    samples: dict[str, float]


PROGRAMS = (
    Program("sdss", "legacy", "26", False, 0.44, (266, 1900), (51602, 53250),
            {"legacy_star": 0.13, "legacy_main": 0.44, "legacy_lrg": 0.14, "legacy_qso": 0.275,
             "sdss_none": 0.015}),
    Program("segue1", "segue", "103", False, 0.06, (2041, 2558), (53387, 54180),
            {"segue_star": 1.0}),
    Program("segue2", "segue2", "104", False, 0.06, (3004, 3509), (54800, 55210),
            {"segue_star": 1.0}),
    Program("boss", "boss", "v5_13_2", True, 0.26, (3586, 7565), (55181, 56838),
            {"boss_star": 0.14, "boss_lowz": 0.18, "boss_cmass": 0.27, "boss_qso": 0.39,
             "sdss_none": 0.02}),
    Program("eboss", "eboss", "v5_13_2", True, 0.18, (7566, 11704), (56840, 58543),
            {"boss_star": 0.16, "boss_cmass": 0.20, "eboss_qso": 0.62, "sdss_none": 0.02}),
)  # fmt: skip
# SEGUE plate whose catalogue rows say run2d 26 while its spectra are under 104, as in DR17.
MISFILED_PLATE = 3000
MISFILED_MJDS = (54843, 54892)

LAMOST_SAMPLES = {"lamost_star": 0.65, "lamost_galaxy": 0.235, "lamost_qso": 0.10,
                  "lamost_none": 0.015}  # fmt: skip
SECOND_EPOCH = 28  # days until a field is observed again
SDSS_RADIUS = 1.45  # deg, of a plate
LAMOST_RADIUS = 2.4
# Faintest object that LAMOST would target among those SDSS has.
SHARED_LIMIT = 18.0


@dataclass(frozen=True)
class Universe:
    """Objects and the spectra that each survey took of them, in the order of their names."""

    settings: Simulated
    objects: Structured
    sdss: Structured
    lamost: Structured

    def seen(self, rows: Structured) -> Structured:
        """The objects that these rows of a survey are of."""
        return np.asarray(self.objects[rows["object"]])


def of_program(rows: Structured, name: str) -> NDArray[Any]:
    """What the programme of each SDSS row says: `boss`, `run2d` and so on."""
    return np.asarray(np.array([getattr(program, name) for program in PROGRAMS])[rows["program"]])


def _deal(rng: Generator, n: int, shares: dict[str, float]) -> NDArray[np.str_]:
    """Names in these shares, n of them: as exact as whole numbers allow, in random order."""
    weights = np.array(list(shares.values()))
    counts = np.floor(n * weights / weights.sum()).astype(int)
    counts[: n - counts.sum()] += 1
    return rng.permutation(np.repeat(list(shares), counts))


def _scatter(rng: Generator, ra: Floats, dec: Floats, radius: float) -> tuple[Floats, Floats]:
    """Positions uniform in discs around centres (deg), by the tangent plane."""
    distance = radius * np.sqrt(rng.random(len(ra)))
    angle = 2 * np.pi * rng.random(len(ra))
    new_dec = dec + distance * np.sin(angle)
    new_ra = ra + distance * np.cos(angle) / np.cos(np.radians(new_dec))
    return np.round(new_ra % 360, 8), np.round(new_dec, 8)


def jitter(rng: Generator, values: Floats, arcsec: float) -> Floats:
    """Positions (deg) as another survey measured them."""
    return np.round(values + rng.uniform(-arcsec, arcsec, len(values)) * ARCSEC, 6)


def _rank_within(rng: Generator, groups: Ints) -> Ints:
    """Number the members of each group from 0, in random order."""
    shuffled = pd.Series(groups).iloc[rng.permutation(len(groups))]
    return np.asarray(shuffled.groupby(shuffled).cumcount().sort_index())


def fates(rng: Generator, n: int, settings: Simulated) -> tuple[Ints, Ints]:
    """Exact numbers of missing and corrupt files, at random rows; kinds of damage take turns."""
    missing = round(n * settings.missing_fraction)
    corrupt = min(round(n * settings.corrupt_fraction), n - missing)
    order = rng.permutation(n)
    fate, damage = np.zeros((2, n), np.int64)
    fate[order[:missing]] = MISSING
    broken = order[missing : missing + corrupt]
    fate[broken], damage[broken] = CORRUPT, np.arange(corrupt)
    return fate, damage


def measure(rng: Generator, rows: Structured, seen: Structured) -> None:
    """Fill z and z_err: errors fall with S/N; broad lines and few lines make them larger."""
    base = np.choose(seen["kind"], [9e-5, 1.1e-4, 3e-4 * (1 + seen["z"]), 1e-3])
    snr = np.maximum(rows["snr_all"], 0.5)
    z_err = base * (0.06 + (5.0 / snr)) ** 0.8
    rows["z_err"] = np.round(z_err * np.exp(rng.normal(0, 0.2, len(rows))), 8)
    rows["z"] = np.round(seen["z"] + rows["z_err"] * rng.normal(0, 1, len(rows)), 8)


def doubtful_redshifts(rng: Generator, rows: Structured) -> Bools:
    """By far the commonest warning of all pipelines, rising steeply at low S/N."""
    return np.asarray(rng.random(len(rows)) < 0.01 + 0.5 * np.exp(-rows["snr_all"] / 1.2))


def misjudge(rng: Generator, rows: Structured, seen: Structured, doubtful: Bools) -> None:
    """About a third of the doubtful redshifts are plainly wrong, and all of those of nothing."""
    wrong = doubtful & (rng.random(len(rows)) < 0.35) & (seen["kind"] != STAR)
    wrong |= seen["kind"] == NONE
    rows["z"] = np.where(wrong, np.round(rng.uniform(0.01, 3.5, len(rows)), 6), rows["z"])


def _band_snr(rng: Generator, total: Floats, seen: Structured, telescope: Floats) -> Floats:
    """S/N in ugriz for a median S/N: the telescope's response times the object's colour."""
    # Colour as the temperature of a black body of about the same slope.
    galaxies = np.where(seen["tau"] > 1.5, 4800.0, 3900.0)
    teff = np.choose(seen["kind"], [seen["teff"], galaxies, 7500.0, 6000.0]).clip(2700, 15000)
    shift = np.where(seen["kind"] == GALAXY, 1 / (1 + seen["z"]), 1.0)
    waves = BAND_CENTRES * shift[:, None]
    flux = waves**-5 / np.expm1(1.4388e8 / (waves * teff[:, None]))
    relative = (flux / flux[:, 2:3]) ** 0.75 * telescope
    # The median over all pixels lies near that over g, r and i.
    relative /= np.median(relative[:, 1:4], axis=1, keepdims=True)
    return np.asarray(total[:, None] * relative * np.exp(rng.normal(0, 0.05, flux.shape)))


def _snr(magnitude: Floats, pivot: float | Floats) -> Floats:
    """Median S/N of a pixel: 5 at the pivot magnitude, sky-limited fainter, photons brighter."""
    signal = 10 ** (-0.4 * (magnitude - pivot))
    return np.asarray(5.0 * signal / np.sqrt((1 + 0.6 * signal) / 1.6))


def _sdss(settings: Simulated) -> tuple[Structured, Structured, Floats]:
    """Objects, spectra and centres of plates (ra, dec; deg) of the simulated SDSS."""
    rng = generator(settings.seed, "sdss")
    total = settings.sdss_spectra
    again = min(round(total * settings.repeat_fraction), total // 2)
    fresh = total - again
    objects = np.zeros(fresh, OBJECT)
    rows = np.zeros(total, SDSS_ROW)
    survey = _deal(rng, fresh, {program.survey: program.share for program in PROGRAMS})
    fields = []
    for number, program in enumerate(PROGRAMS):
        mine = np.flatnonzero(survey == program.survey)
        objects[mine] = draw_objects(rng, _deal(rng, len(mine), program.samples))
        (low, high), (first, last) = program.plates, program.mjds
        count = max(1, min(-(-len(mine) // 150), high - low))
        plates = low + np.sort(rng.choice(high - low, count, replace=False))
        mjds = first + (plates - low) * (last - first) // (high - low)
        if program.survey == "segue2":
            plates[0], mjds[0] = MISFILED_PLATE, MISFILED_MJDS[0]
        # North Galactic cap, where most plates are.
        ra, dec = rng.uniform(125, 240, count), rng.uniform(2, 58, count)
        field = np.arange(len(mine)) % count
        rows["plate"][mine], rows["mjd"][mine] = plates[field], mjds[field]
        rows["program"][mine] = number
        place = _scatter(rng, ra[field], dec[field], SDSS_RADIUS)
        objects["ra"][mine], objects["dec"][mine] = place
        fields.append(np.column_stack([ra, dec]))
    rows["object"][:fresh] = np.arange(fresh)
    rows["primary"][:fresh] = True
    # A repeat is on the same plate, plugged again for a later night.
    source = rng.choice(fresh, again, replace=False)
    for name in ("object", "plate", "program"):
        rows[name][fresh:] = rows[name][source]
    misfiled = rows["plate"][source] == MISFILED_PLATE
    later = np.where(misfiled, MISFILED_MJDS[1] - MISFILED_MJDS[0], SECOND_EPOCH)
    rows["mjd"][fresh:] = rows["mjd"][source] + later
    _sdss_fibers(rng, rows)
    seen = objects[rows["object"]]
    error = np.where(rows["primary"], 0.0, 0.12) * ARCSEC
    for name in ("ra", "dec"):
        rows[name] = np.round(seen[name] + error * rng.uniform(-1, 1, total), 7)
    _sdss_quality(rng, rows, seen)
    rows["fate"], rows["damage"] = fates(rng, total, settings)
    return objects, rows, np.concatenate(fields)


def _sdss_fibers(rng: Generator, rows: Structured) -> None:
    """Number the fibers of each plate and night without using one twice."""
    night = rows["plate"] * 100000 + rows["mjd"]
    fibers = np.where(of_program(rows, "boss"), 1000, 640)
    rank = _rank_within(rng, night)
    # 37 shares no factor with 640 or 1000, so the numbers of a night are spread and distinct.
    rows["fiber"] = (rank * 37 + night % 101) % fibers + 1


def _sdss_quality(rng: Generator, rows: Structured, seen: Structured) -> None:
    """S/N, redshift and its warning flag for every spectrum."""
    boss = of_program(rows, "boss")
    # Nights differ, and some fibers lose light.
    depth = rng.normal(0, 0.15, len(rows)) + rng.exponential(0.2, len(rows))
    rows["snr_all"] = np.round(_snr(seen["rmag"] + depth, np.where(boss, 20.35, 19.75)), 4)
    response = np.array([0.3, 0.9, 1.15, 1.55, 1.1])
    rows["snr"] = np.round(_band_snr(rng, rows["snr_all"], seen, response), 4)
    measure(rng, rows, seen)
    doubtful = doubtful_redshifts(rng, rows)
    rows["zwarning"] = np.where(doubtful, SMALL_DELTA_CHI2, 0)
    chance = rng.random(len(rows))
    rows["zwarning"] |= np.where(~doubtful & (chance < 0.004), MANY_OUTLIERS, 0)
    # A dead fiber: nothing in the spectrum, and no redshift either.
    rows["zwarning"] = np.where(chance > 0.999, DEAD_FIBER, rows["zwarning"])
    # One arm lost: half a spectrum, whose redshift may be right all the same.
    rows["zwarning"] |= np.where(~doubtful & (np.abs(chance - 0.5) < 0.002), LITTLE_COVERAGE, 0)
    misjudge(rng, rows, seen, doubtful)
    unplugged = np.where(rng.random(len(rows)) < 0.3, UNPLUGGED, SKY)
    rows["zwarning"] |= np.where(seen["kind"] == NONE, unplugged | SMALL_DELTA_CHI2, 0)


def _lamost(settings: Simulated, objects: Structured, plates: Floats) -> tuple[Structured, ...]:
    """All objects and the spectra of the simulated LAMOST; some are of SDSS's `objects`."""
    rng = generator(settings.seed, "lamost")
    total = settings.lamost_spectra
    again = min(round(total * settings.repeat_fraction), total // 2)
    count = max(8, -(-total // 1500))
    # Half of the fields lie on SDSS plates, half towards the Galactic anticentre.
    on_plate = rng.choice(len(plates), min(count, len(plates)), replace=False)
    ra = np.r_[plates[on_plate, 0], rng.uniform(60, 105, count)]
    dec = np.r_[plates[on_plate, 1], rng.uniform(20, 45, count)]
    first_mjd = np.sort(rng.choice(np.arange(55860, 58600), len(ra), replace=False))
    field, distance = _nearest(objects["ra"], objects["dec"], ra, dec)
    bright = (objects["rmag"] < SHARED_LIMIT) & (objects["kind"] != NONE)
    within = np.flatnonzero(bright & (distance < LAMOST_RADIUS))
    # Rows are of new objects, from `fresh` on of those that SDSS has too, from `first` on repeats.
    fresh = total - again
    first = fresh + min(-(-again // 2), len(within))

    new = draw_objects(rng, _deal(rng, fresh, LAMOST_SAMPLES))
    rows = np.zeros(total, LAMOST_ROW)
    thing, plan = rows["object"], rows["plan"]
    plan[:fresh] = rng.integers(0, len(ra), fresh)
    new["ra"], new["dec"] = _scatter(rng, ra[plan[:fresh]], dec[plan[:fresh]], LAMOST_RADIUS)
    thing[:fresh] = len(objects) + np.arange(fresh)
    both = rng.choice(within, first - fresh, replace=False)
    thing[fresh:first], plan[fresh:first] = both, field[both]
    source = rng.choice(first, total - first, replace=False)
    # The second visit has a plan of its own.
    thing[first:], plan[first:] = thing[source], plan[source] + len(ra)
    rows["mjd"] = first_mjd[plan % len(ra)] + SECOND_EPOCH * (plan // len(ra))

    everything = np.concatenate([objects, new])
    seen = everything[thing]
    _lamost_fibers(rng, rows)
    rows["ra"] = jitter(rng, seen["ra"], 0.2)
    rows["dec"] = jitter(rng, seen["dec"], 0.2)
    depth = rng.normal(0, 0.35, total)
    rows["snr_all"] = _snr(seen["rmag"] + depth, 17.6).clip(0.8, 400)
    response = np.array([0.2, 0.65, 1.1, 1.9, 1.35])
    rows["snr"] = np.round(_band_snr(rng, rows["snr_all"], seen, response).clip(0.3, 900), 2)
    measure(rng, rows, seen)
    for name in ("z", "z_err"):
        rows[name][seen["kind"] == NONE] = -9999.0
    rows["fate"], rows["damage"] = fates(rng, total, settings)
    return everything, rows


def reduced_early(plan: Ints) -> Bools:
    """Whether LAMOST's spectra of these plans are reduced as its first releases were."""
    return np.asarray(plan % 9 < 5)


def _nearest(ra: Floats, dec: Floats, field_ra: Floats, field_dec: Floats) -> tuple[Ints, Floats]:
    """Index of the field whose centre is nearest to each position, and how far it is (deg)."""
    index, nearest = np.zeros(len(ra), np.int64), np.full(len(ra), np.inf)
    for number, (centre_ra, centre_dec) in enumerate(zip(field_ra, field_dec, strict=True)):
        across = ((ra - centre_ra + 180) % 360 - 180) * np.cos(np.radians(dec))
        distance = np.hypot(across, dec - centre_dec)
        closer = distance < nearest
        index[closer], nearest[closer] = number, distance[closer]
    return index, nearest


def _lamost_fibers(rng: Generator, rows: Structured) -> None:
    """Number fibers; obsid is plan * 100000 + spectrograph * 1000 + fiber, as LAMOST's is."""
    rank = _rank_within(rng, rows["plan"])
    # 1237 shares no factor with the 4000 fibers.
    place = (rank * 1237 + rows["plan"] * 11) % 4000
    rows["spectrograph"], rows["fiber"] = place // 250 + 1, place % 250 + 1
    rows["obsid"] = (rows["plan"] + 1) * 7 * 100000 + rows["spectrograph"] * 1000 + rows["fiber"]


def draw_universe(settings: Simulated) -> Universe:
    """Draw objects and spectra of both surveys; time and memory grow linearly with their number."""
    objects, sdss, plates = _sdss(settings)
    objects, lamost = _lamost(settings, objects, plates)
    sdss = sdss[np.lexsort((sdss["fiber"], sdss["mjd"], sdss["plate"]))]
    lamost = lamost[np.argsort(lamost["obsid"])]
    return Universe(settings, objects, sdss, lamost)
