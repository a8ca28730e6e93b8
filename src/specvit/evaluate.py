"""From predictions to metrics.json: every number that tables, figures and report show."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import binomtest

from specvit.config.models import MAIN_NETWORK, Config
from specvit.errors import DataError
from specvit.io import read_json, read_parquet, sha256_file
from specvit.logs import progress
from specvit.metrics.answers import TaskScores, answers, labelled, scores_of
from specvit.metrics.calibration import (
    IntervalFactors,
    calibrated,
    fit_temperature,
    pit_distance,
    recalibrated_pit,
    widened,
)
from specvit.metrics.classification import ClassScores, confusion
from specvit.metrics.definitions import COMPARED, HEADLINE, METRICS, SHARES
from specvit.metrics.groups import OVERALL, Group, make_groups
from specvit.metrics.score import Estimate, Estimates, Scores, holm, score
from specvit.metrics.selective import Selective, aurc, threshold_for
from specvit.metrics.values import OUTLIERS, ValueScores
from specvit.plan import KEY, Plan, one_plan
from specvit.predictions import WEIGHTS_HASH, check_predictions, check_weights, weights_of
from specvit.tasks import Task

FORMAT = 2
MIN_GROUP = 30
"""Groups with fewer spectra are marked as too small to conclude from: a share of 0.9 of 30 spectra
is known to within 0.11."""
TARGET_RISK = 0.01
"""Share of errors or outliers that selective prediction has to reach by refusing spectra: what is
asked of catalogues that others build on."""


@dataclass(frozen=True)
class Predictions:
    """The predictions of all models, rows aligned: row i is the same spectrum in every frame."""

    test: dict[str, pd.DataFrame]
    val: dict[str, pd.DataFrame]
    plan: Plan
    hashes: dict[str, dict[str, str]]
    """SHA-256 of each model's file of each split."""
    weights: dict[str, str]
    """Which trained model of each name gave them."""


def read_all(config: Config) -> Predictions:
    """Read test and val predictions of every model of the run.

    Raises DataError where a file is missing, or where two models were not given the same spectra
    with the same labels, or not those of one plan: they could not be compared.
    """
    files = [config.paths.predictions(n, s) for n in config.model_names for s in ("test", "val")]
    plan = one_plan((path, Plan.of_parquet(path)) for path in files)
    splits = {}
    for split in ("test", "val"):
        frames = {
            name: read_parquet(config.paths.predictions(name, split)).sort_values(
                "spectrum_id", ignore_index=True
            )
            for name in config.model_names
        }
        _check_same(frames, config.asked, split)
        splits[split] = frames
    hashes = {
        name: {split: sha256_file(config.paths.predictions(name, split)) for split in splits}
        for name in config.model_names
    }
    weights = {name: weights_of(config.paths.predictions(name, "val")) for name in hashes}
    return Predictions(splits["test"], splits["val"], plan, hashes, weights)


def _check_same(frames: Mapping[str, pd.DataFrame], tasks: list[Task], split: str) -> None:
    first_name, first = next(iter(frames.items()))
    for name, frame in frames.items():
        present = [task for task in tasks if answers(frame, task)]
        try:
            check_predictions(frame, present)
        except DataError as error:
            raise DataError(f"{split} predictions of {name}: {error}") from error
        if not frame["spectrum_id"].equals(first["spectrum_id"]):
            odd = set(frame["spectrum_id"]) ^ set(first["spectrum_id"])
            raise DataError(
                f"{split} predictions of {first_name} and {name} are not of the same spectra: "
                f"{len(odd)} are in one only, first {min(odd)}; make both again"
            )
        for task in present:
            column = f"{task.name}_true"
            if column in first and not _equal(first[column], frame[column]):
                raise DataError(
                    f"{split} predictions of {first_name} and {name} disagree on {column}: one of "
                    "them was made from older shards; make both again"
                )


def _equal(a: pd.Series, b: pd.Series) -> bool:
    return bool(((a == b) | (a.isna() & b.isna())).all())


def evaluate(config: Config) -> dict[str, Any]:
    """Compute everything that metrics.json holds.

    For each task: the groups with their sizes; for each model its metrics in each group with 95 %
    intervals, confusion matrix, calibration before and after a fit on val, selective prediction;
    and for each model but the ViT the paired differences ViT - model. Networks that differ from
    another in their seed alone are in no difference: their spread is given for each experiment.
    Numbers have six digits; null stands where a number is undefined.

    Differences that the report shows are one family: each has a p-value adjusted by Holm's method.
    Raises DataError as `read_all`, and where a network was trained again since it predicted.
    """
    for name in config.network_names:
        for split in ("test", "val"):
            summary = config.paths.model_dir(name) / "training.json"
            check_weights(config.paths.predictions(name, split), summary)
    predictions = read_all(config)
    tasks = config.asked
    found = {}
    with progress("metrics", len(tasks), "tasks") as ticker:
        for task in tasks:
            found[task.name] = _evaluate_task(config, task, predictions)
            ticker.advance()
    shown = _adjust(found, config)
    first = next(iter(predictions.test.values()))
    return {
        "format": FORMAT,
        "run": config.run,
        KEY: dict(predictions.plan.values),
        "predictions": predictions.hashes,
        WEIGHTS_HASH: predictions.weights,
        "simulated": config.is_simulated,
        "seed": config.split.seed,
        "bootstrap": config.evaluate.bootstrap,
        "min_group": MIN_GROUP,
        "target_risk": TARGET_RISK,
        "comparisons": shown,
        "networks": config.experiment_names,
        "seeds": {name: config.seed_names(name) for name in config.experiment_names},
        "models": config.model_names,
        "test": {"spectra": len(first), "objects": int(first["object_id"].nunique())},
        "val": {"spectra": len(next(iter(predictions.val.values())))},
        "tasks": found,
    }


def read_metrics(path: Path) -> dict[str, Any]:
    """What `evaluate` computed. Raises DataError where it is missing or of another FORMAT."""
    metrics = read_json(path)
    written = metrics.get("format") if isinstance(metrics, dict) else None
    if written != FORMAT:
        raise DataError(
            f"{path} has {'no format' if written is None else f'format {written}'}, this version "
            f"of specvit reads {FORMAT}: run specvit evaluate again"
        )
    found: dict[str, Any] = metrics
    return found


def _evaluate_task(config: Config, task: Task, predictions: Predictions) -> dict[str, Any]:
    answering = [name for name, frame in predictions.test.items() if answers(frame, task)]
    if not answering:
        raise DataError(f"no model answers the task {task.name}: there is nothing to evaluate")
    identity = labelled(predictions.test[answering[0]], task)
    if len(identity) == 0:
        raise DataError(
            f"no test spectrum has a label of the task {task.name}: take it out of `tasks`, or "
            "select more spectra"
        )
    groups = make_groups(identity, config.evaluate)
    objects = pd.factorize(identity["object_id"].fillna(identity["spectrum_id"]))[0]
    scores = {name: scores_of(predictions.test[name], task) for name in answering}
    val = {name: scores_of(predictions.val[name], task) for name in answering}
    draw = _Draw(groups, objects, config.evaluate.bootstrap, config.split.seed)
    estimates = draw.score(scores)
    calibration = _calibration(draw, scores, val, estimates)
    selective = _selective(draw, scores, val, TARGET_RISK)
    extra = set(config.network_names) - set(config.experiment_names)
    return {
        "kind": task.kind,
        "labels": list(task.labels),
        "spectra": len(identity),
        "objects": _distinct(objects),
        "unlabelled": len(next(iter(predictions.test.values()))) - len(identity),
        "groups": [_describe(group, objects, MIN_GROUP) for group in groups],
        "models": {
            name: {
                "unanswered": _unanswered(scores[name]),
                "groups": _nested(estimates[name], draw.sizes),
                "confusion": _confusion(scores[name]),
                "calibration": calibration[name],
                "selective": selective[name],
            }
            for name in answering
        },
        "differences": _differences(
            task, {name: found for name, found in estimates.items() if name not in extra}
        ),
        "spread": {
            name: _spread(task, [estimates[network] for network in config.seed_names(name)])
            for name in config.experiment_names
            if len(config.seed_names(name)) > 1
        },
    }


@dataclass(frozen=True)
class _Draw:
    """What every scoring of one task shares, so that all differences are paired."""

    groups: list[Group]
    objects: NDArray[np.int64]
    samples: int
    seed: int

    @cached_property
    def sizes(self) -> dict[tuple[str, str], int]:
        """Number of objects in each group."""
        return {(g.by, g.name): _distinct(self.objects[g.mask]) for g in self.groups}

    def score(self, scores: Mapping[str, Scores], by: tuple[str, ...] = ()) -> dict[str, Estimates]:
        """Score in all groups, or only in those of some kinds."""
        groups = [group for group in self.groups if not by or group.by in by]
        return score(scores, groups, self.objects, self.samples, self.seed)


def _differences(task: Task, estimates: Mapping[str, Estimates]) -> dict[str, Any]:
    """Differences ViT - model: every metric over all spectra, the compared ones in groups."""
    if MAIN_NETWORK not in estimates:
        return {}
    ours = estimates[MAIN_NETWORK]
    differences: dict[str, Any] = {}
    for name, theirs in estimates.items():
        if name == MAIN_NETWORK:
            continue
        nested = differences.setdefault(name, {})
        for (by, group), by_metric in theirs.items():
            gaps = {
                metric: ours[by, group][metric] - other
                for metric, other in by_metric.items()
                if (by, group) == OVERALL or metric in COMPARED[task.kind]
            }
            nested.setdefault(by, {})[group] = {
                metric: {**_entry(gap), "p": gap.p_value} for metric, gap in gaps.items()
            }
    return differences


def _spread(task: Task, networks: list[Estimates]) -> dict[str, Any]:
    """Each headline metric over networks that differ in their seed alone, over all spectra."""
    spread = {}
    for metric in HEADLINE[task.kind]:
        values = np.array([estimates[OVERALL][metric].value for estimates in networks])
        found = {
            "mean": values.mean(),
            "deviation": values.std(ddof=1),
            "lowest": values.min(),
            "highest": values.max(),
        }
        spread[metric] = {name: rounded(float(value)) for name, value in found.items()}
    return spread


def _adjust(tasks: Mapping[str, Any], config: Config) -> int:
    """Adjust the p-values of the differences that the report shows; return how many there are.

    Shown are those between the ViT and the baselines in metrics with a better direction, and over
    all spectra also those between it and the experiments; p is null for all others.
    """
    family: list[dict[str, Any]] = []
    for task in tasks.values():
        for name, groups in task["differences"].items():
            for by, by_group in groups.items():
                names = HEADLINE[task["kind"]] if by == "all" else COMPARED[task["kind"]]
                directed = {n for n in names if METRICS[n].better in ("higher", "lower")}
                for metric, entry in ((m, e) for es in by_group.values() for m, e in es.items()):
                    is_shown = by == "all" or name not in config.network_names
                    if is_shown and metric in directed and math.isfinite(entry["p"]):
                        family.append(entry)
                    else:
                        entry["p"] = None
    for entry, p in zip(family, holm([entry["p"] for entry in family]), strict=True):
        entry["p"] = rounded(p)
    return len(family)


def _calibration(
    draw: _Draw,
    scores: Mapping[str, TaskScores],
    val: Mapping[str, TaskScores],
    estimates: Mapping[str, Estimates],
) -> dict[str, Any]:
    """Calibration of each model, before and after the fit on val; intervals by class too."""
    fitted: dict[str, Scores] = {}
    described: dict[str, dict[str, Any]] = {}
    for name, ours in scores.items():
        theirs = val[name]
        if isinstance(ours, ClassScores) and isinstance(theirs, ClassScores):
            temperature = fit_temperature(theirs)
            fitted[name] = calibrated(ours, temperature)
            described[name] = {"temperature": rounded(temperature), "val": len(theirs.true)}
        elif isinstance(ours, ValueScores) and isinstance(theirs, ValueScores):
            factors = IntervalFactors.fit(theirs)
            fitted[name] = widened(ours, factors.of(ours))
            after = recalibrated_pit(ours.pit, theirs.pit)
            described[name] = {
                "interval_factor": rounded(factors.common),
                "by_class": {label: rounded(value) for label, value in factors.by_class.items()},
                "val": factors.val,
                "pit_ks": {
                    "before": rounded(pit_distance(ours.pit)),
                    "after": rounded(pit_distance(after)),
                },
            }
    after_fit = draw.score(fitted, by=("all", "class"))
    for name, description in described.items():
        is_class = isinstance(scores[name], ClassScores)
        for when, source in (("before", estimates[name]), ("after", after_fit[name])):
            if is_class:
                everything = source[OVERALL]
                description[when] = {m: _entry(everything[m]) for m in ("ece", "nll", "brier")}
            else:
                description[when] = _coverages(draw, source)
    return described


def _coverages(draw: _Draw, estimates: Estimates) -> dict[str, Any]:
    """Coverage of the 68 % intervals over all spectra and by the catalogue's class."""
    return {
        name: _entry(metrics["coverage_68"], draw.sizes[by, name])
        for (by, name), metrics in estimates.items()
        if by in ("all", "class")
    }


def fitted_calibration(metrics: Mapping[str, Any], model: str) -> dict[str, Any]:
    """What was fitted on val for one model, by task: to be applied to spectra without labels.

    Probabilities p become p^(1/temperature), made to sum to 1; both sides of an interval are
    multiplied by the factor of the predicted class, or by the common one where it has none.
    """
    keys = ("temperature", "interval_factor", "by_class", "val")
    tasks = {}
    for task, found in metrics["tasks"].items():
        if model in found["models"]:
            calibration = found["models"][model]["calibration"]
            tasks[task] = {key: calibration[key] for key in keys if key in calibration}
    about = {key: metrics[key] for key in ("format", "run", KEY)}
    return {**about, "model": model, WEIGHTS_HASH: metrics[WEIGHTS_HASH][model], "tasks": tasks}


def _selective(
    draw: _Draw, scores: Mapping[str, TaskScores], val: Mapping[str, TaskScores], target: float
) -> dict[str, Any]:
    """What refusing gives on test, below the confidence that reaches the target risk on val."""
    chosen = {
        name: Selective(
            *(ours.confidence, ours.wrong),
            threshold_for(val[name].confidence, val[name].wrong, target),
        )
        for name, ours in scores.items()
        if (isinstance(ours, ClassScores) or ours.limit is not None)
        and np.isfinite(ours.confidence).any()
    }
    estimates = draw.score(chosen, by=("all",))
    described: dict[str, Any] = dict.fromkeys(scores)
    for name, selective in chosen.items():
        found = estimates[name][OVERALL]
        objects = {
            "refused_at_target": _distinct(draw.objects),
            "risk_at_target": _distinct(draw.objects[selective.accepted]),
        }
        is_class = isinstance(scores[name], ClassScores)
        described[name] = {
            "failure": "wrong class" if is_class else f"|Δz| > {OUTLIERS[1]:g}",
            "risk": rounded(float(selective.wrong.mean()) if len(selective.wrong) else math.nan),
            "aurc": rounded(aurc(selective.confidence, selective.wrong)),
            "threshold": rounded(selective.threshold),
            **{metric: _entry(found[metric], n) for metric, n in objects.items()},
        }
    return described


def _describe(group: Group, objects: NDArray[np.int64], smallest: int) -> dict[str, Any]:
    n = int(group.mask.sum())
    return {
        "by": group.by,
        "name": group.name,
        "low": group.low,
        "high": group.high,
        "n": n,
        "objects": _distinct(objects[group.mask]),
        "small": n < smallest,
    }


def _distinct(numbers: NDArray[np.int64]) -> int:
    return int(np.count_nonzero(np.bincount(numbers)))


def _unanswered(answer: TaskScores) -> int:
    missing = answer.pred < 0 if isinstance(answer, ClassScores) else ~np.isfinite(answer.pred)
    return int(missing.sum())


def _confusion(answer: TaskScores) -> list[list[int]] | None:
    return confusion(answer).tolist() if isinstance(answer, ClassScores) else None


def _nested(estimates: Estimates, objects: Mapping[tuple[str, str], int]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for key, metrics in estimates.items():
        entries = {
            metric: _entry(estimate, objects[key] if metric in SHARES else 0)
            for metric, estimate in metrics.items()
        }
        nested.setdefault(key[0], {})[key[1]] = entries
    return nested


def _entry(estimate: Estimate, objects: int = 0) -> dict[str, float | None]:
    """Value and interval; where the draws are all alike, the interval of `objects` trials or none.

    A bootstrap knows nothing about failures that the sample happens not to have.
    """
    low, high = estimate.interval
    if low == high:
        exact = objects and estimate.value in (0, 1)
        low, high = exact_interval(estimate.value, objects) if exact else (math.nan, math.nan)
    return {"value": rounded(estimate.value), "lo": rounded(low), "hi": rounded(high)}


def exact_interval(share: float, n: int) -> tuple[float, float]:
    """95 % interval of a share that is 0 or 1 in n independent objects (Clopper & Pearson 1934)."""
    low, high = binomtest(round(share * n), n).proportion_ci(0.95, method="exact")
    return float(low), float(high)


def rounded(value: float) -> float | None:
    """Six significant digits, so that the last bits of a sum do not differ by machine; or None."""
    return float(f"{value:.6g}") if math.isfinite(value) else None
