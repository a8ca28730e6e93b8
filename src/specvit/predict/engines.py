"""What answers: a trained network that sees pictures, or a baseline that sees flux."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import ValidationError

from specvit.config.baselines import registered
from specvit.config.data import Grid, Render
from specvit.errors import DataError
from specvit.io import read_json
from specvit.novelty import Novelty
from specvit.predictions import WEIGHTS_HASH
from specvit.tasks import Task, tasks_of

if TYPE_CHECKING:
    from torch import Tensor

    from specvit.baselines.baseline import Baseline
    from specvit.models import SpecViT


UNLIKE = "unlike"
"""Column of answers: whether a spectrum is unlike anything in training."""


class Engine(Protocol):
    """What predict asks of a model, whatever it is."""

    kind: Literal["picture", "flux"]
    """What it sees."""
    tasks: list[Task]
    render: Render
    grid: Grid
    weights: str
    """Stands for this very training of it: `specvit.predictions.weights_of`."""

    def answer(self, arrays: Sequence[NDArray[Any]]) -> pd.DataFrame:
        """Columns of `specvit.predictions` without truths, uncalibrated, one row an array."""


class Network:
    """A SpecViT on one device. The import of torch is paid when one is made."""

    kind: Literal["picture", "flux"] = "picture"

    def __init__(self, folder: Path, device: str | None) -> None:
        import torch

        from specvit.models import load_model

        self.model: SpecViT = load_model(folder)
        self.weights = str(read_json(folder / "model.json")[WEIGHTS_HASH])
        self.novelty = Novelty.read(folder, self.weights)
        name = device or ("cuda" if torch.cuda.is_available() else "cpu")
        try:
            self.device = torch.device(name)
            self.model.to(self.device)
        except (RuntimeError, AssertionError) as error:
            said = str(error).splitlines()[0][:100]
            raise DataError(f"device {name!r} cannot be used: {said}") from error
        self.tasks, self.render, self.grid = self.model.tasks, self.model.render, self.model.grid

    def answer(self, arrays: Sequence[NDArray[Any]]) -> pd.DataFrame:
        """See Engine. The forward pass is in float32, as that of a run's own predictions.

        Where it is known what training was like, the column UNLIKE says what is like none of it.
        """
        import torch

        from specvit.models.precision import full_float32

        with torch.inference_mode(), full_float32():
            tokens = self._tokens(arrays)
            outputs = self.model.outputs(*tokens)
            cpu = {name: output.cpu() for name, output in outputs.items()}
            columns = self.model.decode(cpu)
            columns |= self.model.second_peaks(cpu)
            if self.novelty is not None:
                columns[UNLIKE] = self.novelty.score(self._embeddings(tokens)) > 1
        return pd.DataFrame(columns)

    def embed(self, arrays: Sequence[NDArray[Any]]) -> NDArray[np.float64]:
        """Embeddings of pictures, (n, d)."""
        import torch

        from specvit.models.precision import full_float32

        with torch.inference_mode(), full_float32():
            return self._embeddings(self._tokens(arrays))

    def _tokens(self, arrays: Sequence[NDArray[Any]]) -> tuple[Tensor, Tensor]:
        from specvit.models.vit import as_pictures

        return self.model.tokens(as_pictures(np.stack(arrays)).to(self.device))

    def _embeddings(self, tokens: tuple[Tensor, Tensor]) -> NDArray[np.float64]:
        return self.model.embedding(*tokens).cpu().numpy().astype(np.float64)


class Fitted:
    """A baseline of specvit or of another package."""

    kind: Literal["picture", "flux"] = "flux"

    def __init__(self, folder: Path) -> None:
        from specvit.baselines.run import GRID, SUMMARY, load_baseline

        path = folder / SUMMARY
        summary = read_json(path)
        try:
            name, tasks = summary["model"], list(summary["tasks"])
            self.weights = str(summary[WEIGHTS_HASH])
            self.grid = Grid.model_validate(summary[GRID])
            self.tasks = tasks_of(tasks, summary.get("labels"))
        except (KeyError, TypeError, ValidationError) as error:
            raise DataError(
                f"{path} does not say what the baseline sees and answers ({error}): an older "
                "version trained it; train it again"
            ) from error
        if name not in registered():
            raise DataError(f"{folder}: no baseline here is called {name!r}")
        self.model: Baseline = load_baseline(folder, name)
        self.render = Render()

    def answer(self, arrays: Sequence[NDArray[Any]]) -> pd.DataFrame:
        """See Engine."""
        flux = np.stack(arrays)
        predicted = self.model.predict(flux)
        columns: dict[str, Any] = {}
        for task in self.tasks:
            is_class = task.kind == "classification"
            unknown = np.full(len(flux), None if is_class else np.nan, object if is_class else None)
            columns |= predicted[task.name].columns(task, unknown)
        kept = {k: v for k, v in columns.items() if not k.endswith(("_true", "_pit"))}
        return pd.DataFrame(kept)


def engine(folder: Path, device: str | None = None) -> Engine:
    """Load the model in a folder. Raises DataError where there is none, or not whole."""
    description = folder / "model.json"
    if description.exists() and WEIGHTS_HASH in read_json(description):
        return Network(folder, device)
    if (folder / "training.json").exists():
        return Fitted(folder)
    raise DataError(f"{folder} holds no trained model (no model.json, no training.json)")
