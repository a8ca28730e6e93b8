"""A trained model as people use it: `specvit.load(...)`, then `predict`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from specvit.config.data import Grid, Render
from specvit.errors import DataError, SpectrumError, blamed_on_the_file
from specvit.find_model import model_folder
from specvit.novelty import Novelty
from specvit.plot import draw
from specvit.predict.calibrated import Calibration
from specvit.predict.engines import Engine, Network, engine
from specvit.predict.one import read
from specvit.predict.prepare import Prepared, Wanted, prepare, read_item
from specvit.predict.rows import schema, table
from specvit.predict.sources import Item, items
from specvit.spectrum import Spectrum
from specvit.tables.arrays import Reading
from specvit.tables.objects import is_arrays
from specvit.tasks import Task

if TYPE_CHECKING:
    from specvit.explain.average import Average
    from specvit.explain.explanation import Explanation

BATCH = 256


class Model:
    """A trained network or baseline, with its calibration.

    Parameters
    ----------
    folder
        What `specvit train` or `specvit baselines` wrote: `results/<run>/models/<name>`.
    device
        torch's name of where a network runs; None: a GPU if there is one.

    Raises DataError where the folder holds no model, or not a whole one.
    """

    def __init__(self, folder: Path, device: str | None = None) -> None:
        self.folder = folder
        self.engine: Engine = engine(folder, device)
        self.calibration = Calibration.read(folder, self.engine.weights)

    def __repr__(self) -> str:
        names = ", ".join(task.name for task in self.tasks)
        return f"<specvit model {self.folder}: {names}>"

    @property
    def tasks(self) -> list[Task]:
        """What it answers."""
        return self.engine.tasks

    @property
    def render(self) -> Render:
        """The plots that a network sees."""
        return self.engine.render

    @property
    def grid(self) -> Grid:
        """The wavelengths that it sees."""
        return self.engine.grid

    def predict(
        self,
        inputs: Any,
        *,
        wave_unit: str | None = None,
        air: bool = False,
        processes: int = 1,
        batch_size: int = BATCH,
    ) -> pd.DataFrame:
        """Predict spectra: one row each, in order.

        Parameters
        ----------
        inputs
            One of these, or any number in a list: a path (file, folder, tar, glob, http address,
            catalogue with a column `path`), a Spectrum (specvit's or specutils'), a table with a
            wavelength and a flux column, a tuple of arrays (wavelength, flux[, ivar]).
        wave_unit, air
            Unit of wavelengths of tables and arrays that do not say it (nm, um, loglam, ...), and
            whether they are in standard air.
        processes
            That read and draw at the same time, where there are many files. More than 1 needs a
            script with `if __name__ == "__main__":`.
        batch_size
            Spectra that the model sees at a time.

        Returns
        -------
        DataFrame
            Columns as `specvit.predict.rows.schema` lists them. A spectrum that cannot be predicted
            has its `reason`.
        """
        reading = Reading(wave_unit, air)
        pieces = list(self.stream(items(_listed(inputs)), reading, processes, batch_size))
        if not pieces:
            pieces = [table([], pd.DataFrame(), self.tasks)]
        return pd.concat(pieces, ignore_index=True)

    def stream(
        self,
        spectra: Iterable[Item],
        reading: Reading,
        processes: int = 1,
        batch_size: int = BATCH,
    ) -> Iterator[pd.DataFrame]:
        """Rows of spectra in order, a batch at a time: memory does not grow with their number."""
        wanted = Wanted(self.engine.kind, self.render, self.grid, reading)
        prepared = prepare(spectra, wanted, processes)
        while batch := list(islice(prepared, batch_size)):
            yield self.answer(batch)

    def answer(self, prepared: Sequence[Prepared]) -> pd.DataFrame:
        """Rows of one batch: the model's answers, calibrated."""
        arrays = [one.array for one in prepared if one.array is not None]
        answers = pd.DataFrame()
        if arrays:
            answers = self.calibration.applied(self.engine.answer(arrays), self.tasks)
        return table(prepared, answers, self.tasks)

    def explain(self, spectrum: Any) -> Explanation:
        """Where a network looks in one spectrum: relevance of each wavelength for its answer.

        `spectrum` is a Spectrum or whatever `specvit.read` takes. Raises DataError for a baseline
        (it sees no picture) and a backbone without attention, SpectrumError where there is nothing
        to draw.
        """
        from specvit.explain.explanation import explain_one

        network = self._network()
        found = spectrum if isinstance(spectrum, Spectrum) else read(spectrum)
        row = self.predict(found).iloc[0]
        if row["reason"] is not None:
            raise SpectrumError(row["reason"])
        return explain_one(network.model, found, row.to_dict())

    def explain_classes(self, inputs: Any) -> Average:
        """Where a network looks on average, by the class that it predicts.

        `inputs` are as in `predict`; what cannot be read is counted. Raises DataError as `explain`.
        """
        from specvit.explain.average import average

        network = self._network()
        return average(network.model, map(_read, items(_listed(inputs))))

    def embed(self, inputs: Any, *, wave_unit: str | None = None, air: bool = False) -> Any:
        """Embeddings of spectra, given as to `predict`: float64 (n, d), one row each, in order.

        The pooled token and the mean of the patches' tokens. A row of nan stands for a spectrum
        that cannot be predicted (`predict` says why). Raises DataError for a baseline.
        """
        network = self._network()
        wanted = Wanted(self.engine.kind, self.render, self.grid, Reading(wave_unit, air))
        prepared = prepare(items(_listed(inputs)), wanted)
        rows = [np.empty((0, network.model.width))]
        while batch := list(islice(prepared, BATCH)):
            found = np.full((len(batch), network.model.width), np.nan)
            arrays = [one.array for one in batch if one.array is not None]
            if arrays:
                found[[one.array is not None for one in batch]] = network.embed(arrays)
            rows.append(found)
        return np.concatenate(rows)

    def novelty(self, embeddings: NDArray[np.float64]) -> NDArray[np.float64]:
        """How unlike training spectra are: (n,) of embeddings (n, d).

        Above 1 they are flagged as unlike anything in training; 1 in 100 spectra of val is. Raises
        DataError where the model has no novelty.safetensors of its weights.
        """
        return self._novelty().score(np.asarray(embeddings, np.float64))

    def nearest(self, spectrum: Any, count: int = 5) -> pd.DataFrame:
        """The training spectra that are nearest to one spectrum, of those that the model keeps.

        Columns: `spectrum_id`, `class`, `z`, `distance` (Mahalanobis). Raises
        DataError as `novelty`, SpectrumError where the spectrum cannot be read or drawn.
        """
        novelty = self._novelty()
        found = spectrum if isinstance(spectrum, Spectrum) else read(spectrum)
        return novelty.nearest(self._network().embed([self.picture(found)])[0], count)

    def _network(self) -> Network:
        if not isinstance(self.engine, Network):
            raise DataError(f"{self.folder} is a baseline: only networks see pictures")
        return self.engine

    def _novelty(self) -> Novelty:
        if (novelty := self._network().novelty) is None:
            raise DataError(
                f"{self.folder} does not say what training was like: specvit predict-split does"
            )
        return novelty

    def picture(self, spectrum: Spectrum) -> NDArray[np.uint8]:
        """What a network sees of a spectrum: uint8 (size, size), or (size, size, 3)."""
        return draw(spectrum, self.render, self.grid, spectrum.header.z)

    def schema(self) -> Any:
        """Names and types of the rows' columns, a pyarrow Schema."""
        return schema(self.tasks)


def load(name: str | Path | None = None, device: str | None = None) -> Model:
    """Load a trained model.

    Parameters
    ----------
    name
        A run (`results/demo`: its main network), a model's folder (`results/demo/models/svm`), or a
        released model's name; None: the released model `sky`.
    device
        torch's name of where a network runs; None: a GPU if there is one.

    Raises DataError where there is no such model, or not a whole one.
    """
    return Model(model_folder(name), device)


def _listed(inputs: Any) -> Sequence[Any]:
    """A list, of one where a single spectrum is given."""
    if isinstance(inputs, str | Path | Spectrum) or is_arrays(inputs):
        return [inputs]
    return list(inputs) if isinstance(inputs, list | tuple) or _is_iterator(inputs) else [inputs]


def _read(item: Item) -> Spectrum | SpectrumError:
    """A spectrum, or why there is none."""
    try:
        with blamed_on_the_file():
            return read_item(item, Reading())
    except SpectrumError as error:
        return error


def _is_iterator(inputs: Any) -> bool:
    return isinstance(inputs, Iterator)
