"""Support vector machines: an exact RBF kernel up to a size, Nystroem features above it.

An exact kernel takes time and memory that grow with the square of the train split or faster; from
`max_rbf` on, Nystroem features of the same kernel (Williams & Seeger 2001) feed a linear SVM,
which grows linearly. Which of the two was used is in training.json.

Probabilities: multinomial logistic regression on the decision values, fitted on val (Platt 1999
for several classes). Intervals: quantiles of val residuals in bins of the prediction.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import ParameterGrid
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC, SVR, LinearSVC, LinearSVR

from specvit.baselines.baseline import Setup
from specvit.baselines.classical import Classical, Labelled, State, spread
from specvit.baselines.distributions import Classes, Distribution, residual_table, with_residuals
from specvit.baselines.search import loss, search
from specvit.config.baselines import SvmSettings
from specvit.tasks import Task

LANDMARKS = 1000  # Nystroem features
CACHE_MB = 1000
EPSILON = 0.01  # of the target's standard deviation: errors below it cost nothing


class Svm(Classical):
    """Support vector machines."""

    @staticmethod
    def fit_task(
        task: Task, data: Labelled, setup: Setup[SvmSettings]
    ) -> tuple[State, dict[str, Any]]:
        """Fit one task; the state holds the estimator and its calibration on val."""
        settings = setup.settings
        exact = len(data.y) <= settings.max_rbf
        classify = task.kind == "classification"
        # The target in units of its spread: C and epsilon then mean the same for every task.
        centre = 0.0 if classify else float(data.y.mean())
        scale = 1.0 if classify else float(data.y.std()) or 1.0
        target = data.y if classify else (data.y - centre) / scale
        unit = 1 / (data.X.shape[1] * float(data.X.var()))

        def attempt(point: dict[str, float]) -> tuple[Any, float]:
            gamma = point["gamma"] * unit
            model = _estimator(classify, exact, point["C"], gamma, len(target), setup)
            model.fit(data.X, target)
            predicted = model.predict(data.X_val)
            if not classify:
                predicted = predicted * scale + centre
            return model, loss(task, data.y_val, predicted)

        grid = ParameterGrid({"C": settings.C, "gamma": settings.gamma})
        model, choice = search(f"svm {task.name}", grid, attempt)
        state: State = {"model": model, "centre": centre, "scale": scale}
        summary = choice.as_dict(task) | {
            "kernel": "rbf" if exact else "nystroem + linear",
            "kernel_because": f"{len(data.y)} train spectra, max_rbf = {settings.max_rbf}",
            "gamma_unit": unit,
        }
        if classify:
            summary["probabilities"] = _calibrate(state, data)
        else:
            predicted = _value(state, data.X_val)
            state["edges"], state["table"] = residual_table(predicted, data.y_val - predicted)
            summary["interval"] = "quantiles of val residuals in bins of the prediction"
        return state, summary

    @staticmethod
    def predict_task(task: Task, state: State, X: NDArray[np.float32]) -> Distribution:
        """Calibrated probabilities, or a value with the val residuals around it."""
        if task.kind == "classification":
            logistic = state["logistic"]
            prob = logistic.predict_proba(_decision(state, X))
            return Classes(spread(task, list(logistic.classes_), prob))
        return with_residuals(_value(state, X), state["edges"], state["table"])


def _estimator(
    classify: bool, exact: bool, C: float, gamma: float, n: int, setup: Setup[SvmSettings]
) -> Any:
    if exact:
        kind = SVC if classify else partial(SVR, epsilon=EPSILON)
        return kind(C=C, gamma=gamma, cache_size=CACHE_MB)
    features = Nystroem(
        gamma=gamma, n_components=min(LANDMARKS, n), random_state=setup.seed, n_jobs=setup.threads
    )
    if classify:
        return make_pipeline(features, LinearSVC(C=C, dual=False))
    squared = "squared_epsilon_insensitive"  # the loss that liblinear solves in the primal
    return make_pipeline(features, LinearSVR(C=C, dual=False, loss=squared, epsilon=EPSILON))


def _decision(state: State, X: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.asarray(state["model"].decision_function(X)).reshape(len(X), -1)


def _value(state: State, X: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.asarray(state["model"].predict(X) * state["scale"] + state["centre"])


def _calibrate(state: State, data: Labelled) -> str:
    """Fit the logistic regression; on train where val lacks a class, which would then get 0."""
    on_val = set(data.y_val) == set(data.y)
    X, y = (data.X_val, data.y_val) if on_val else (data.X, data.y)
    state["logistic"] = LogisticRegression(max_iter=1000).fit(_decision(state, X), y)
    return f"logistic regression on decision values, fitted on {'val' if on_val else 'train'}"
