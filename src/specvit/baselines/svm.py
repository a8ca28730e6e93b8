"""Support vector machines: an exact RBF kernel up to a size, Nystroem features above it.

An exact kernel takes time and memory that grow with the square of the train split or faster; from
`max_rbf` on, Nystroem features of the same kernel (Williams & Seeger 2001) feed a linear SVM,
which grows linearly. Which of the two was used is in training.json.

Probabilities: multinomial logistic regression on decision values (Platt 1999 for several classes).
Intervals: quantiles of residuals in bins of the prediction. Both are fitted on the train split, on
outputs of machines that did not see the object (five folds), so that val is left to calibrate.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import ParameterGrid
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC, SVR, LinearSVC, LinearSVR

from specvit.baselines.baseline import Setup
from specvit.baselines.classical import Classical, Labelled, State, spread
from specvit.baselines.crossfit import FOLDS, cross_fit
from specvit.baselines.distributions import Classes, Distribution, residual_table, with_residuals
from specvit.baselines.search import Choice, loss, search
from specvit.config.baselines import SvmSettings
from specvit.tasks import Task

LANDMARKS = 1000  # Nystroem features
CACHE_MB = 1000
WHITEN = (False, True)  # whether components are divided by their spread: what is tried
CROSS_FITTED = f"from train: {FOLDS} folds by object, each by machines fitted on the others"
MOST_CLOSE = 4
CLOSE = "of points within a standard error of the best, the lowest log loss"
EPSILON = 0.001  # of the target's standard deviation: errors below it cost nothing


class Svm(Classical):
    """Support vector machines."""

    @staticmethod
    def fit_task(
        task: Task, data: Labelled, setup: Setup[SvmSettings]
    ) -> tuple[State, dict[str, Any]]:
        """Fit one task; the state holds the machine and what its outputs mean."""
        machines, settings = _Machines(task, data, setup), setup.settings
        grid = ParameterGrid({"C": settings.C, "gamma": settings.gamma, "whiten": WHITEN})
        state, choice = search(f"svm {task.name}", grid, machines.attempt)
        summary = choice.as_dict(task) | {
            "kernel": "rbf" if machines.exact else "nystroem + linear",
            "kernel_because": f"{len(data.y)} train spectra, max_rbf = {settings.max_rbf}",
            "gamma_unit": "1 / (components x variance)",
        }
        if machines.classify:
            state, summary["chosen"] = machines.most_probable(choice)
            summary["criterion"] += f"; {CLOSE} {CROSS_FITTED}"
            summary["probabilities"] = f"logistic regression on decision values, {CROSS_FITTED}"
        else:
            outputs = machines.cross_fitted(state, choice.best)
            state["edges"], state["table"] = residual_table(outputs, data.y - outputs)
            told = "quantiles of residuals in bins of the prediction"
            summary["interval"] = f"{told}, {CROSS_FITTED}"
        return state, summary

    @staticmethod
    def predict_task(task: Task, state: State, X: NDArray[np.float32]) -> Distribution:
        """Calibrated probabilities, or a value with residuals around it."""
        if task.kind == "classification":
            logistic = state["logistic"]
            prob = logistic.predict_proba(_decision(state, X))
            return Classes(spread(task, list(logistic.classes_), prob))
        return with_residuals(_value(state, X), state["edges"], state["table"])


class _Machines:
    """Machines of one task at any point of the grid."""

    def __init__(self, task: Task, data: Labelled, setup: Setup[SvmSettings]) -> None:
        self.task, self.data, self.setup = task, data, setup
        self.exact = len(data.y) <= setup.settings.max_rbf
        self.classify = task.kind == "classification"
        # The target in units of its spread: C and epsilon then mean the same for every task.
        self.centre = 0.0 if self.classify else float(data.y.mean())
        self.scale = 1.0 if self.classify else float(data.y.std()) or 1.0
        self.target = data.y if self.classify else (data.y - self.centre) / self.scale

    def fit(self, point: dict[str, Any], rows: Any = slice(None)) -> State:
        """A machine of some train rows."""
        divisor = np.ones(self.data.X.shape[1], dtype=np.float32)
        if point["whiten"]:
            deviation = self.data.X.std(axis=0)
            divisor = np.where(deviation > 0, deviation, 1).astype(np.float32)
        X = self.data.X / divisor
        gamma = point["gamma"] / (X.shape[1] * float(X.var()))
        target = self.target[rows]
        model = _estimator(self.classify, self.exact, point["C"], gamma, len(target), self.setup)
        model.fit(X[rows], target)
        return {"model": model, "divisor": divisor, "centre": self.centre, "scale": self.scale}

    def attempt(self, point: dict[str, Any]) -> tuple[State, float]:
        """The machine of all train rows, and its loss on val."""
        state = self.fit(point)
        if self.classify:
            predicted = state["model"].predict(self.data.X_val / state["divisor"])
        else:
            predicted = _value(state, self.data.X_val)
        return state, loss(self.task, self.data.y_val, predicted)

    def cross_fitted(self, whole: State, point: dict[str, Any]) -> NDArray[np.float64]:
        """Outputs for the train rows, of machines that did not see their objects."""
        output = _decision if self.classify else _value
        y = self.data.y
        return cross_fit(
            lambda rows: self.fit(point, rows),
            lambda state, rows: output(state, self.data.X[rows]),
            whole,
            y if self.classify else np.zeros(len(y), dtype=np.int64),
            self.data.objects,
            self.setup.seed,
        )

    def most_probable(self, choice: Choice) -> tuple[State, dict[str, Any]]:
        """Of the points that val cannot tell from the best, that of the best probabilities.

        One wrong answer more or less on a small val says nothing; the cross-fitted probabilities of
        all train spectra do.
        """
        fitted = []
        for point in choice.as_good_as_best(len(self.data.y_val))[:MOST_CLOSE]:
            state = self.fit(point)
            outputs = self.cross_fitted(state, point)
            logistic = LogisticRegression(max_iter=1000).fit(outputs, self.data.y)
            prob = logistic.predict_proba(outputs)
            score = log_loss(self.data.y, prob, labels=logistic.classes_)
            fitted.append((score, {**state, "logistic": logistic}, point))
        _, state, point = min(fitted, key=lambda one: one[0])
        return state, point


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
    return np.asarray(state["model"].decision_function(X / state["divisor"])).reshape(len(X), -1)


def _value(state: State, X: NDArray[np.float32]) -> NDArray[np.float64]:
    predicted = state["model"].predict(X / state["divisor"])
    return np.asarray(predicted * state["scale"] + state["centre"])
