"""A survey made of arrays, and catalogues of simulated surveys in a temporary folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from specvit.config import Config, validate
from specvit.config.select import Select
from specvit.spectrum.fits_table import Columns
from specvit.surveys.catalogue import Cut, Found, SurveyCatalogue, codes_of, find_by, stellar_codes
from specvit.tasks import CLASSES


class ArraySurvey(SurveyCatalogue):
    """Rows given as columns; `number` names a spectrum, `object` groups (0: none)."""

    kept = ("number", "object")

    def __init__(self, piece: int = 7, **columns: Any) -> None:
        rows = len(columns["number"])
        text = np.array(columns.pop("text", [b"STAR"] * rows), dtype="S8")
        subclass = np.array(columns.pop("subclass", [b""] * rows), dtype="S8")
        defaults = {"z": 0.1, "z_err": 1e-4, "snr": 10.0, "ra": 10.0, "dec": 20.0, "object": 0}
        self.columns: Columns = {
            name: np.asarray(columns.get(name, [value] * rows)) for name, value in defaults.items()
        }
        self.columns["number"] = np.asarray(columns["number"], np.int64)
        self.columns["class"] = codes_of(text, CLASSES)
        self.columns["subclass"] = subclass
        self.columns["stellar_type"] = stellar_codes(subclass, text == b"STAR")
        self.piece = piece

    def pieces(self) -> Iterator[Columns]:
        for first in range(0, len(self.columns["number"]), self.piece):
            part = slice(first, first + self.piece)
            yield {name: values[part] for name, values in self.columns.items()}

    def own_cuts(self) -> list[Cut]:
        return []

    def find(self, columns: Columns, wanted: frozenset[str]) -> Found:
        numbers = {text: int(text) for text in wanted if text.isdecimal()}
        return find_by(numbers, columns["number"])

    def sort_keys(self, columns: Columns) -> tuple[Any, ...]:
        return (columns["number"],)

    def group_keys(self, columns: Columns) -> list[Any]:
        return [columns["object"]]

    def spectrum_ids(self, columns: Columns) -> list[str]:
        return [f"sdss-{number:06d}" for number in columns["number"].tolist()]

    def describe(self, columns: Columns) -> Mapping[str, Any]:
        numbers = columns["number"].tolist()
        return {
            "survey": "sdss",
            "release": "dr17",
            "path": [f"spec-{number}.fits" for number in numbers],
            "identity": [str(number) for number in numbers],
        }


@pytest.fixture
def array_survey() -> type[ArraySurvey]:
    return ArraySurvey


@pytest.fixture
def selection() -> Callable[..., Select]:
    """Settings that keep every row, but for what is given."""

    def make(**over: Any) -> Select:
        keep_all = {"classes": None, "min_snr": None, "z_range": None}
        config = validate(
            {"surveys": {"files": {"base_url": "file:///x", "select": {**keep_all, **over}}}}
        )
        assert config.surveys.files is not None
        return config.surveys.files.select

    return make


@pytest.fixture
def simulated_config(tmp_path: Path) -> Callable[..., Config]:
    """Both simulated surveys, small, with results below a temporary folder."""

    def make(folder: Path = tmp_path, **over: Any) -> Config:
        return validate(
            {
                "run": "t",
                "results_dir": str(folder / "results"),
                "surveys": {
                    "sdss": {"base_url": "simulated:"},
                    "lamost": {"base_url": "simulated:"},
                },
                "simulated": {"sdss_spectra": 300, "lamost_spectra": 200, "repeat_fraction": 0.3},
                "split": {"shards": {"train": 3, "val": 1, "test": 2}},
                "download": {"cache_dir": str(folder / "cache")},
                "train": {"workers": 1},
                **over,
            }
        )

    return make
