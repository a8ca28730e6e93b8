"""The encoder frozen, as published: a small MLP, or nearest neighbours, on its mean token.

Who names several ways of use pretrains once: `specformer` keeps the encoder with its own model, and
the other ways start from that.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import ParameterGrid
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.preprocessing import StandardScaler

from specvit.baselines.baseline import Setup
from specvit.baselines.classical import Classical, Features, Labelled, State, spread
from specvit.baselines.crossfit import FOLDS, cross_fit
from specvit.baselines.distributions import Classes, Distribution, residual_table, with_residuals
from specvit.baselines.features import batches
from specvit.baselines.knn import Knn
from specvit.baselines.rows import Rows
from specvit.baselines.search import loss, search
from specvit.baselines.specformer.encoder import Encoder, Shape, encoder_of
from specvit.baselines.specformer.pretrain import BATCH, learning_rate, pretrain
from specvit.baselines.specformer.published import load_published
from specvit.baselines.specformer.windows import Windows
from specvit.baselines.store import SKOPS, load_skops
from specvit.baselines.trained import device_of, weights_of
from specvit.config.baselines import SpecformerSettings
from specvit.errors import DataError
from specvit.tasks import Task

LAYERS = (64, 64)
"""Of the MLP, as published."""
DECAY = (1e-4, 1e-2, 1.0)
"""Weight decays of the MLP that are tried."""
MLP_EPOCHS = 100
FLUX = "gaps filled; standardised; windows of 20 pixels, one every 10; a token for mean and scale"


@dataclass(frozen=True)
class Frozen:
    """A pretrained encoder: flux to the mean of its tokens."""

    shape: Shape
    encoder: Encoder
    device: torch.device

    @classmethod
    def fit(
        cls, train: Rows, val: Rows, setup: Setup[SpecformerSettings]
    ) -> tuple[Frozen, dict[str, Any]]:
        """Pretrain on all of train, or read the published weights."""
        settings, device = setup.settings, device_of(setup.gpu)
        windows = Windows(setup.grid, published=settings.weights is not None)
        shape = Shape(settings.width, settings.depth, settings.heads, windows)
        if settings.weights is not None:
            encoder = load_published(Path(settings.weights), shape)
            told: dict[str, Any] = {"weights": settings.weights}
        else:
            encoder, history = pretrain(
                train.flux, val.flux, shape, settings.epochs, setup.seed, device
            )
            told = {
                "pretraining": history,
                "criterion": "mean square error over hidden windows",
                "learning_rate": learning_rate(shape.width),
            }
        parameters = sum(p.numel() for p in encoder.parameters())
        told |= {"flux": FLUX, "parameters": parameters, "device": device.type}
        return cls(shape, encoder.to(device), device), told

    @property
    def state(self) -> State:
        """What is saved: arrays and plain values."""
        return {"shape": self.shape.as_dict(), "weights": weights_of(self.encoder)}

    @classmethod
    def of(cls, state: State, *, gpu: bool = False) -> Frozen:
        """Read what `state` gave. Raises KeyError or RuntimeError where it is of something else."""
        shape, device = Shape.from_dict(state["shape"]), device_of(gpu)
        return cls(shape, encoder_of(shape, state["weights"]).eval().to(device), device)

    @classmethod
    def before(cls, setup: Setup[Any]) -> Frozen:
        """The encoder of the baseline `specformer` of this run. Raises DataError where none is."""
        if setup.before is None:
            raise DataError("there is no specformer to start from: train it first")
        path = setup.before / SKOPS
        try:
            return cls.of(load_skops(path)["features"], gpu=setup.gpu)
        except (KeyError, TypeError, RuntimeError) as error:
            raise DataError(f"{path} does not hold an encoder: train specformer again") from error

    def transform(self, flux: NDArray[np.float16]) -> NDArray[np.float32]:
        """Mean over the tokens, (n, width)."""
        out = np.empty((len(flux), self.shape.width), np.float32)
        with torch.inference_mode():
            for part in batches(len(flux), BATCH):
                tokens = torch.from_numpy(self.shape.windows.tokens(flux[part]))
                out[part] = self.encoder(tokens.to(self.device)).mean(dim=1).cpu().numpy()
        return out


class Specformer(Classical):
    """Pretrains the encoder, and answers by a small MLP on it."""

    @classmethod
    def fit_features(
        cls, train: Rows, val: Rows, setup: Setup[Any]
    ) -> tuple[Features, dict[str, Any]]:
        """See Classical."""
        return Frozen.fit(train, val, setup)

    @classmethod
    def features_of(cls, state: State) -> Features:
        """See Classical."""
        return Frozen.of(state)

    @staticmethod
    def fit_task(
        task: Task, data: Labelled, setup: Setup[SpecformerSettings]
    ) -> tuple[State, dict[str, Any]]:
        """Choose the weight decay on val; intervals from MLPs that did not see the object."""
        classify = task.kind == "classification"

        def fit(point: dict[str, Any], rows: Any = slice(None)) -> State:
            return _fit(classify, data.X[rows], data.y[rows], point["decay"], setup.seed)

        def attempt(point: dict[str, Any]) -> tuple[State, float]:
            state = fit(point)
            predicted = (
                state["model"].predict(state["scaler"].transform(data.X_val))
                if classify
                else _value(state, data.X_val)
            )
            return state, loss(task, data.y_val, predicted)

        state, choice = search(f"specformer {task.name}", ParameterGrid({"decay": DECAY}), attempt)
        summary = choice.as_dict(task) | {"layers": LAYERS, "epochs": MLP_EPOCHS}
        if not classify:
            outputs = cross_fit(
                lambda rows: fit(choice.best, rows),
                lambda fitted, rows: _value(fitted, data.X[rows]),
                state,
                np.zeros(len(data.y), dtype=np.int64),
                data.objects,
                setup.seed,
            )
            state["edges"], state["table"] = residual_table(outputs, data.y - outputs)
            summary["interval"] = (
                "quantiles of residuals in bins of the prediction, from train: "
                f"{FOLDS} folds by object, each by MLPs fitted on the others"
            )
        return state, summary

    @staticmethod
    def predict_task(task: Task, state: State, X: NDArray[np.float32]) -> Distribution:
        """The MLP's probabilities, or its value with residuals around it."""
        if task.kind != "classification":
            return with_residuals(_value(state, X), state["edges"], state["table"])
        model = state["model"]
        prob = model.predict_proba(state["scaler"].transform(X))
        return Classes(spread(task, list(model.classes_), prob))


class SpecformerKnn(Knn):
    """Nearest neighbours among the mean tokens of `specformer`'s encoder."""

    @classmethod
    def fit_features(
        cls, train: Rows, val: Rows, setup: Setup[Any]
    ) -> tuple[Features, dict[str, Any]]:
        """See Classical."""
        return Frozen.before(setup), {"flux": FLUX, "encoder": "that of specformer"}

    @classmethod
    def features_of(cls, state: State) -> Features:
        """See Classical."""
        return Frozen.of(state)


def _fit(classify: bool, X: NDArray[np.float32], y: NDArray[Any], decay: float, seed: int) -> State:
    """An MLP on standardised features; a number is standardised too."""
    scaler = StandardScaler().fit(X)
    centre = 0.0 if classify else float(y.mean())
    scale = 1.0 if classify else float(y.std()) or 1.0
    kind = MLPClassifier if classify else MLPRegressor
    model = kind(
        hidden_layer_sizes=LAYERS,
        alpha=decay,
        batch_size=min(64, len(y)),
        max_iter=MLP_EPOCHS,
        random_state=seed,
    )
    with warnings.catch_warnings():
        # It may stop before the epochs are over, and need not.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(scaler.transform(X), y if classify else (y - centre) / scale)
    del model._optimizer, model._random_state  # of the fit alone, and no types that skops loads
    return {"model": model, "scaler": scaler, "centre": centre, "scale": scale}


def _value(state: State, X: NDArray[np.float32]) -> NDArray[np.float64]:
    predicted = state["model"].predict(state["scaler"].transform(X))
    return np.asarray(predicted * state["scale"] + state["centre"], np.float64)
