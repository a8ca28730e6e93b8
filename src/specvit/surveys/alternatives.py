"""Where else a spectrum may be when the server says that it is not where the catalogue says."""

from __future__ import annotations

import re

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
_SDSS_FILE = re.compile(r"/spec-(?P<plate>\d+)-(?P<mjd>\d+)-\d+\.fits(\.gz)?$")
_LEGACY = re.compile(r"/redux/(26|103|104)/")
_RUN2D = re.compile(r"(?<=/redux/)(26|104)(?=/)")


def alternatives(survey: str, release: str, path: str) -> list[str]:
    """Paths to try, in this order, where the survey answers that it has no `path`.

    SDSS: the other reduction for the plates that the catalogue lists under the wrong one, then the
    full file in place of the lite one (same coadded spectrum, with the single exposures), which is
    in spectra/PLATE for the reductions 26, 103 and 104 and in spectra/full/PLATE for all later ones
    (as astroquery.sdss has it). All below the base URL, like `path`. `release` is part of the path
    already and kept for surveys whose layout changes.
    """
    if survey != "sdss":
        return []
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
