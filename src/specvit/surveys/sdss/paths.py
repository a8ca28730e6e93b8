"""What differs between SDSS's releases: paths below the Science Archive Server's root, and columns.

After the data models of the releases (data.sdss.org/datamodel: specObj, spAll, spAll-lite,
specLite, astraAllStarBossNet) and the paths of sdss_access.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_FIBER = ("PLUG_RA", "PLUG_DEC")
_TARGET = ("RACAT", "DECCAT")


@dataclass(frozen=True)
class Release:
    """Facts about one release, those of SDSS-V where nothing else is said."""

    catalogue: str
    """Path of the catalogue."""
    spectrum: str
    """Path of a lite file, a format of the numbers of `naming` and of run2d."""
    stars: str | None = None
    """Path of BossNet's table of stars."""
    naming: tuple[str, str, str] = ("FIELD", "MJD", "CATALOGID")
    """Columns that name a spectrum."""
    spectrum_id: str = "sdss-{0:06d}-{1}-{2:017d}"
    """Format of these, padded so that text sorts as numbers do."""
    objects: tuple[str, ...] = ("SDSS_ID", "CATALOGID")
    """Columns with a number that repeat spectra of one object share."""
    positions: tuple[tuple[str, str], ...] = (_TARGET, _FIBER)
    """The target's before the fiber's, which SDSS-V may offset from it by design."""

    @property
    def has_fields(self) -> bool:
        """Whether it is of SDSS-V, whose spectra are named by field and target, not by plate."""
        return self.naming[0] == "FIELD"

    def path(self, first: int, mjd: int, third: int, run2d: str) -> str:
        """Path of the lite file of plate, MJD and fiber, or of field, MJD and catalogid."""
        if run2d == "26" and (first, mjd) in MOVED_PLATES:
            run2d = "104"
        tree = "sdss" if run2d in LEGACY_RUN2D else "eboss"
        numbers = (first, mjd, third)
        return self.spectrum.format(*numbers, run2d=run2d, tree=tree, group=first // 1000)


_DR20 = "dr20/spectro/boss/redux/{run2d}/spectra/%s/lite/{group:03d}XXX/{0:06d}/{1}/"
_FILE = "spec-{0:06d}-{1}-{2}.fits"
_DR20_STARS = "dr20/spectro/astra/0.8.1/summary/astraAllStarBossNet-0.8.1.fits.gz"
RELEASES = {
    "dr17": Release(
        "dr17/sdss/spectro/redux/specObj-dr17.fits",
        "dr17/{tree}/spectro/redux/{run2d}/spectra/lite/{0:04d}/spec-{0:04d}-{1}-{2:04d}.fits",
        naming=("PLATE", "MJD", "FIBERID"),
        spectrum_id="sdss-{0:05d}-{1}-{2:04d}",
        objects=("BESTOBJID",),
        positions=(_FIBER,),
    ),
    "dr18": Release(
        "dr18/spectro/boss/redux/v6_0_4/spAll-v6_0_4.fits",
        "dr18/spectro/boss/redux/{run2d}/spectra/lite/{0:05d}p/{1}/spec-{0:05d}-{1}-{2:011d}.fits",
        objects=("CATALOGID",),
        positions=(_FIBER,),
    ),
    "dr19": Release(
        "dr19/spectro/boss/redux/v6_1_3/spAll-lite-v6_1_3.fits.gz",
        "dr19/spectro/boss/redux/{run2d}/spectra/lite/{0:06d}/{1}/" + _FILE,
        "dr19/spectro/astra/0.6.0/summary/astraAllStarBossNet-0.6.0.fits.gz",
    ),
    "dr20": Release(
        "dr20/spectro/boss/redux/v6_2_1/summary/daily/spAll-lite-v6_2_1.fits.gz",
        _DR20 % "daily" + _FILE,
        _DR20_STARS,
    ),
    # All exposures of an epoch together, where `dr20` has those of a night.
    "dr20-epoch": Release(
        "dr20/spectro/boss/redux/v6_2_1/summary/epoch/spAll-lite-v6_2_1-epoch.fits.gz",
        _DR20 % "epoch" + _FILE,
        _DR20_STARS,
    ),
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
_LITE = re.compile(
    r"(?P<redux>dr17/(sdss|eboss)/spectro/redux/[^/]+)/spectra/lite/(?P<folder>\d+)/"
    r"spec-(?P<plate>\d+-\d+)-\d+\.fits"
)
_RUN2D = re.compile(r"(?<=/redux/)(26|104)(?=/)")


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
    if "/lite/" in path:
        found += [_full(one) for one in [path, *found]]
    return [one for one in dict.fromkeys(found) if one != path]


def plate_of(path: str) -> tuple[str, int] | None:
    """Path of the plate's file with the spectrum of a lite file, and the number of its fibers.

    None for a release without plates.
    """
    match = _LITE.fullmatch(path)
    if match is None:
        return None
    fibers = 640 if _LEGACY.search(path) else 1000
    return f"{match['redux']}/{match['folder']}/spPlate-{match['plate']}.fits", fibers


def _full(path: str) -> str:
    return path.replace("/lite/", "/" if _LEGACY.search(path) else "/full/")
