"""What every section of the configuration has in common, and what may be said of its keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field
from pydantic.fields import FieldInfo

from specvit.errors import ConfigError

T = TypeVar("T")


class Section(BaseModel):
    """Strict and frozen: an unknown key or a wrong type is an error, nothing is changed later."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True
    )

    if not TYPE_CHECKING:  # or mypy would take every name for a key

        def __getattr__(self, name: str) -> Any:
            """Refuse a key that the view of one stage leaves out (`load_stage`)."""
            if name in type(self).model_fields:
                raise ConfigError(
                    f"this stage reads the key {name!r} of {type(self).__name__}, which STAGE_KEYS "
                    "does not list for it"
                )
            return super().__getattr__(name)


class _HowOnly:
    """The mark of a key that is HowOnly."""


_HOW_ONLY = _HowOnly()
HowOnly = Annotated[T, _HOW_ONLY]
"""The type of a key that changes how a result is reached (speed, patience, place), never the
result: no job runs again for it, and any stage may read it."""


def is_how_only(field: FieldInfo) -> bool:
    """Whether a key is marked HowOnly."""
    return _HOW_ONLY in field.metadata


# The type of a key whose null means "by the recipe": Config.settled() fills it in.
if TYPE_CHECKING:
    ByRecipe = Annotated[T, None]
else:
    ByRecipe = T | None


def by_recipe(**limits: Any) -> Any:
    """The default of a ByRecipe key, and the limits of a value that is given."""
    return Field(None, **limits)
