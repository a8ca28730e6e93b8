"""Lists for bulk transfer: what to mirror, so that spectra can then be read from a folder.

What the surveys offer beside single requests: SDSS, rsync (its modules are the releases) and
Globus; LAMOST, one tar.gz a night at /{release}/{version}/tar/lrs-fits/.
"""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from specvit.config.models import Config
from specvit.config.surveys import LamostSurvey, SdssSurvey
from specvit.download.sources import folder_of
from specvit.errors import DataError
from specvit.io import write_text

SDSS_RSYNC = "rsync://dtn.sdss.org"
_NIGHT = re.compile(r"(\d{8})/")


def write_list(config: Config, path: Path, form: str | None = None) -> str:
    """Write what the catalogue needs of one survey's archive; returns how to fetch it.

    rsync: SDSS paths below the release, for --files-from. globus: pairs of equal paths below the
    archive's root, for `globus transfer --batch`. urls: addresses, for wget -i or aria2c -i; of
    LAMOST's nightly tars where `surveys.lamost.layout` is nightly, else of single files. Without
    `form`: rsync where SDSS is on, else urls. No token is written. Raises DataError where the
    catalogue does not suit the format.
    """
    form = form or ("rsync" if "sdss" in config.surveys.active else "urls")
    survey, release, paths = _wanted(config, form)
    if form == "rsync":
        lines, advice = _rsync(paths, path, _target(config, survey))
    elif form == "globus":
        lines, advice = _globus(paths, path)
    else:
        lines, advice = _urls(survey, release, paths, path)
    write_text(path, "".join(f"{line}\n" for line in lines))
    return f"{len(lines)} lines in {path}. {advice}"


def _wanted(config: Config, form: str) -> tuple[str, str, list[str]]:
    """Survey, release and paths, sorted, of the one survey that the list is for."""
    try:
        table = pq.read_table(config.paths.catalog, columns=["survey", "release", "path", "source"])
    except FileNotFoundError as error:
        raise DataError(f"{config.paths.catalog} does not exist: run `specvit catalog`") from error
    except pa.ArrowInvalid as error:
        raise DataError(f"{config.paths.catalog} is not a catalogue: {error}") from error
    active = config.surveys.active
    keys = [key for key in ("sdss", "lamost") if key in active]
    if form != "urls":
        keys = [key for key in keys if key == "sdss"]
    if len(keys) != 1:
        raise DataError(
            f"--format {form} lists one survey, and surveys sets {', '.join(active)}: "
            + ("switch one off for the list" if keys else "rsync and Globus are SDSS's")
        )
    rows = table.filter(pc.equal(table["source"], keys[0]))
    releases = rows["release"].unique().to_pylist()
    if len(releases) != 1:
        raise DataError(f"the catalogue has no spectra of one release of {keys[0]}: {releases}")
    return keys[0], releases[0], sorted(rows["path"].to_pylist())


def _target(config: Config, survey: str) -> str:
    base_url = config.surveys.active[survey].base_url
    return str(folder_of(base_url)) if base_url.startswith("file:") else "MIRROR"


def _rsync(paths: list[str], listed: Path, target: str) -> tuple[list[str], str]:
    release = paths[0].split("/", 1)[0]
    lines = [path.removeprefix(f"{release}/") for path in paths]
    command = f"rsync -aL --files-from={listed} {SDSS_RSYNC}/{release} {target}/{release}"
    return lines, f"Fetch with: {command}; then set base_url: file://{target}/"


def _globus(paths: list[str], listed: Path) -> tuple[list[str], str]:
    return [f"{path} {path}" for path in paths], (
        f"Fetch with: globus transfer SDSS_COLLECTION:/ MY_COLLECTION:/MIRROR/ --batch {listed}, "
        "where the first path is the one that shows dr17; then set base_url: file:///MIRROR/"
    )


def _urls(survey: str, release: str, paths: list[str], listed: Path) -> tuple[list[str], str]:
    model = SdssSurvey if survey == "sdss" else LamostSurvey
    server = str(model.model_fields["base_url"].default)
    nights = {match[1] for path in paths if (match := _NIGHT.match(path))}
    if survey == "lamost" and nights:
        folder = f"{server}{release.replace(' ', '/')}/tar/lrs-fits/"
        return [f"{folder}{night}.tar.gz" for night in sorted(nights)], (
            f"Fetch with: wget -c -i {listed}; unpack with: tar -xzf, in the folder of base_url"
        )
    return [server + path for path in paths], (
        f"Fetch with: wget -c -x -nH -i {listed}; then set base_url to that folder"
    )
