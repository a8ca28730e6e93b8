"""Lists for bulk transfer: what to mirror, so that spectra can then be read from a folder.

What a survey offers beside single requests (rsync, Globus, tars of whole nights) it knows itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq

from specvit.config.models import Config
from specvit.errors import DataError
from specvit.io import UNREADABLE, VERIFIED, write_text
from specvit.registry import surveys
from specvit.surveys.survey import Listing, Shared


def write_list(config: Config, path: Path, form: str | None = None) -> str:
    """Write what the catalogue needs of one survey's archive; returns how to fetch it.

    `form` is one of the survey's transfer_forms (rsync, globus, urls); without it, the first form
    of the first survey of the run. No token is written. Raises DataError where the catalogue does
    not suit the format.
    """
    key, form = _survey(config, form)
    release, paths = _wanted(config, key)
    folder = config.surveys.active[key].folder
    target = "MIRROR" if folder is None else str(folder)
    lines, advice = surveys()[key].transfer(form, Listing(release, paths, path, target))
    write_text(path, "".join(f"{line}\n" for line in lines))
    return f"{len(lines)} lines in {path}. {advice}"


def _survey(config: Config, form: str | None) -> tuple[str, str]:
    """The one survey that the list is for, and its format."""
    offers = {key: survey.transfer_forms for key, survey in surveys().items()}
    active = [key for key in config.surveys.active if key in offers]
    if form is None:
        form = offers[active[0]][0] if active else "urls"
    keys = [key for key in active if form in offers[key]]
    if len(keys) != 1:
        having = [surveys()[key].title for key, forms in offers.items() if form in forms]
        raise DataError(
            f"--format {form} lists one survey, and surveys sets "
            f"{', '.join(config.surveys.active)}: "
            + ("switch one off for the list" if keys else f"{form} is for {' or '.join(having)}")
        )
    return keys[0], form


def _wanted(config: Config, key: str) -> tuple[str, list[str]]:
    """Release and paths, sorted, each once, of a survey."""
    try:
        table = pq.read_table(
            config.paths.catalog, columns=["release", "path", "source"], **VERIFIED
        )
    except FileNotFoundError as error:
        raise DataError(f"{config.paths.catalog} does not exist: run `specvit catalog`") from error
    except UNREADABLE as error:
        raise DataError(f"{config.paths.catalog} is not a catalogue: {error}") from error
    rows = table.filter(pc.equal(table["source"], key))
    releases = rows["release"].unique().to_pylist()
    if len(releases) != 1:
        raise DataError(f"the catalogue has no spectra of one release of {key}: {releases}")
    sharing = surveys()[key].shared(config.surveys.active[key])
    return releases[0], sorted(_listed(rows["path"].to_pylist(), sharing))


def _listed(paths: Iterable[str], sharing: Callable[[str], Shared | None] | None) -> set[str]:
    """The rows' own files; what they share in place of them, where a single row is worth it."""
    if sharing is None:
        return set(paths)
    pairs = ((path, sharing(path)) for path in paths)
    return {file.path if file and file.worth == 1 else path for path, file in pairs}
