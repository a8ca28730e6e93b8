"""The card of published data: where they come from, what the columns are, how they were split."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files

import jinja2

from specvit import __version__
from specvit.config import Config
from specvit.paths import SPLITS
from specvit.registry import collections
from specvit.share.card import OWN_LICENCE
from specvit.share.published import DATA, HATS, NAMES, Published
from specvit.share.published_rows import CATALOGUE, PLACE, Rows
from specvit.spectrum import bin_centres
from specvit.tasks import Task

MEANINGS = {
    "spectrum_id": "name of the spectrum, once in the data",
    "survey": "the survey whose file it is",
    "release": "of the survey",
    "object_id": "repeat spectra of one object share it",
    "path": "of the survey's file, below its server's address",
    "identity": "what the file says of itself (plate-MJD-fibre, obsid, target)",
    "class": "the survey's class; null where it gives none",
    "subclass": "the survey's subclass",
    "stellar_type": "letter of the spectral type of stars",
    "z": "the survey's redshift",
    "z_err": "its error, as the survey gives it",
    "snr": "signal-to-noise ratio, as the survey gives it",
    "ra": "right ascension, degrees (ICRS)",
    "dec": "declination, degrees (ICRS)",
    "teff": "effective temperature of stars, K",
    "logg": "surface gravity of stars, log10(cm/s2)",
    "feh": "metallicity of stars, [Fe/H]",
    "simulated": "whether the spectrum is simulated",
    "split": "train, val or test, as the run calls them",
}
"""Of the catalogue's columns."""


def dataset_card(config: Config, rows: Rows, published: Published) -> str:
    """The card of what was published of a run, as Markdown with a YAML header."""
    template = files("specvit.share").joinpath("dataset_card.md").read_text(encoding="utf-8")
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True)
    loglam = bin_centres(config.grid, config.grid.pixels)
    return environment.from_string(template).render(
        version=__version__,
        run=config.run,
        licence=OWN_LICENCE if published.simulated == published.total else "other",
        splits=[NAMES[split] for split in SPLITS],
        data=DATA,
        hats=HATS,
        published=published,
        surveys=list(_surveys(published)),
        split=config.split,
        pixels=config.grid.pixels,
        first=f"{loglam[0]:.10g}",
        step=f"{(loglam[-1] - loglam[0]) / (len(loglam) - 1):.10g}",
        columns=[(name, MEANINGS[name]) for name in CATALOGUE.names],
        models=rows.models,
        meaning=_meaning,
        place=PLACE,
    )


def _surveys(published: Published) -> Iterator[tuple[str, str, str, str, int]]:
    """Title, release, public server, page with its terms, number of spectra of each survey."""
    known = collections()
    for (survey, release, is_simulated), number in sorted(published.surveys.items(), key=str):
        server = known[survey].settings.model_fields["base_url"].default
        named = server if isinstance(server, str) and not is_simulated else "none"
        title = f"{known[survey].title}{' (simulated)' if is_simulated else ''}"
        terms = OWN_LICENCE.upper() if is_simulated else getattr(known[survey], "terms", None)
        yield title, release or "not named", named, terms or "see the survey's own", number


def _meaning(task: Task) -> str:
    if task.kind == "classification":
        labels = ", ".join(task.labels)
        return f"`_pred` and the probability of each label (`_prob_` and {labels})"
    return "`_pred` and the ends of its 68 % interval (`_lo`, `_hi`)"
