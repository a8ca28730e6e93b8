"""A survey as another package would bring it: its own tables, files, paths, pages, answers.

Its files hold two spectra each (rows 0 and 1 of the file), its catalogue is a text table.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from specvit.config.select import SurveySettings
from specvit.surveys.survey import Fetch, Located, Reader, Survey

CATALOGUE, LOGLAM = "v1/all.txt", 3.56 + 2e-4 * np.arange(2000)
CLASSES = ("STAR", "GALAXY", "QSO")


def class_of(number: int) -> str:
    return CLASSES[number % 3]


def file_of(number: int) -> bytes:
    """Two spectra, of which the second is called NUMBER-b."""
    from astropy.io import fits

    rng = np.random.default_rng(number)
    flux = 5 + rng.normal(size=(2, len(LOGLAM))) + np.array([[0], [3]])
    hdu = fits.PrimaryHDU(np.concatenate([flux, np.ones_like(flux)]).astype(np.float32))
    hdu.header["TOYID"] = number
    buffer = io.BytesIO()
    hdu.writeto(buffer)
    return buffer.getvalue()


def catalogue_of(count: int) -> bytes:
    lines = [f"{n} {class_of(n)} {n / 100} {n % 360} 10" for n in range(count)]
    return "\n".join(lines).encode()


class ToySettings(SurveySettings):
    """The toy survey."""

    base_url: str = "https://toy.example/"
    """Root of its server."""
    version: Literal["v1"] = "v1"
    """Version of its catalogue."""


class ToyReader:
    def recognise(self, source: Any) -> str | None:
        return "toy_image" if source.get(0, "TOYID") is not None else None

    def identity(self, source: Any, layout: str, row: int) -> str:
        return f"{source.get(0, 'TOYID')}{'b' * row}"

    def header(self, source: Any, layout: str, row: int) -> Any:
        from specvit.spectrum import Header

        nothing = dict.fromkeys(("subclass", "z_err", "zwarning", "snr", "ra", "dec"))
        number = int(source.get(0, "TOYID"))
        values = {"class_": class_of(number), "z": number / 100, "object_name": None}
        return Header(
            survey="toy",
            layout=layout,
            identity=self.identity(source, layout, row),
            release="v1",
            **values,
            **nothing,
        )

    def read(self, source: Any, layout: str, row: int) -> Any:
        from specvit.spectrum.values import build

        image = source.image(0)
        header = self.header(source, layout, row)
        return build(header, LOGLAM, image[row], image[2 + row], masked=None)


class Toy(Survey[ToySettings]):
    name, title, settings = "toy", "Toy survey", ToySettings
    token_variable = "TOY_TOKEN"

    @property
    def reader(self) -> Reader:
        return ToyReader()

    def catalogue(self, settings: ToySettings, fetch: Fetch) -> Any:
        return _catalogue(fetch(CATALOGUE))

    def locations(self, row: Located) -> list[str]:
        return [row.path, row.path.replace("/spectra/", "/moved/")]

    def means(self, message: str) -> Literal["missing", "refused", "corrupt"]:
        return "missing" if "gone" in message else "corrupt"

    def page(self, release: str, identity: str) -> str | None:
        return f"https://toy.example/{release}/{identity}.html"


def _catalogue(path: Path) -> Any:
    from specvit.surveys.catalogue import SurveyCatalogue, find_by, labelled

    class ToyCatalogue(SurveyCatalogue):
        kept = ("number",)

        def pieces(self) -> Iterator[dict[str, Any]]:
            cells = np.array([line.split() for line in path.read_text().splitlines()], "S9")
            number = cells[:, 0].astype(np.int64)
            z, ra, dec = (cells[:, column].astype(float) for column in (2, 3, 4))
            columns = {"number": number, "z": z, "ra": ra, "dec": dec}
            columns |= {name: np.full(len(z), 9.0) for name in ("snr", "z_err")}
            yield labelled(columns, cells[:, 1], np.full(len(z), b"", "S1"))

        def own_cuts(self) -> list[Any]:
            return []

        def find(self, columns: Any, wanted: frozenset[str]) -> Any:
            return find_by({name: name for name in wanted}, columns["number"].astype(str))

        def sort_keys(self, columns: Any) -> tuple[Any, ...]:
            return (columns["number"],)

        def group_keys(self, columns: Any) -> list[Any]:
            return [columns["number"] + 1]

        def spectrum_ids(self, columns: Any) -> list[str]:
            return [f"toy-{number:04d}" for number in columns["number"].tolist()]

        def describe(self, columns: Any) -> Mapping[str, Any]:
            numbers = columns["number"].tolist()
            return {
                "survey": "toy",
                "release": "v1",
                "path": [f"v1/spectra/{number}.fits" for number in numbers],
                "identity": [str(number) for number in numbers],
            }

    return ToyCatalogue()


SURVEY = Toy()
