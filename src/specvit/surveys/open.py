"""From the settings of a survey to its catalogue: the file is fetched once and kept."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from specvit.config import Config
from specvit.config.surveys import FilesSurvey, LamostSurvey, SdssSurvey, Simulated
from specvit.download import fetch_file, survey_token
from specvit.io import stable_hash
from specvit.surveys.base import SurveyCatalogue
from specvit.surveys.files import FilesCatalogue
from specvit.surveys.lamost import LamostCatalogue, catalogue_path
from specvit.surveys.sdss import CATALOGUE_PATHS, SpAllLite, SpecObj


def open_catalogue(config: Config, key: str) -> SurveyCatalogue:
    """Open the catalogue of the survey under this key, fetching its file where need be.

    Raises DownloadError where it cannot be fetched, DataError where it is not what it should be.
    """
    survey = config.surveys.active[key]
    if isinstance(survey, FilesSurvey):
        return FilesCatalogue(local_folder(survey.base_url), survey)
    if isinstance(survey, SdssSurvey):
        path = _file(config, key, survey, CATALOGUE_PATHS[survey.release])
        return SpecObj(path, survey) if survey.release == "dr17" else SpAllLite(path, survey)
    general = _file(config, key, survey, catalogue_path(survey, "catalogue"))
    stellar = None
    if survey.needs_stellar_catalogue:
        stellar = _file(config, key, survey, catalogue_path(survey, "stellar"))
    return LamostCatalogue(general, survey, stellar)


def local_folder(base_url: str) -> Path:
    """The folder that a file: URL names."""
    return Path(unquote(urlsplit(base_url).path))


def _file(config: Config, key: str, survey: SdssSurvey | LamostSurvey, path: str) -> Path:
    name = path.rsplit("name=", 1)[-1].rsplit("/", 1)[-1]
    if survey.base_url.startswith("file:"):
        # A mirror may hold what the server makes up for its address under the file's own name.
        root = local_folder(survey.base_url)
        beside = path.rsplit("/", 1)[0]
        for one in (path, f"{beside}/{name}", name):
            for candidate in (root / one, root / one.removesuffix(".gz")):
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


def _edition(survey: SdssSurvey | LamostSurvey, simulated: Simulated) -> str:
    """Folder of the cache, so that files of different content never share a name."""
    if survey.base_url == "simulated:":
        return f"simulated-{stable_hash(simulated.model_dump())}"
    version = f"-{survey.version}" if isinstance(survey, LamostSurvey) else ""
    return survey.release + version
