"""DESI coadds made with astropy, so that what reads and cuts them is not tested by itself."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.table import Table

FOLDER = "public/dr1/spectro/redux/iron/healpix"
# Short cameras with DESI's pixels and both overlaps.
CAMERAS = {"B": (3600.0, 60), "R": (3640.0, 60), "Z": (3680.0, 80)}


def path_of(healpix: int, survey: str = "main", program: str = "dark") -> str:
    folder = f"{FOLDER}/{survey}/{program}/{healpix // 100}/{healpix}"
    return f"{folder}/coadd-{survey}-{program}-{healpix}.fits"


def arrays_of(target: int) -> dict[str, dict[str, np.ndarray]]:
    """Wavelength, flux, ivar and mask of each camera, which differ from target to target."""
    rng = np.random.default_rng(target)
    found = {}
    for camera, (start, count) in CAMERAS.items():
        ivar = rng.uniform(0.5, 2, count).astype(np.float32)
        ivar[rng.integers(0, count, 3)] = 0
        mask = np.zeros(count, np.uint32)
        mask[rng.integers(0, count, 3)] = 2**31 + 1
        flux = rng.normal(5, 1, count).astype(np.float32)
        wavelength = start + 0.8 * np.arange(count)
        found[camera] = {"WAVELENGTH": wavelength, "FLUX": flux, "IVAR": ivar, "MASK": mask}
    return found


def coadd_file(
    targets: Sequence[int], *, compressed: bool = False, over: dict[str, Any] | None = None
) -> bytes:
    """A coadd of these targets with a resolution matrix; `over` replaces images by name."""
    table = Table({"TARGETID": np.array(targets, np.int64)})
    table["TARGET_RA"], table["TARGET_DEC"] = 150.0 + np.arange(len(targets)), 2.0
    table["OBJTYPE"] = "TGT"
    hdus = [fits.PrimaryHDU(), fits.BinTableHDU(table, name="FIBERMAP")]
    hdus[0].header["SURVEY"] = "main"
    spectra = [arrays_of(target) for target in targets]
    for camera in CAMERAS:
        wavelength = spectra[0][camera]["WAVELENGTH"]
        images = {f"{camera}_WAVELENGTH": wavelength}
        for part in ("FLUX", "IVAR", "MASK"):
            images[f"{camera}_{part}"] = np.stack([one[camera][part] for one in spectra])
        shape = (len(targets), 11, len(wavelength))
        images[f"{camera}_RESOLUTION"] = np.ones(shape, np.float32)
        for name, image in images.items():
            image = (over or {}).get(name, image)
            kind = fits.CompImageHDU if compressed and name.endswith("MASK") else fits.ImageHDU
            if image is not None:
                hdus.append(kind(image, name=name))
    buffer = io.BytesIO()
    fits.HDUList(hdus).writeto(buffer)
    return buffer.getvalue()
