"""What the rest of specvit asks of a survey; each has its answers in one package of this folder.

A survey of another package is the same class, found by its entry point (specvit.registry). Modules
with a `SURVEY` are imported with every configuration, so they import what reads files and tables
where it is needed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Generic, Literal, Protocol, TypeVar

from specvit.config.select import SurveySettings
from specvit.errors import DataError

if TYPE_CHECKING:
    from specvit.spectrum.fits import FitsSource
    from specvit.spectrum.types import Header, Spectrum
    from specvit.surveys.catalogue import SurveyCatalogue

S = TypeVar("S", bound=SurveySettings)
Fetch = Callable[[str], Path]
"""From a path below the base URL to the file on this machine, fetched where need be."""


class Located(Protocol):
    """A row of the catalogue, as far as it says which file its spectrum is in."""

    @property
    def release(self) -> str | None:
        """The survey's release."""

    @property
    def path(self) -> str:
        """Path below the survey's base URL."""

    @property
    def identity(self) -> str | None:
        """What the file says of itself: spectrum.Header.identity."""


@dataclass(frozen=True)
class Shared:
    """A file that many rows have their spectra in."""

    path: str
    """Below the base URL."""
    worth: int = 1
    """It is fetched where so many of its rows are wanted, else each row's own file."""


@dataclass(frozen=True)
class Listing:
    """What a list for bulk transfer is made of."""

    release: str
    paths: list[str]
    """Below the base URL, sorted."""
    listed: Path
    """The file that the list will be in."""
    target: str
    """The folder to mirror into."""


class Reader(Protocol):
    """What reads a survey's files. A file may hold many spectra, told apart by their row."""

    def recognise(self, source: FitsSource) -> str | None:
        """Name of the layout, by structure, where the file is this survey's, else None.

        Raises SpectrumError, whose text says what it is, for a file of this survey that holds no
        spectrum to be read.
        """

    def read(self, source: FitsSource, layout: str, row: int) -> Spectrum:
        """Read one spectrum. Raises SpectrumError where it cannot be used."""

    def header(self, source: FitsSource, layout: str, row: int) -> Header:
        """Read what the file says of one spectrum. Raises SpectrumError where it names none."""

    def identity(self, source: FitsSource, layout: str, row: int) -> str:
        """Read the identity alone: a look at every download must be cheap."""


class Many(Protocol):
    """An open file that holds many spectra."""

    @property
    def identities(self) -> Sequence[str]:
        """Header.identity of each row; empty text where the file names none."""

    def cut(self, row: int) -> bytes:
        """One row as a file of its own, the same bytes every time.

        Raises SpectrumError where it cannot be read.
        """


class Collection(ABC, Generic[S]):
    """Spectra with a catalogue: a survey, or a folder of files of several surveys."""

    name: ClassVar[str]
    """Key under `surveys:`."""
    title: ClassVar[str]
    """What people call it."""
    settings: type[S]
    """Model of the section under that key."""
    token_variable: ClassVar[str | None] = None
    """Environment variable with the access token of its server (sent as `?token=`)."""

    @abstractmethod
    def catalogue(self, settings: S, fetch: Fetch) -> SurveyCatalogue:
        """Open the catalogue; DataError where it is not what it should be."""


class Survey(Collection[S]):
    """A survey with files of its own."""

    transfer_forms: ClassVar[tuple[str, ...]] = ("urls",)
    """What `specvit download --write-list` can write for it, the best first."""
    terms: ClassVar[str | None] = None
    """Page with the terms of its data, for whoever publishes them."""

    @property
    @abstractmethod
    def reader(self) -> Reader:
        """What reads its files: a module with these functions does."""

    def is_same(self, wanted: str, found: str) -> bool:
        """Whether a file that calls itself `found` is the one asked for."""
        return wanted == found

    def locations(self, row: Located) -> list[str]:
        """Paths below the base URL in the order to try: the row's, then documented alternatives."""
        return [row.path]

    def shared(self, settings: S) -> Callable[[str], Shared | None] | None:
        """From a row's path to the file that it shares with other rows; None where none does.

        Rows of a split that are worth their file are dealt to one shard, whose job fetches the file
        once, and keeps what `open_shared` cuts out of it.
        """
        return None

    def is_enough(self, part: Path) -> bool:
        """Whether a shared file has arrived as far as `open_shared` reads it."""
        return False

    def open_shared(self, path: Path) -> AbstractContextManager[Many] | None:
        """Open a file of many spectra; None, after a quick look, where it is none of this survey's.

        Raises SpectrumError, here or on entering, where it is one but cannot be read.
        """
        return None

    def in_mirror(self, row: Located) -> list[str]:
        """Further paths that a mirror's folder may have it under."""
        return []

    def means(self, message: str) -> Literal["missing", "refused", "corrupt"]:
        """What it means that the server answers with JSON and status 200 in place of a file."""
        return "corrupt"

    def page(self, release: str, identity: str) -> str | None:
        """The survey's web page of a spectrum; None where there is none."""
        return None

    def transfer(self, form: str, listing: Listing) -> tuple[list[str], str]:
        """Lines of a list for bulk transfer in one of its forms, and how to use it."""
        return self.urls(listing.paths, listing)

    def urls(self, paths: Sequence[str], listing: Listing) -> tuple[list[str], str]:
        """Addresses of single files on the survey's own server."""
        server = self.settings.model_fields["base_url"].default
        if not isinstance(server, str):
            raise DataError(f"{self.title} has no server that everybody can ask: mirror it by hand")
        return [server + path for path in paths], (
            f"Fetch with: wget -c -x -nH -i {listing.listed}; then set base_url to that folder"
        )
