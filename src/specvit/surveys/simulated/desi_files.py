"""DESI's own layouts: the redshift catalogue, and coadds of the targets of one part of the sky."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from specvit.spectrum.fits_write import Table, card, image
from specvit.surveys.desi import CATALOGUE, coadd_path
from specvit.surveys.simulated.desi_targets import DEPTH, DESI_ROW, draw_targets
from specvit.surveys.simulated.exposure import Pixels, noise_of, rounded, runs
from specvit.surveys.simulated.files import first_hdu
from specvit.surveys.simulated.instrument import DESI
from specvit.surveys.simulated.objects import CLASS_NAMES, NONE
from specvit.surveys.simulated.observations import MISSING, Universe
from specvit.surveys.simulated.seeds import Floats, Generator, Structured, generator
from specvit.surveys.simulated.spectra import flux_of
from specvit.surveys.simulated.subclasses import redrock_subtype

# Vacuum wavelengths (A) of each camera's pixels.
CAMERAS = {
    camera: start + 0.8 * np.arange(count)
    for camera, start, count in (("B", 3600, 2751), ("R", 5760, 2326), ("Z", 7520, 2881))
}
BADPIX = 1  # bit of desispec's specmask that is set on pixels of a bad detector column

_COADD = re.compile(r"/coadd-([a-z0-9]+)-([a-z]+)-(\d{1,9})\.fits")
_ROW = "TARGETID K, COADD_FIBERSTATUS J, TARGET_RA D, TARGET_DEC D, OBJTYPE 3A, FIBERFLUX_R E"
FIBERMAP = Table("FIBERMAP", _ROW)
ZCATALOG = Table(
    "ZCATALOG",
    _ROW + ", SURVEY 7A, PROGRAM 6A, HEALPIX J, Z D, ZERR D, ZWARN K, SPECTYPE 6A, SUBTYPE 20A, "
    "DELTACHI2 D, TSNR2_LRG_R E, ZCAT_PRIMARY L",
)


@dataclass(frozen=True)
class DesiFiles:
    """Makes the simulated DESI's files."""

    universe: Universe

    @cached_property
    def rows(self) -> Structured:
        """Its spectra, drawn when they are asked for, since most runs do not."""
        return draw_targets(self.universe)

    def read(self, path: str) -> bytes | None:
        """The bytes at a path; None where it is none of DESI's, or there is no such coadd."""
        if path == CATALOGUE:
            return first_hdu() + ZCATALOG.hdu(len(self.rows), self._values(self.rows))
        match = _COADD.search(path)
        if match is None or path != coadd_path(match[1], match[2], int(match[3])):
            return None
        rows = self.rows
        inside = (rows["healpix"] == int(match[3])) & (rows["fate"] != MISSING)
        inside &= (rows["survey"] == match[1]) & (rows["program"] == match[2])
        return self.coadd(np.flatnonzero(inside)) if inside.any() else None

    def coadd(self, numbers: NDArray[np.int64]) -> bytes:
        """Return a coadd of these rows, without resolution matrices."""
        rows = self.rows[numbers]
        where = [card(name.upper(), str(rows[name][0])) for name in ("survey", "program")]
        where += [card("SPGRP", "healpix"), card("HPXPIXEL", int(rows["healpix"][0]))]
        pieces = [first_hdu(*where), FIBERMAP.hdu(len(rows), self._values(rows))]
        observed = [self.observe(int(number)) for number in numbers]
        for camera, wave in CAMERAS.items():
            flux, ivar, mask = (np.stack(arrays) for arrays in zip(
                *(one[camera] for one in observed), strict=True))  # fmt: skip
            pieces += [
                image(f"{camera}_WAVELENGTH", wave.astype(">f8"), "Angstrom"),
                image(f"{camera}_FLUX", flux.astype(">f4"), "10**-17 erg/(s cm2 Angstrom)"),
                image(f"{camera}_IVAR", ivar.astype(">f4")),
                image(f"{camera}_MASK", mask.astype(">i4")),
            ]
        return b"".join(pieces)

    def observe(self, number: int) -> dict[str, tuple[Any, Any, Any]]:
        """Flux, ivar and mask of a row in each camera, shapes (pixels,).

        The noise is that of the depth, in the catalogue's TSNR2; calibrated to 1 % a camera.
        """
        row = self.rows[number]
        rng = generator(self.universe.settings.seed, "desi", "exposure", number)
        pixels = Pixels(DESI, DESI.first[0], DESI.pixels[0])
        model = flux_of(self.universe, row, pixels)
        sigma, _ = noise_of(rng, pixels, model)
        sigma = sigma * np.sqrt(DEPTH["dark"] / row["tsnr2_lrg_r"])
        return {camera: _through(rng, camera, pixels, model, sigma) for camera in CAMERAS}

    def _values(self, rows: Structured) -> dict[str, Any]:
        """Columns of the catalogue and of coadds' maps of fibers."""
        seen = self.universe.seen(rows)
        nothing = seen["kind"] == NONE
        return {name.upper(): rows[name] for name in DESI_ROW.names or ()} | {
            "OBJTYPE": np.where(nothing, "SKY", "TGT"),
            "ZERR": rows["z_err"],
            # Every fiber gets the class that fits best, those on nothing too.
            "SPECTYPE": CLASS_NAMES[np.where(nothing, rows["object"] % 3, seen["kind"])],
            "SUBTYPE": redrock_subtype(seen),
            "ZCAT_PRIMARY": np.where(rows["primary"], "T", "F"),
        }


def _through(
    rng: Generator, camera: str, pixels: Pixels, model: Floats, sigma: Floats
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int32]]:
    """One camera's flux, ivar and mask."""
    wave = CAMERAS[camera]
    noise = np.interp(wave, pixels.wavelength, sigma)
    if camera == "R":  # dichroics send little light to its ends
        from_end = np.minimum(wave - wave[0], wave[-1] - wave)
        noise = noise * (1 + 10 * np.exp(-from_end / 25))
    factor = float(np.exp(rng.normal(0, 0.01)))
    flux = np.interp(wave, pixels.wavelength, model) + noise * rng.standard_normal(len(wave))
    bad = np.zeros(len(wave), bool)
    if rng.random() < 0.3:
        bad = runs(rng, len(wave), 0.004, 6)
    # The coadd has no weight where all exposures are masked.
    ivar = np.where(bad, 0.0, (factor * noise) ** -2)
    return rounded(np.where(bad, 0.0, factor * flux)), rounded(ivar), bad * np.int32(1 << BADPIX)
