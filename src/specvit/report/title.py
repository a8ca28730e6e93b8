"""The report's title where none is set: what was learned, from which spectra."""

from __future__ import annotations

import re

import pandas as pd

from specvit.config.models import Config
from specvit.report.names import TASK_NAMES

MANY = 4  # surveys from which on their releases are left out


def title_of(config: Config, catalog: pd.DataFrame) -> str:
    """`report.title`, or `Class and redshift of simulated SDSS DR17 spectra` from the catalogue."""
    if config.report.title is not None:
        return config.report.title
    tasks = listed([TASK_NAMES[task.name] for task in config.asked])
    simulated = catalog["simulated"]
    made = "simulated " if simulated.all() else "partly simulated " if simulated.any() else ""
    names = _surveys(catalog)
    of = f"{listed(names)} " if names else ""
    return f"{tasks[0].upper()}{tasks[1:]} of {made}{of}spectra"


def listed(words: list[str]) -> str:
    """Words in a sentence: `class, stellar type and redshift`."""
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def _surveys(catalog: pd.DataFrame) -> list[str]:
    """Surveys with their releases, the one with most spectra first."""
    names = catalog["survey"].str.upper()
    # Files of a folder may name no release, and those of a person's own no survey.
    releases = catalog["release"].fillna("").str.replace(re.compile(r"\bdr"), "DR", regex=True)
    full = (names + " " + releases).str.strip()
    counts = full.where(names != "FILES", "").value_counts()
    if len(counts) >= MANY:
        counts = names.value_counts()
    return [name for name in counts.index if name]
