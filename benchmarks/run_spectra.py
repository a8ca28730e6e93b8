"""Some spectra of a finished run, from its downloads, and its network."""

from __future__ import annotations

from pathlib import Path

from specvit.errors import DataError, SpectrumError
from specvit.find_model import model_folder
from specvit.models import SpecViT, load_model
from specvit.paths import RunPaths
from specvit.predict.prepare import read_item
from specvit.predict.sources import items
from specvit.spectrum import Spectrum
from specvit.tables.arrays import Reading


def network_of(run: Path) -> SpecViT:
    """The run's main network."""
    return load_model(model_folder(run))


def read_some(run: Path, split: str, count: int) -> dict[str, Spectrum]:
    """Up to `count` spectra of a split that can be read, evenly spread over it, by their names.

    Raises DataError where the run has no download of the split.
    """
    tars = sorted(RunPaths(run).root.glob(f"spectra/{split}-*.tar"))
    found = list(items(tars))
    if not tars:
        raise DataError(f"{run} has no spectra of {split}: they are removed, or not downloaded")
    read: dict[str, Spectrum] = {}
    for number in range(min(count, len(found))):
        item = found[number * len(found) // min(count, len(found))]
        try:
            read[Path(item.name).name.split(".")[0]] = read_item(item, Reading(None, False))
        except SpectrumError:
            continue
    return read
