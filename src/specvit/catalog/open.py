"""From the settings of a survey to its catalogue: the file is fetched once and kept."""

from __future__ import annotations

from pathlib import Path

from specvit.config import Config
from specvit.config.select import SurveySettings
from specvit.config.surveys import Simulated
from specvit.download import fetch_file, survey_token
from specvit.io import stable_hash
from specvit.registry import collections
from specvit.surveys.catalogue import SurveyCatalogue


def open_catalogue(config: Config, key: str) -> SurveyCatalogue:
    """Open the catalogue of the survey under this key, fetching its file where need be.

    Raises DownloadError where it cannot be fetched, DataError where it is not what it should be.
    """
    survey = config.surveys.active[key]
    return collections()[key].catalogue(survey, lambda path: _file(config, key, survey, path))


def _file(config: Config, key: str, survey: SurveySettings, path: str) -> Path:
    name = path.rsplit("name=", 1)[-1].rsplit("/", 1)[-1]
    if survey.folder is not None:
        # A mirror may hold what the server makes up for its address under the file's own name.
        beside = path.rsplit("/", 1)[0]
        for one in (path, f"{beside}/{name}", name):
            for candidate in (survey.folder / one, survey.folder / one.removesuffix(".gz")):
                if candidate.is_file():
                    return candidate
    folder = Path(config.download.cache_dir) / key / _edition(survey, config.simulated)
    return fetch_file(
        survey.base_url,
        path,
        folder / name,
        config.download,
        config.simulated,
        survey_token(key),
    )


def _edition(survey: SurveySettings, simulated: Simulated) -> str:
    """Folder of the cache, so that files of different content never share a name."""
    if survey.base_url == "simulated:":
        return f"simulated-{stable_hash(simulated.model_dump())}"
    usual = type(survey).model_fields["base_url"].default
    # Another server may have another table of the same name.
    mirror = "" if survey.base_url == usual else f"-{stable_hash(survey.base_url)}"
    return survey.edition + mirror
