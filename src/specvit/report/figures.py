"""The figures of a run, from predictions and metrics alone: for print and for the report."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, get_args

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from specvit.config.models import MAIN_NETWORK, Config
from specvit.config.reporting import FIGURES, Format
from specvit.errors import DataError
from specvit.evaluate import Predictions, read_all, read_metrics
from specvit.io import atomic_open
from specvit.logs import get_logger, progress
from specvit.metrics.answers import answers, labelled, scores_of
from specvit.metrics.calibration import calibrated
from specvit.metrics.classification import ClassScores
from specvit.metrics.definitions import METRICS, RANKING
from specvit.metrics.values import ValueScores
from specvit.plan import KEY, Plan
from specvit.report import panels
from specvit.report.learning import WATCHED, LearningLog, learning_logs
from specvit.report.names import (
    TASK_NAMES,
    UNITS,
    figure_names,
    model_name,
    train_fractions,
)
from specvit.report.style import (
    COLUMN_MM,
    GUTTER_MM,
    INK,
    MM,
    PAGE_MM,
    file_bytes,
    model_look,
    style,
)
from specvit.tasks import Task

matplotlib.use("agg")

LOG = get_logger(__name__)
FORMATS = get_args(Format)
SYMBOLS = {"teff": r"$T_\mathrm{eff}$", "logg": r"$\log g$", "feh": "[Fe/H]"}


@dataclass(frozen=True)
class Panel:
    """One pair of axes."""

    title: str
    draw: Callable[[Axes], None]


@dataclass(frozen=True)
class Figure:
    """One figure: in print its panels stand in one picture, in the report side by side."""

    name: str
    title: str
    caption: str
    panels: tuple[Panel, ...]
    columns: int = 3
    aspect: float = 1.0
    """Height over width of a panel."""


@dataclass(frozen=True)
class Material:
    """Everything that figures are drawn from."""

    config: Config
    metrics: dict[str, Any]
    predictions: Predictions
    logs: dict[str, LearningLog]
    """How each network learned."""

    @classmethod
    def read(cls, config: Config) -> Material:
        """Read metrics.json and the predictions of the run."""
        metrics, predictions = read_metrics(config.paths.metrics), read_all(config)
        plan = Plan.of(metrics.get(KEY), config.paths.metrics)
        made_from = config.paths.predictions(config.model_names[0])
        plan.check_same(config.paths.metrics, predictions.plan, made_from)
        evaluated = metrics.get("predictions", {})
        other = [name for name, files in predictions.hashes.items() if evaluated.get(name) != files]
        if other or len(evaluated) != len(predictions.hashes):
            raise DataError(
                f"{config.paths.metrics} is not of the predictions that are there ("
                f"{', '.join(other or evaluated.keys() - predictions.hashes.keys())}): run specvit "
                "evaluate again"
            )
        return cls(config, metrics, predictions, learning_logs(config))

    @property
    def compared(self) -> list[str]:
        """The models that figures compare: the ViT and the baselines, not the experiments."""
        return [MAIN_NETWORK, *self.config.baselines.models]

    def tasks(self, *kinds: str) -> list[Task]:
        """The run's tasks of these kinds."""
        return [task for task in self.config.asked if task.kind in kinds]

    def entry(self, task: Task) -> dict[str, Any]:
        """What metrics.json holds of a task."""
        found: dict[str, Any] = self.metrics["tasks"][task.name]
        return found

    def answering(self, task: Task) -> list[str]:
        """Of the compared models, those that answer a task."""
        test = self.predictions.test
        return [name for name in self.compared if answers(test[name], task)]

    def scores(self, task: Task) -> dict[str, Any]:
        """Answers of the compared models to a task."""
        return {name: scores_of(self.predictions.test[name], task) for name in self.answering(task)}

    def column(self, task: Task, name: str) -> np.ndarray[Any, Any]:
        """A column of the predictions, for the rows that have a label of the task."""
        first = self.predictions.test[self.answering(task)[0]]
        values: np.ndarray[Any, Any] = labelled(first, task)[name].to_numpy()
        return values


def build(material: Material) -> Iterator[Figure]:
    """Every figure of the run, in the order of the report."""
    builders: dict[str, Callable[[Material], Figure]] = {
        "learning": _learning,
        "confusion_class": partial(_confusion, name="class"),
        "confusion_stellar_type": partial(_confusion, name="stellar_type"),
        "accuracy_snr": _accuracy_snr,
        "redshift_scatter": _redshift_scatter,
        "redshift_residuals": _redshift_residuals,
        "parameter_scatter": _parameter_scatter,
        "reliability": _reliability,
        "pit": _pit,
        "risk_coverage": _risk_coverage,
        "experiments": _experiments,
        "scaling": _scaling,
    }
    for name in figure_names(material.config):
        yield builders[name](material)


def _learning(material: Material) -> Figure:
    drawn = []
    for task in material.config.asked:
        name = TASK_NAMES[task.name].capitalize()
        loss = partial(panels.losses, logs=material.logs, task=task)
        drawn.append(Panel(f"{name}: loss", loss))
        key, title, factor = WATCHED[task.kind]
        curves = {m: log.validation(task, key, factor) for m, log in material.logs.items()}
        watched = partial(
            panels.watched,
            curves=curves,
            chosen={model: log.chosen for model, log in material.logs.items()},
            title=title + ("" if factor != 1 else UNITS.get(task.name, "")),
        )
        drawn.append(Panel(f"{name}: validation", watched))
    return Figure(
        "learning",
        "Learning curves",
        "Loss on the validation split after each epoch (points) and on batches of the train split "
        "(thin line, of the ViT), and what is watched on the validation split. Ring: the epoch "
        "whose weights were kept, chosen by all tasks together.",
        tuple(drawn),
        columns=2,
        aspect=0.62,
    )


def _confusion(material: Material, name: str) -> Figure:
    task = next(task for task in material.tasks("classification") if task.name == name)
    entry = material.entry(task)
    shown = [label for i, label in enumerate(task.labels) if _occurs(entry, i)]
    keep = [task.labels.index(label) for label in shown]

    def draw(ax: Axes, model: str) -> None:
        counts = np.asarray(entry["models"][model]["confusion"])[np.ix_(keep, keep)]
        panels.confusion(ax, counts.tolist(), shown)

    return Figure(
        f"confusion_{name}",
        f"Confusion matrices: {TASK_NAMES[name]}",
        f"How the test spectra of each {TASK_NAMES[name]} of the catalogue (rows) were classified "
        "(columns): share of the row, and number of spectra.",
        tuple(Panel(model_name(m), partial(draw, model=m)) for m in material.answering(task)),
    )


def _occurs(entry: dict[str, Any], index: int) -> bool:
    """Whether any model or the catalogue uses this label."""
    return any(
        sum(model["confusion"][index]) + sum(row[index] for row in model["confusion"]) > 0
        for model in entry["models"].values()
    )


def _by_bin(material: Material, task: Task, metric: str, by: str) -> Panel:
    entry = material.entry(task)
    models = material.answering(task)
    values = {model: entry["models"][model]["groups"].get(by, {}) for model in models}
    draw = partial(
        panels.by_bin,
        groups=[group for group in entry["groups"] if group["by"] == by],
        values=values,
        metric=metric,
        models=models,
        xlabel={"snr": "Signal-to-noise ratio", "z": "Catalogue redshift"}[by],
        unit=UNITS.get(task.name, ""),
    )
    what = "scatter" if metric == "sigma_nmad" else METRICS[metric].title.lower()
    name = TASK_NAMES[task.name].capitalize()
    return Panel(f"{name}: {what} by {'S/N' if by == 'snr' else 'redshift'}", draw)


def _accuracy_snr(material: Material) -> Figure:
    tasks = material.config.asked
    return Figure(
        "accuracy_snr",
        "Performance by signal-to-noise ratio",
        "Each model in bins of signal-to-noise ratio, with 95 % intervals (bootstrap by object). "
        "Open symbols: bins with too few spectra to conclude from.",
        tuple(_by_bin(material, task, RANKING[task.kind], "snr") for task in tasks),
        columns=2,
        aspect=0.72,
    )


def _redshift_task(material: Material) -> Task:
    return material.tasks("redshift")[0]


def _redshift_scatter(material: Material) -> Figure:
    task = _redshift_task(material)
    classes = material.column(task, "class")
    return Figure(
        "redshift_scatter",
        "Predicted against catalogue redshift",
        "Axes are even in log(1 + z). Rings: outliers with |Δz| > 0.05, where Δz = (z_pred − z) "
        "/ (1 + z); dashed: that limit. Predictions outside the axes stand on their edge.",
        tuple(
            Panel(model_name(name), partial(panels.redshift_scatter, scores=s, classes=classes))
            for name, s in material.scores(task).items()
        ),
    )


def _redshift_residuals(material: Material) -> Figure:
    task = _redshift_task(material)
    first, scores = next(iter(material.scores(task).items()))
    classes = material.column(task, "class")
    drawn = [
        Panel(
            f"{model_name(first)}: residuals by {label}",
            partial(
                panels.residuals,
                scores=scores,
                against=material.column(task, column).astype(float),
                classes=classes,
                what=column,
            ),
        )
        for column, label in (("z", "redshift"), ("snr", "signal-to-noise ratio"))
    ]
    summaries = [_by_bin(material, task, "sigma_nmad", by) for by in ("z", "snr")]
    return Figure(
        "redshift_residuals",
        "Redshift residuals",
        f"Above: Δz of each test spectrum ({model_name(first)}), with the running median and the "
        f"band that holds 68 %, in bins of at least {panels.MIN_RUNNING} spectra; the axis is "
        "linear around 0, logarithmic beyond. Below: scatter (σ_NMAD) of each model in bins, with "
        "95 % intervals; open symbols: too few spectra.",
        (*drawn, *summaries),
        columns=2,
        aspect=0.72,
    )


def _parameter_scatter(material: Material) -> Figure:
    drawn = []
    for task in material.tasks("regression"):
        first, scores = next(iter(material.scores(task).items()))
        draw = partial(
            panels.parameter_scatter,
            scores=scores,
            name=SYMBOLS[task.name],
            unit=UNITS[task.name],
        )
        drawn.append(Panel(f"{model_name(first)}: {TASK_NAMES[task.name]}", draw))
    return Figure(
        "parameter_scatter",
        "Predicted against catalogue parameters",
        "Test spectra that have the parameter in the catalogue; the line is equality.",
        tuple(drawn),
    )


def _reliability(material: Material) -> Figure:
    drawn = []
    for task in material.tasks("classification"):
        scores: dict[str, ClassScores] = material.scores(task)
        found, models = material.entry(task)["models"], material.answering(task)
        for name, before in scores.items():
            draw = partial(
                panels.reliability_diagram,
                before=before,
                after=calibrated(before, found[name]["calibration"]["temperature"]),
                look=model_look(name, models),
            )
            drawn.append(Panel(f"{TASK_NAMES[task.name].capitalize()}: {model_name(name)}", draw))
    return Figure(
        "reliability",
        "Reliability diagrams",
        "Accuracy of the test spectra against the confidence of the model, in 15 bins (those with "
        f"at least {panels.MIN_BIN} spectra), with 95 % intervals (Wilson 1927); the diagonal is "
        "perfect calibration. Filled: as predicted; open: after dividing the logits by a "
        "temperature fitted on the validation split. Grey: number of spectra in each bin, as "
        "predicted.",
        tuple(drawn),
    )


def _pit(material: Material) -> Figure:
    drawn = []
    for task in material.tasks("redshift", "regression"):
        models = material.answering(task)
        scores: dict[str, ValueScores] = material.scores(task)
        pits = {name: answer.pit for name, answer in scores.items()}
        name = TASK_NAMES[task.name].capitalize()
        drawn += [
            Panel(f"{name}: PIT", partial(panels.pit_histogram, pits=pits, models=models)),
            Panel(f"{name}: coverage", partial(panels.coverage_curve, pits=pits, models=models)),
        ]
    return Figure(
        "pit",
        "Calibration of predicted distributions",
        "Left: probability integral transform of the truth, flat where the predicted distributions "
        "are calibrated. Right: share of truths inside central intervals, on the diagonal where "
        "they are calibrated; below it the intervals are too narrow.",
        tuple(drawn),
        columns=2,
    )


def _risk_coverage(material: Material) -> Figure:
    drawn = []
    target = material.metrics["target_risk"]
    for task in material.tasks("classification", "redshift"):
        failure = "errors" if task.kind == "classification" else "|Δz| > 0.05"
        draw = partial(
            panels.risk_coverage_curve,
            answers=material.scores(task),
            models=material.answering(task),
            selective={n: m["selective"] for n, m in material.entry(task)["models"].items()},
            target=target,
            failure=failure,
        )
        drawn.append(Panel(TASK_NAMES[task.name].capitalize(), draw))
    return Figure(
        "risk_coverage",
        "Selective prediction",
        "Share of failures among the spectra that a model is most sure of, against the share "
        f"accepted; linear up to {100 * target:g} % (dashed), logarithmic above. Points: where the "
        "threshold that reaches it on the validation split lies on test. Confidence is the largest "
        "probability, or the narrowness of the 68 % interval.",
        tuple(drawn),
        columns=2,
        aspect=0.72,
    )


def _experiments(material: Material) -> Figure:
    config = material.config
    models = [*config.experiment_names, *config.baselines.models]
    drawn = []
    for task in config.asked:
        metric = RANKING[task.kind]
        found = material.entry(task)["models"]
        answering = [name for name in models if name in found]
        entries = {name: found[name]["groups"]["all"]["all"][metric] for name in answering}
        unit = UNITS.get(task.name, "")
        draw = partial(panels.forest, entries=entries, models=models, metric=metric, unit=unit)
        drawn.append(Panel(TASK_NAMES[task.name].capitalize(), draw))
    return Figure(
        "experiments",
        "Experiments",
        "Every network and baseline of this run on the same test spectra, with 95 % intervals "
        "(bootstrap by object).",
        tuple(drawn),
        columns=2,
        aspect=0.25 + 0.07 * len(models),
    )


def _scaling(material: Material) -> Figure:
    fractions = train_fractions(material.config)
    drawn = []
    for task in material.config.asked:
        metric = RANKING[task.kind]
        found = material.entry(task)["models"]
        points = [
            (fraction, found[name]["groups"]["all"]["all"][metric])
            for name, fraction in fractions.items()
            if name in found
        ]
        unit = UNITS.get(task.name, "")
        draw = partial(panels.scaling_curve, points=points, metric=metric, unit=unit)
        drawn.append(Panel(TASK_NAMES[task.name].capitalize(), draw))
    return Figure(
        "scaling",
        "Scaling with the training set",
        "The ViT trained on nested parts of the train split; band: 95 % interval.",
        tuple(drawn),
        columns=2,
        aspect=0.72,
    )


def compose(figure: Figure, simulated: bool, page_mm: float = PAGE_MM) -> Canvas:
    """The figure for print, as wide as the page or one of its two columns, panels lettered."""
    count = len(figure.panels)
    columns = min(figure.columns, count)
    rows = math.ceil(count / columns)
    width = ((page_mm - GUTTER_MM) / 2 if count == 1 else page_mm) * MM
    each = width / columns
    canvas = Canvas(figsize=(width, each * figure.aspect * rows + 0.16), layout="constrained")
    axes = canvas.subplots(rows, columns, squeeze=False).ravel()
    for i, (ax, panel) in enumerate(zip(axes, figure.panels, strict=False)):
        panel.draw(ax)
        letter = f"({chr(ord('a') + i)})  " if count > 1 else ""
        ax.set_title(letter + panel.title, loc="left", pad=6 + 10.5 * panels.legend_rows(ax))
    for ax in axes[count:]:
        ax.set_visible(False)
    if simulated:
        mark_simulated(canvas)
    # Laid out once: otherwise each format would lay it out again, and most time goes there.
    # Twice, because the room for titles and legends is known only after the first.
    engine = canvas.get_layout_engine()
    assert engine is not None, "made with a layout"
    engine.execute(canvas)
    engine.execute(canvas)
    canvas.set_layout_engine("none")
    return canvas


def mark_simulated(canvas: Canvas) -> None:
    """Write on the figure that its data are simulated."""
    canvas.supxlabel("Simulated data", x=0.995, ha="right", fontsize=6.5, style="italic", color=INK)


def draw_panel(panel: Panel, figure: Figure) -> Canvas:
    """One panel alone for the report, which has the title and the notes."""
    # Smaller where three stand side by side, so that letters have one size on the page.
    width = (66.0 if figure.columns == 3 else COLUMN_MM) * MM
    canvas = Canvas(figsize=(width, width * figure.aspect), layout="constrained")
    panel.draw(canvas.subplots())
    return canvas


def write_figures(config: Config) -> None:
    """Write every figure of the run in every format of `report.formats`.

    Those of an earlier configuration that this one does not have are removed.
    """
    report, material = config.report, Material.read(config)
    names = figure_names(config)
    with progress("figures", len(names), "figures") as ticker, style(report.style):
        for figure in build(material):
            canvas = compose(figure, material.metrics["simulated"], report.width_mm)
            for kind in report.formats:
                with atomic_open(config.paths.figures / f"{figure.name}.{kind}") as handle:
                    handle.write(file_bytes(canvas, kind))
            ticker.advance()
    made = {f"{name}.{kind}" for name in names for kind in report.formats}
    for path in sorted(config.paths.figures.iterdir()):
        if path.stem in FIGURES and path.suffix[1:] in FORMATS and path.name not in made:
            path.unlink()
            LOG.info("removed %s: this run has no such figure any more", path)
