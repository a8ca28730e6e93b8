"""Surveys by name: specvit's own, and those that other packages bring.

Another package registers one under the entry-point group `specvit.surveys`:

    [project.entry-points."specvit.surveys"]
    sky = "my_package.sky:SURVEY"
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from specvit.errors import ConfigError, DataError

if TYPE_CHECKING:  # the registry is below what it finds
    from specvit.surveys.survey import Collection, Survey

GROUP = "specvit.surveys"
# Modules of specvit.surveys, each with a SURVEY. Their order is that in which objects seen by
# several surveys are named: a survey added to a run then leaves the objects, and so the splits, of
# those before it in this list as they were.
BUILT_IN = ("sdss", "lamost", "desi", "files")


def brought(group: str, kind: str, taken: Iterable[str]) -> dict[str, Any]:
    """What other packages register under an entry-point group, by name.

    Raises ConfigError, with the kind of thing it is, for one that cannot be loaded, does not bear
    its entry's name or has a name that is taken.
    """
    names = set(taken)
    found: dict[str, Any] = {}
    for entry in sorted(entry_points(group=group), key=lambda entry: entry.name):
        whose = f"{kind} {entry.name!r} of the package {entry.dist.name if entry.dist else '?'}"
        if entry.name in names | set(found):
            raise ConfigError(f"{whose}: there is another {kind} of this name; uninstall one")
        try:
            found[entry.name] = entry.load()
        except Exception as error:  # whatever a foreign module raises
            raise ConfigError(
                f"{whose} cannot be loaded: {type(error).__name__}: {error}"
            ) from error
        name = getattr(found[entry.name], "name", None)
        if name != entry.name:
            raise ConfigError(f"{whose} calls itself {name!r}")
    return found


@cache
def collections() -> Mapping[str, Collection[Any]]:
    """All that may stand under `surveys:`, by key; ConfigError where one cannot be loaded."""
    found = {name: import_module(f"specvit.surveys.{name}").SURVEY for name in BUILT_IN}
    return MappingProxyType(found | brought(GROUP, "survey", found))


@cache
def surveys() -> Mapping[str, Survey[Any]]:
    """Surveys with files of their own, by the name that catalogues have in the column survey."""
    from specvit.surveys.survey import Survey

    return MappingProxyType(
        {name: one for name, one in collections().items() if isinstance(one, Survey)}
    )


def survey_named(name: str) -> Survey[Any]:
    """The survey of this name. Raises DataError where no package here brings it."""
    try:
        return surveys()[name]
    except KeyError:
        raise DataError(
            f"no survey here is called {name!r} (there are {', '.join(surveys())}): install the "
            "package that brings it"
        ) from None
