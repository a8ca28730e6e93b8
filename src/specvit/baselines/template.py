"""Class and redshift by comparison with eigen-templates: what redrock does, in small.

For each class a few eigen-templates are learned from the train split in the rest frame. A spectrum
is compared with every linear combination of them at every redshift of the class, by chi-square over
its good pixels; the lowest chi-square names class and redshift (Tonry & Davis 1979; Bolton et al.
2012). Shards carry no ivar: pixels are weighted by how noisy they are over the train split, and a
spectrum's own noise is the best fit's chi-square a degree of freedom.

Eigen-templates are never complete, so differences of chi-square overstate what is known. They are
softened by two powers: one for class probabilities (highest likelihood), one for the redshift's
posterior, flat in ln(1+z) over all classes (68 % intervals that hold 68 %). They are fitted on a
fifth of train's objects, matched with templates of the others, so that val is left to calibrate.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from specvit.baselines.baseline import Setup
from specvit.baselines.correlate import Correlator, refine
from specvit.baselines.crossfit import folds
from specvit.baselines.distributions import HIGH, LEVELS, LOW, Classes, Distribution, Numbers
from specvit.baselines.eigen import eigen_templates
from specvit.baselines.exemplars import (
    CLASS,
    LONGEST_FILLED,
    MAX_SPECTRA,
    MIN_SPECTRA,
    class_spectra,
    good_pixels,
    matchable,
    pixel_weights,
)
from specvit.baselines.features import FILLING, SCALING, batches, normalise
from specvit.baselines.rows import Rows, known, labels_of, objects_of
from specvit.baselines.search import loss, search
from specvit.baselines.store import load_arrays, save_arrays
from specvit.config.baselines import TemplateSettings
from specvit.errors import DataError, TrainingError
from specvit.predictions import COVERAGE
from specvit.tasks import CLASSES, TASKS

BATCH = 128
MISTAKEN = 0.02

Array = NDArray[np.float64]


@dataclass(frozen=True)
class _Match:
    """Chi-square of n spectra, normalised by their noise."""

    lowest: Array
    """(n, classes) half the lowest chi-square of each class."""
    best: Array
    """(n,) shift of the lowest of all, in pixels."""
    curve: Array
    """(n, cells) half chi-square of the best class at each shift of the union of the ranges."""


class Template:
    """The fitted templates; answers the tasks class and redshift."""

    def __init__(
        self,
        classes: list[Correlator],
        step: float,
        powers: tuple[float, float],
        labels: Sequence[str] = CLASSES,
    ) -> None:
        self.classes, self.step, self.labels = classes, step, list(labels)
        self.class_power, self.redshift_power = powers

    @classmethod
    def fit(
        cls, train: Rows, val: Rows, setup: Setup[TemplateSettings]
    ) -> tuple[Template, dict[str, Any]]:
        """Learn templates from train, whose number is chosen on val; fit both powers on train."""
        answered = [task.name for task in setup.tasks if task.name in ("class", "redshift")]
        if not answered:
            raise TrainingError("the template baseline answers only the tasks class and redshift")
        labels = next((task.labels for task in setup.tasks if task.name == "class"), CLASSES)
        pixels = train.flux.shape[1]
        step = math.log(setup.grid.wave_max / setup.grid.wave_min) / pixels
        sample, left_out = class_spectra(train, step, setup.seed)
        weight = pixel_weights(normalise(train.flux[:MAX_SPECTRA]))
        chosen = matchable(val, list(sample), setup.seed)

        def learn(spectra: dict[str, tuple[Array, int]], count: int) -> Template:
            classes = [
                _templates(label, rest, last, weight, count, setup.seed)
                for label, (rest, last) in spectra.items()
            ]
            return cls(classes, step, (1.0, 1.0), labels)

        def attempt(point: dict[str, int]) -> tuple[Template, float]:
            model = learn(sample, point["templates"])
            truth = np.log1p(labels_of(chosen.table, TASKS["redshift"]))
            return model, loss(TASKS["redshift"], truth, model._match(chosen.flux).best * step)

        grid = [{"templates": count} for count in setup.settings.templates]
        model, choice = search("template", grid, attempt)
        rest, held = _held_out(train, setup.seed)
        spectra, _ = class_spectra(rest, step, setup.seed)
        part = learn(spectra, choice.best["templates"])
        softened_on = matchable(held, [c.label for c in part.classes], setup.seed)
        part._soften(part._match(softened_on.flux), softened_on.table)
        model.class_power, model.redshift_power = part.class_power, part.redshift_power
        return model, {
            **choice.as_dict(TASKS["redshift"]),
            "tasks": answered,
            "classes": {c.label: c.windows for c in model.classes},
            "classes_left_out": left_out,
            "spectra_each_class_at_most": MAX_SPECTRA,
            "val_spectra": len(chosen),
            "spectra_behind_powers": len(softened_on),
            "powers": {"class": model.class_power, "redshift": model.redshift_power},
            "flux": f"{FILLING}; {SCALING}; gaps above {LONGEST_FILLED} pixels have no weight",
            "interval": "posterior flat in ln(1+z), softened by a power fitted on objects held out",
        }

    def predict(self, flux: NDArray[np.float16]) -> dict[str, Distribution]:
        """Class probabilities and redshift."""
        parts = []
        for part in batches(len(flux), BATCH):
            match = self._match(flux[part])
            parts.append((self._prob(match.lowest, self.class_power), *self._redshift(match)))
        prob, value, quantiles = (np.concatenate(column) for column in zip(*parts, strict=True))
        return {"class": Classes(prob), "redshift": Numbers(value, quantiles)}

    def save(self, folder: Path) -> None:
        """Write `model.safetensors` and `model.json`."""
        arrays = {f"{c.label}.templates": c.templates for c in self.classes}
        arrays["weight"] = self.classes[0].weight
        settings = {
            "last": {c.label: c.last for c in self.classes},
            "step": self.step,
            "labels": self.labels,
            "powers": [self.class_power, self.redshift_power],
        }
        save_arrays(folder, arrays, settings)

    @classmethod
    def load(cls, folder: Path) -> Template:
        """Read what `save` wrote."""
        arrays, settings = load_arrays(folder)
        try:
            last = settings["last"]
            classes = [
                Correlator(label, last[label], arrays[f"{label}.templates"], arrays["weight"])
                for label in CLASSES
                if label in last
            ]
            first, second = settings["powers"]
            labels = settings.get("labels", CLASSES)
            return cls(classes, settings["step"], (first, second), labels)
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{folder} does not hold a template baseline: {error}") from error

    def _match(self, flux: NDArray[Any]) -> _Match:
        data = normalise(flux).astype(np.float64)
        good = good_pixels(flux)
        chi = [c.chi_square(data, good) for c in self.classes]
        low = min(int(c.shifts[-1]) for c in self.classes)
        high = max(c.last for c in self.classes)
        lowest = np.stack([values.min(axis=1) for values in chi], axis=1)
        freedom = np.maximum(good.sum(axis=1) - len(self.classes[0].templates), 1)
        noise = 2 * np.maximum(lowest.min(axis=1) / freedom, 1e-12)[:, None]
        curve = np.full((len(flux), high - low + 1), np.inf)
        for c, values in zip(self.classes, chi, strict=True):
            cells = slice(c.last - c.windows + 1 - low, c.last + 1 - low)
            curve[:, cells] = np.minimum(curve[:, cells], values[:, ::-1] / noise)
        refined = np.stack([c.last - refine(v) for c, v in zip(self.classes, chi, strict=True)], 1)
        best = np.take_along_axis(refined, lowest.argmin(axis=1)[:, None], axis=1)[:, 0]
        return _Match(lowest / noise, best, curve)

    def _prob(self, lowest: Array, power: float) -> Array:
        """Probabilities of all labels of the task class; 0 for one without templates."""
        weights = np.exp(-power * (lowest - lowest.min(axis=1, keepdims=True)))
        prob = np.zeros((len(lowest), len(self.labels)))
        places = [self.labels.index(c.label) for c in self.classes]
        prob[:, places] = weights / weights.sum(axis=1, keepdims=True)
        return prob

    def _posterior(self, curve: Array, power: float) -> Array:
        """Probability of each cell of one pixel of shift, (n, cells)."""
        mass = np.exp(-power * (curve - curve.min(axis=1, keepdims=True)))
        return np.asarray(mass / mass.sum(axis=1, keepdims=True))

    def _redshift(self, match: _Match) -> tuple[Array, Array]:
        mass = self._posterior(match.curve, self.redshift_power)
        below = np.pad(mass.cumsum(axis=1), ((0, 0), (1, 0)))
        edges = min(c.shifts[-1] for c in self.classes) - 0.5 + np.arange(below.shape[1])
        quantiles = np.array([np.interp(LEVELS, p / p[-1], edges) for p in below])
        return match.best * self.step, quantiles * self.step

    def _soften(self, match: _Match, table: pd.DataFrame) -> None:
        """Fit both powers: the likelihood of the classes, the coverage of the intervals."""
        row = np.arange(len(table))
        true = np.array([self.labels.index(label) for label in table["class"]])
        true_y = np.log1p(table["z"].to_numpy(np.float64))
        self.class_power = _fit_power(lambda power: self._prob(match.lowest, power)[row, true])
        low, high = 1e-4, 10.0
        for _ in range(16):  # intervals narrow as the power rises
            self.redshift_power = math.sqrt(low * high)
            _, quantiles = self._redshift(match)
            inside = (quantiles[:, LOW] <= true_y) & (true_y <= quantiles[:, HIGH])
            if inside.mean() > COVERAGE:
                low = self.redshift_power
            else:
                high = self.redshift_power


def _fit_power(probability: Callable[[float], Array]) -> float:
    """The power under which the truth is most probable, between 1e-4 and 10.

    A share MISTAKEN of spectra has a wrong match, whatever the power: else they alone decide it.
    """

    def mean_nll(log_power: float) -> float:
        mixed = (1 - MISTAKEN) * probability(math.exp(log_power)) + MISTAKEN * 1e-3
        return -float(np.log(mixed).mean())

    bounds = (math.log(1e-4), math.log(10))
    return math.exp(minimize_scalar(mean_nll, bounds=bounds, method="bounded").x)


def _templates(
    label: str, rest: Array, last: int, weight: Array, count: int, seed: int
) -> Correlator:
    return Correlator(label, last, eigen_templates(rest, min(count, len(rest)), seed), weight)


def _held_out(train: Rows, seed: int) -> tuple[Rows, Rows]:
    """Train without a fold of its objects, and that fold; twice all of train where it is too small.

    Only spectra with class and redshift are held out.
    """
    labels = labels_of(train.table, CLASS)
    usable = known(labels) & known(labels_of(train.table, TASKS["redshift"]))
    strata = np.where(usable, labels, "")
    counts = {label: int((strata == label).sum()) for label in set(strata.tolist())}
    if all(count < 2 * MIN_SPECTRA for label, count in counts.items() if label):
        return train, train
    for rest, held in folds(strata, objects_of(train.table), seed):
        if usable[held].any():
            return train.take(rest), train.take(held[usable[held]])
    return train, train
