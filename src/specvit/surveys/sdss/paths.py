"""Where SDSS keeps its catalogues and spectra below the Science Archive Server's root.

After the data models of the releases (data.sdss.org/datamodel) and the paths of sdss_access.
"""

from __future__ import annotations

import re

CATALOGUE_PATHS = {
    "dr17": "dr17/sdss/spectro/redux/specObj-dr17.fits",
    "dr19": "dr19/spectro/boss/redux/v6_1_3/spAll-lite-v6_1_3.fits.gz",
}
# Listed with run2d 26 in DR17's specObj, but stored under 104.
MOVED_PLATES = frozenset(
    {
        (2640, 54806),
        (2957, 54807),
        (2962, 54774),
        (3000, 54843),
        (3000, 54892),
        (3002, 54844),
        (3003, 54845),
        (3005, 54876),
    }
)
# Reductions of the SDSS spectrographs; the BOSS spectrographs' are called v5_13_2 and so on.
LEGACY_RUN2D = ("26", "103", "104")
_SDSS_FILE = re.compile(r"/spec-(?P<plate>\d+)-(?P<mjd>\d+)-\d+\.fits(\.gz)?$")
_LEGACY = re.compile(r"/redux/(26|103|104)/")
_RUN2D = re.compile(r"(?<=/redux/)(26|104)(?=/)")


def legacy_path(plate: int, mjd: int, fiber: int, run2d: str) -> str:
    """Path of a DR17 lite file below the SAS root."""
    if run2d == "26" and (plate, mjd) in MOVED_PLATES:
        run2d = "104"
    tree = "sdss" if run2d in LEGACY_RUN2D else "eboss"
    folder = f"dr17/{tree}/spectro/redux/{run2d}/spectra/lite/{plate:04d}"
    return f"{folder}/spec-{plate:04d}-{mjd}-{fiber:04d}.fits"


def sdss5_path(field: int, mjd: int, catalogid: int, run2d: str) -> str:
    """Path of a DR19 lite file below the SAS root."""
    folder = f"dr19/spectro/boss/redux/{run2d}/spectra/lite/{field:06d}/{mjd}"
    return f"{folder}/spec-{field:06d}-{mjd}-{catalogid}.fits"


def alternatives(path: str) -> list[str]:
    """Paths to try, in this order, where the server says that it has no `path`.

    The other reduction for the plates that the catalogue lists under the wrong one, then the
    full file in place of the lite one (same coadded spectrum, with the single exposures), which is
    in spectra/PLATE for the reductions 26, 103 and 104 and in spectra/full/PLATE for all later ones
    (as astroquery.sdss has it). All below the base URL, like `path`.
    """
    found = []
    match = _SDSS_FILE.search(path)
    if match and (int(match["plate"]), int(match["mjd"])) in MOVED_PLATES:
        found.append(_RUN2D.sub(lambda run2d: "104" if run2d[0] == "26" else "26", path))
    if "/spectra/lite/" in path:
        found += [_full(one) for one in [path, *found]]
    return [one for one in dict.fromkeys(found) if one != path]


def _full(path: str) -> str:
    folder = "/spectra/" if _LEGACY.search(path) else "/spectra/full/"
    return path.replace("/spectra/lite/", folder)
