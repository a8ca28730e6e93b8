"""The simulated SDSS's files: DR17's catalogue, lite files and plates, and SDSS-V's.

SDSS-V has the same spectra, all taken with the BOSS spectrographs; its fields are DR17's plates.
"""

from __future__ import annotations

import gzip
import re
from dataclasses import dataclass
from functools import cached_property, partial
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

from specvit.spectrum.fits_write import Table, card, image
from specvit.surveys.sdss.paths import RELEASES, Release, plate_of
from specvit.surveys.simulated.exposure import rounded
from specvit.surveys.simulated.files import delivered, first_hdu
from specvit.surveys.simulated.lines import LINE
from specvit.surveys.simulated.objects import CLASS_NAMES, NONE, STAR
from specvit.surveys.simulated.observations import MISFILED_PLATE, Universe, of_program
from specvit.surveys.simulated.sdss_exposure import sdss_exposure
from specvit.surveys.simulated.seeds import Structured
from specvit.surveys.simulated.subclasses import sdss_subclass

DR17 = RELEASES["dr17"]
_FIRST_FIELD, _FIRST_TARGET = 100_000, 27_021_597_000_000_000
_SPECTRUM = re.compile(r"/spec-(\d{4,6})-(\d{5})-(\d{1,18})\.fits")
_PLATE = re.compile(r"/spPlate-(\d{4,5})-(\d{5})\.fits")
# Number of a reduction as packed into SPECOBJID.
_RUN2D_NUMBER = {"26": 26, "103": 103, "104": 104, "v5_13_2": 1302}

# Below each list's name in brackets: its columns.
_TEXT = resources.files(__package__).joinpath("sdss_columns.txt").read_text("utf-8")
_LISTS = dict(part.split("]") for part in _TEXT.split("[")[1:])
CATALOGUE = Table("SPECOBJ", _LISTS["SPECOBJ-DR17"])
FIELDS = Table("SPALL", _LISTS["SPALL5"])
STARS = Table(None, _LISTS["BOSSNET"])
# Of lite files, by whether the BOSS spectrographs took the spectrum: since then in upper case.
PIXELS = {False: Table("COADD", _LISTS["COADD"]), True: Table(None, _LISTS["COADD"].upper())}
SUMMARY = {False: Table("SPECOBJ", _LISTS["SPECOBJ"]), True: Table(None, _LISTS["SPALL"])}
# The same in all of them: no line is fitted.
_FITTED = {"LINENAME": list(LINE), "LINEWAVE": list(LINE.values())}
LINES = {
    boss: Table(name, _LISTS["SPZLINE"]).hdu(len(LINE), _FITTED)
    for boss, name in ((False, "SPZLINE"), (True, None))
}
# Columns of catalogues and summaries that are a field of the rows; each table has some of them.
_OF_ROWS = {"PLATE": "plate", "MJD": "mjd", "FIBERID": "fiber", "PLUG_RA": "ra", "PLUG_DEC": "dec",
            "RACAT": "ra", "DECCAT": "dec", "Z": "z", "Z_ERR": "z_err", "ZWARNING": "zwarning",
            "SN_MEDIAN_ALL": "snr_all", "SPECPRIMARY": "primary"}  # fmt: skip
# Of a plate's file, in its order; behind them would come the plug map.
_IMAGES = {"flux": ">f4", "ivar": ">f4", "and_mask": ">i4", "or_mask": ">i4", "wdisp": ">f4"}


@dataclass(frozen=True)
class SdssFiles:
    """Makes the simulated SDSS's files."""

    universe: Universe

    def read(self, path: str) -> bytes | None:
        """The bytes at a path; None where it is none of SDSS's, or the file is missing."""
        for release in RELEASES.values():
            if path in (release.catalogue, release.stars):
                data = self.catalogue(release) if path == release.catalogue else self.stars()
                return gzip.compress(data, 0, mtime=0) if path.endswith(".gz") else data
        if match := _PLATE.search(path):
            return self._plate(path, *(int(part) for part in match.groups()))
        if match := _SPECTRUM.search(path):
            return self._spectrum(path, *(int(part) for part in match.groups()))
        return None

    def catalogue(self, release: Release) -> bytes:
        """Return specObj or spAll-lite: one row for every spectrum."""
        rows, table = self.universe.sdss, FIELDS if release.has_fields else CATALOGUE
        values = self._values(rows, release)
        if not release.has_fields:
            values["SPECOBJID"] = np.char.rjust(_spec_ids(rows).astype("U22"), 22)
        return first_hdu() + table.hdu(len(rows), values)

    def stars(self) -> bytes:
        """Return BossNet's table: all stars but white dwarfs, and its flag by its own bounds."""
        objects, rows = self.universe.objects, self.universe.sdss
        best = np.full(len(objects), -np.inf)
        np.maximum.at(best, rows["object"], rows["snr_all"])
        which = np.flatnonzero((objects["kind"] == STAR) & ~objects["white_dwarf"] & (best > 0))
        seen, error = objects[which], 1 + 20 / np.maximum(best[which], 1)
        wobble = np.sin(which * 78.233) * 0.9
        teff, logg = seen["teff"] + 40 * error * wobble, seen["logg"] + 0.06 * error * wobble
        values = {
            "sdss_id": which + 1,
            "snr": best[which],
            "teff": teff,
            "logg": logg,
            "fe_h": seen["feh"] + 0.05 * error * wobble,
            "flag_bad": np.where((teff < 3200) | (logg > 5), "T", "F"),
        }
        return first_hdu() + STARS.hdu(len(which), values)

    def lite(self, number: int, release: Release = DR17) -> bytes:
        """Return a lite file: coadded spectrum, row of the catalogue, lines (none is fitted)."""
        row, fields = self.universe.sdss[number : number + 1], release.has_fields
        boss = bool(fields or of_program(row, "boss")[0])
        first, pixels = self._pixels(number, fields)
        count = len(pixels["flux"])
        if boss:
            pixels = {name.upper(): values for name, values in pixels.items()}
        start = first_hdu() if fields else first_hdu(*_cards(row[0], first))
        summary = (FIELDS if fields else SUMMARY[boss]).hdu(1, self._values(row, release))
        return start + PIXELS[boss].hdu(count, pixels) + summary + LINES[boss]

    def _spectrum(self, path: str, first: int, mjd: int, third: int) -> bytes | None:
        """The lite file at this path as it arrives, whichever release it is of."""
        rows = self.universe.sdss
        for release in RELEASES.values():
            plate, name, column = first, third, "fiber"
            if release.has_fields:
                plate, name, column = first - _FIRST_FIELD, third - _FIRST_TARGET, "object"
            night = self._night(plate, mjd)
            here = night.start + np.flatnonzero(rows[column][night] == name)
            for number, run2d in zip(here.tolist(), _run2d(rows[here], release), strict=True):
                if path == release.path(first, mjd, third, str(run2d)):
                    return delivered(rows, number, partial(self.lite, release=release))
        return None

    def _plate(self, path: str, plate: int, mjd: int) -> bytes | None:
        """The spPlate file at this path; fibers without a target are empty."""
        night = self._night(plate, mjd)
        rows = self.universe.sdss[night]
        if not len(rows):
            return None
        fibers = 1000 if of_program(rows, "boss")[0] else 640
        if plate_of(DR17.path(plate, mjd, 1, str(_run2d(rows, DR17)[0]))) != (path, fibers):
            return None
        seen = [self._pixels(number) for number in range(night.start, night.stop)]
        first = min(start for start, _ in seen)
        width = max(start + len(pixels["flux"]) for start, pixels in seen) - first
        images = {name: np.zeros((fibers, width), kind) for name, kind in _IMAGES.items()}
        for fiber, (start, pixels) in zip(rows["fiber"].tolist(), seen, strict=True):
            for name, values in images.items():
                values[fiber - 1, start - first :][: len(pixels[name])] = pixels[name]
        flux = first_hdu(*_plate_cards(plate, mjd, first), values=images.pop("flux"))
        others = (image(name.replace("_", "").upper(), values) for name, values in images.items())
        return b"".join([flux, *others])

    def _night(self, plate: int, mjd: int) -> slice:
        """The rows of one plate and night."""
        night = plate * 100_000 + mjd
        return slice(*np.searchsorted(self._nights, [night, night + 1]).tolist())

    @cached_property
    def _nights(self) -> NDArray[np.int64]:
        # Rising: rows are in the order of their names.
        return np.asarray(self.universe.sdss["plate"] * 100_000 + self.universe.sdss["mjd"])

    def _pixels(self, number: int, boss: bool = False) -> tuple[int, dict[str, NDArray[Any]]]:
        """First pixel and columns of a spectrum, which ends where it has data as real ones do."""
        exposure = sdss_exposure(self.universe, number, boss)
        seen = np.flatnonzero(exposure.ivar > 0)
        kept = slice(seen[0], seen[-1] + 1) if len(seen) else slice(0, len(exposure.ivar))
        columns: dict[str, NDArray[Any]] = {
            "flux": rounded(exposure.flux),
            "loglam": exposure.pixels.loglam,
            "ivar": rounded(exposure.ivar),
            "and_mask": exposure.and_mask,
            "or_mask": exposure.or_mask,
            "wdisp": exposure.pixels.sky.dispersion,
            "sky": rounded(exposure.sky),
            "model": rounded(exposure.model),
        }
        first = exposure.pixels.first + int(kept.start)
        return first, {name: values[kept] for name, values in columns.items()}

    def _values(self, rows: Structured, release: Release) -> dict[str, Any]:
        """What these spectra have a value for among all columns of catalogues and lite files."""
        seen = self.universe.seen(rows)
        boss, nothing = of_program(rows, "boss"), seen["kind"] == NONE
        photometric = (1237645879551000000 + rows["object"]).astype("U19")
        values = {column: rows[name] for column, name in _OF_ROWS.items()} | {
            # Free text in the real tables: where a row can say that it is simulated.
            "CHUNK": "simulated",
            "SURVEY": of_program(rows, "survey"),
            "PROGRAMNAME": of_program(rows, "name"),
            "TARGETTYPE": np.where(nothing, "SKY", "SCIENCE"),
            # One object in 40 has no photometric match, as in the real table.
            "BESTOBJID": np.where(rows["object"] % 40 == 7, "", photometric),
            "RUN2D": _run2d(rows, release),
            # The pipeline gives every fiber the class that fits best, those on nothing too.
            "CLASS": CLASS_NAMES[np.where(nothing, rows["fiber"] % 3, seen["kind"])],
            "SUBCLASS": sdss_subclass(seen, rows["snr_all"], boss),
            "CATALOGID": rows["object"] + _FIRST_TARGET,
            "SDSS_ID": rows["object"] + 1,
        }
        if release.has_fields:  # another FIELD is in older summaries: of the photometry
            values["FIELD"] = rows["plate"] + _FIRST_FIELD
            values["SURVEY"] = values["PROGRAMNAME"] = np.where(seen["kind"] == STAR, "mwm", "bhm")
        return values


def _run2d(rows: Structured, release: Release) -> NDArray[np.str_]:
    """Reduction that the catalogue names: not the one of the path for DR17's misfiled plates."""
    if release.has_fields:
        return np.full(len(rows), release.catalogue.split("/")[4])
    return np.where(rows["plate"] == MISFILED_PLATE, "26", of_program(rows, "run2d"))


def _spec_ids(rows: Structured) -> NDArray[np.int64]:
    """SPECOBJID: plate, fiber, MJD - 50000 and run2d packed into 64 bits (SDSS CAS)."""
    number = np.array([_RUN2D_NUMBER[name] for name in _run2d(rows, DR17).tolist()], np.int64)
    fibers = (rows["plate"] << 50) + (rows["fiber"] << 38)
    return np.asarray(fibers + ((rows["mjd"] - 50000) << 24) + (number << 10))


def _plate_cards(plate: int, mjd: int, first: int) -> list[bytes]:
    return [
        card("PLATEID", plate, "Plate Id"),
        card("MJD", mjd, "MJD of observation"),
        card("COEFF0", round(first * 1e-4, 4), "Central wavelength (log10) of first pixel"),
        card("COEFF1", 0.0001, "Log10 dispersion per pixel"),
        card("BUNIT", "1E-17 erg/cm^2/s/Ang"),
    ]


def _cards(row: np.void, first: int) -> list[bytes]:
    return [
        *_plate_cards(int(row["plate"]), int(row["mjd"]), first),
        card("PLUG_RA", float(row["ra"]), "RA of object [deg]"),
        card("PLUG_DEC", float(row["dec"]), "dec of object [deg]"),
        card("FIBERID", int(row["fiber"]), "Fiber number"),
    ]
