"""The simulated LAMOST's files: catalogues as text, spectra as (5, N) images or one-row tables."""

from __future__ import annotations

import gzip
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from specvit.spectrum.fits_write import Table, card
from specvit.surveys.simulated.exposure import rounded
from specvit.surveys.simulated.files import delivered, first_hdu
from specvit.surveys.simulated.instrument import LAMOST
from specvit.surveys.simulated.lamost_exposure import lamost_exposure
from specvit.surveys.simulated.lines import LIGHT_SPEED
from specvit.surveys.simulated.objects import CLASS_NAMES, STAR
from specvit.surveys.simulated.observations import Universe
from specvit.surveys.simulated.seeds import Floats, Structured
from specvit.surveys.simulated.subclasses import lamost_subclass

_CATALOGUE = re.compile(r"dr\d+/v[\d.]+/catdl\?name=(?P<name>\w[\w.]*)\.csv\.gz")
_SPECTRUM = re.compile(r"(?P<release>dr\d+)/v[\d.]+/spectrum/fits/(?P<obsid>\d{1,12})")
_NOT_FOUND = b'{"status":404,"message":"spectrum not found (simulated)"}'
_ROWS = ("FLUX", "IVAR", "WAVELENGTH", "ANDMASK", "ORMASK")
COADD = Table("COADD", ", ".join(f"{n} {LAMOST.pixels[0]}E" for n in (*_ROWS, "NORMALIZATION")))


@dataclass(frozen=True)
class LamostFiles:
    """Makes the simulated LAMOST's files."""

    universe: Universe

    def read(self, path: str) -> bytes | None:
        """The bytes at a path, None where it is none of LAMOST's; a page for a missing spectrum."""
        if match := _CATALOGUE.fullmatch(path):
            return self.stars() if "stellar" in match["name"] else self.catalogue()
        if not (match := _SPECTRUM.fullmatch(path)):
            return None
        rows, obsid = self.universe.lamost, int(match["obsid"])
        number = min(int(np.searchsorted(rows["obsid"], obsid)), len(rows) - 1)
        if rows["obsid"][number] != obsid:
            return _NOT_FOUND
        data = delivered(rows, number, lambda number: self.spectrum(number, match["release"]))
        return _NOT_FOUND if data is None else data

    def catalogue(self) -> bytes:
        """Return the LRS general catalogue: '|' separated, gzip, one row for every spectrum."""
        rows = self.universe.lamost
        return _csv(len(rows), self._columns(rows) | {"fibermask": "0", "with_norm_flux": "1"})

    def stars(self) -> bytes:
        """Return the LRS catalogue of A, F, G and K stars with atmospheric parameters."""
        rows = self.universe.lamost
        seen = self.universe.seen(rows)
        # LASP gives parameters to A, F, G and K stars with enough signal.
        keep = (seen["kind"] == STAR) & (seen["teff"] > 3900) & (seen["teff"] < 9000)
        keep &= ~seen["white_dwarf"] & (rows["snr"][:, 1] > 6)
        rows, seen = rows[keep], seen[keep]
        error = 1 + 20 / np.maximum(rows["snr"][:, 1], 1)
        # The stated error, so that repeats of one star differ by as much as it says.
        wobble = np.sin(rows["obsid"] * 12.9898) * 0.9
        own: dict[str, Any] = {}
        for name, scale, digits in (("teff", 30, 2), ("logg", 0.04, 3), ("feh", 0.03, 3)):
            own[name] = _fixed(seen[name] + scale * error * wobble, digits)
            own[f"{name}_err"] = _fixed(scale * error, digits)
        own["rv"] = _fixed(rows["z"] * LIGHT_SPEED, 2)
        own["rv_err"] = _fixed(rows["z_err"] * LIGHT_SPEED, 2)
        own |= dict.fromkeys(("alpha_m", "alpha_m_err", "vsini_lasp"), "-9999.0")
        return _csv(len(rows), self._columns(rows) | own)

    def spectrum(self, number: int, release: str) -> bytes:
        """Return a gzip FITS file; the obsid tells its layout, since that of a release is mixed."""
        exposure = lamost_exposure(self.universe, number)
        row = self.universe.lamost[number]
        arrays = [rounded(exposure.flux), rounded(exposure.ivar), exposure.pixels.wavelength]
        arrays += [exposure.and_mask, exposure.or_mask]
        cards = self._cards(row, release)
        if row["obsid"] % 2 == 0:
            data = first_hdu(*cards, values=np.array(arrays, ">f4"))
        else:
            data = first_hdu(*cards) + COADD.hdu(1, dict(zip(_ROWS, arrays, strict=True)))
        return gzip.compress(data, 0, mtime=0)

    def _columns(self, rows: Structured) -> dict[str, Any]:
        """The columns that LAMOST's catalogues have in common, as DR10 v2.0 names them."""
        seen = self.universe.seen(rows)
        return {
            "obsid": rows["obsid"].astype(str),
            "uid": np.char.add("G", (rows["object"] + 10**13).astype(str)),
            "gp_id": (rows["object"] + 1).astype(str),
            "designation": [_designation(*place) for place in rows[["ra", "dec"]].tolist()],
            "obsdate": (np.datetime64("1858-11-17") + (rows["mjd"] - 1)).astype(str),
            "lmjd": rows["mjd"].astype(str),
            "mjd": (rows["mjd"] - 1).astype(str),
            "planid": [_plan_name(plan) for plan in rows["plan"]],
            "spid": rows["spectrograph"].astype(str),
            "fiberid": rows["fiber"].astype(str),
            "ra_obs": _fixed(rows["ra"], 6),
            "dec_obs": _fixed(rows["dec"], 6),
            **{f"snr{band}": _fixed(rows["snr"][:, i], 2) for i, band in enumerate("ugriz")},
            "class": CLASS_NAMES[seen["kind"]],
            "subclass": lamost_subclass(seen, rows["plan"]),
            "z": _fixed(rows["z"], 8),
            "z_err": _fixed(rows["z_err"], 8),
            # Matches in other catalogues: none.
            **dict.fromkeys(("ps_id", *(f"mag_ps_{band}" for band in "grizy")), "-9999"),
            **dict.fromkeys(("gaia_source_id", "gaia_g_mean_mag"), "-9999"),
            "fibertype": "Obj",
            "offsets": "0",
            "offsets_v": "0.0",
            "ra": _fixed(rows["ra"], 6),
            "dec": _fixed(rows["dec"], 6),
        }

    def _cards(self, row: np.void, release: str) -> list[bytes]:
        """What the header of a spectrum says, as far as anything reads it."""
        seen = self.universe.seen(np.atleast_1d(row))
        ra, dec = float(row["ra"]), float(row["dec"])
        # Releases before DR5, all of them images, called it SN_G.
        prefix = "SN_" if row["obsid"] % 10 == 0 else "SNR"
        bands = zip("UGRIZ", row["snr"].tolist(), strict=True)
        return [
            card("OBSID", int(row["obsid"]), "Unique number ID of this spectrum"),
            card("DATA_V", f"LAMOST {release.upper()}", "Data release version"),
            card("TELESCOP", "LAMOST", "GuoShouJing Telescope"),
            card("LMJD", int(row["mjd"]), "Local Modified Julian Day"),
            card("PLANID", _plan_name(int(row["plan"])), "Plan ID in use"),
            card("SPID", int(row["spectrograph"]), "Spectrograph ID"),
            card("FIBERID", int(row["fiber"]), "Fiber ID of Object"),
            card("RA", ra, "[deg] Right ascension of object"),
            card("DEC", dec, "[deg] Declination of object"),
            card("DESIG", f"LAMOST {_designation(ra, dec)}", "Designation of LAMOST target"),
            card("HELIO", True, "Heliocentric correction"),
            card("VACUUM", True, "Wavelengths are in vacuum"),
            card("COEFF0", 3.5682, "Central wavelength (log10) of first pixel"),
            card("COEFF1", 0.0001, "Log10 dispersion per pixel"),
            card("CLASS", str(CLASS_NAMES[seen["kind"]][0]), "Class of object"),
            card("SUBCLASS", str(lamost_subclass(seen, row["plan"])[0]), "Subclass of object"),
            card("Z", float(row["z"]), "Redshift of object"),
            card("Z_ERR", float(row["z_err"]), "Redshift error of object"),
            *(card(f"{prefix}{band}", snr, f"SNR of {band.lower()} filter") for band, snr in bands),
        ]


def _designation(ra: float, dec: float) -> str:
    """Name from coordinates: J, hours and degrees in sexagesimal, cut and not rounded."""
    hours = int(ra / 15 * 360000)  # in 0.01 s
    arc = int(abs(dec) * 36000)  # in 0.1 arcsec
    return (
        f"J{hours // 360000:02d}{hours // 6000 % 60:02d}{hours % 6000 / 100:05.2f}"
        f"{'-' if dec < 0 else '+'}{arc // 36000:02d}{arc // 600 % 60:02d}{arc % 600 / 10:04.1f}"
    )


def _plan_name(plan: int) -> str:
    return f"SIM{plan:05d}M01"


def _fixed(values: Floats, digits: int) -> NDArray[np.str_]:
    return np.char.mod(f"%.{digits}f", values)


def _csv(rows: int, columns: dict[str, Any]) -> bytes:
    """Return a gzipped catalogue; a column that is one text has it in every row."""
    texts = [[v] * rows if isinstance(v, str) else v for v in columns.values()]
    lines = ["|".join(columns), *("|".join(line) for line in zip(*texts, strict=True))]
    return gzip.compress(("\n".join(lines) + "\n").encode("ascii"), 0, mtime=0)
