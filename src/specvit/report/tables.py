"""Tables of a run, made from metrics.json alone: one object each for CSV, LaTeX and the report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from specvit.config.experiments import Experiment
from specvit.io import csv_text, write_text
from specvit.metrics.calibration import MIN_FITTED
from specvit.metrics.definitions import HEADLINE, METRICS, RANKING, decimals_of, improvement, shown
from specvit.report.names import TASK_NAMES, model_name
from specvit.tasks import TASKS

Entry = dict[str, Any]
"""{"value": ..., "lo": ..., "hi": ...} of metrics.json, of a difference also p; null: undefined."""
SIGNIFICANCE = 0.05
"""The chance that any comparison of the report is decided between equal models."""


@dataclass(frozen=True)
class Number:
    """A metric with its interval, as it stands in metrics.json."""

    metric: str
    entry: Entry
    place: str = ""
    """Where metrics.json holds it, class/vit/all/all/accuracy; empty if nowhere."""
    strong: bool = False
    """Set in bold: the best of its column, or a difference beyond its interval."""
    small: bool = False
    """From too few spectra to conclude from."""
    verdict: int = 0
    """Of a difference: 1 where the ViT is better beyond the interval, -1 where it is worse."""

    @property
    def value(self) -> str:
        """The value as shown."""
        return shown(self.metric, self.entry["value"])

    @property
    def interval(self) -> str:
        """The interval as shown, empty where there is none."""
        if self.entry.get("lo") is None:
            return ""
        return f"[{shown(self.metric, self.entry['lo'])}, {shown(self.metric, self.entry['hi'])}]"


Cell = Number | str | int


@dataclass(frozen=True)
class Table:
    """A table for people; `csv_rows` may hold more than is shown."""

    name: str
    title: str
    caption: str
    columns: tuple[str, ...]
    latex_columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def as_csv(self) -> str:
        """Plain values; a metric takes three columns, value, lo and hi, unrounded."""
        header: list[str] = []
        for i, name in enumerate(self.columns):
            numbers = [row[i] for row in self.rows if isinstance(row[i], Number)]
            if numbers:
                metric = numbers[0].metric if isinstance(numbers[0], Number) else name
                key = name.lower().replace(" ", "_") if self._several(metric) else metric
                header += [key, f"{key}_lo", f"{key}_hi"]
            else:
                header.append(name)
        lines = [[value for cell in row for value in _plain(cell)] for row in self.rows]
        return csv_text(header, lines)

    def _several(self, metric: str) -> bool:
        """Whether more than one column holds this metric."""
        holders = {
            i
            for row in self.rows
            for i, cell in enumerate(row)
            if isinstance(cell, Number) and cell.metric == metric
        }
        return len(holders) > 1

    def as_latex(self) -> str:
        """A table in the style of A&A (horizontal lines only), ready to be read by LaTeX."""
        numeric = [any(isinstance(row[i], Number) for row in self.rows) for i in range(self.width)]
        cells = [[_latex(cell) for cell in row] for row in self.rows]
        lines = {"toprule": "hline\\hline", "midrule": "hline", "bottomrule": "hline"}
        styles = [{"selector": name, "props": f":{rule}"} for name, rule in lines.items()]
        styler = pd.DataFrame(cells, columns=list(self.latex_columns)).style.hide(axis="index")
        text: str = styler.set_table_styles(styles).to_latex(
            environment="table*",
            position_float="centering",
            caption=escape(self.caption),
            label=f"tab:{self.name.replace('_', '-')}",
            column_format="".join("c" if n else "l" for n in numeric),
        )
        return text

    @property
    def width(self) -> int:
        """Number of columns."""
        return len(self.columns)


def _plain(cell: Cell) -> list[Any]:
    if isinstance(cell, Number):
        return [cell.entry["value"], cell.entry.get("lo"), cell.entry.get("hi")]
    return [cell]


def _latex(cell: Cell) -> str:
    if not isinstance(cell, Number):
        return escape(str(cell))
    value, low, high = (cell.entry.get(key) for key in ("value", "lo", "hi"))
    if value is None:
        return r"\ldots"
    text = _math(shown(cell.metric, value))
    if low is not None and high is not None:
        decimals = decimals_of(cell.metric, value)
        up, down = (shown(cell.metric, abs(x), decimals) for x in (high - value, value - low))
        text = f"{text}_{{-{down}}}^{{+{up}}}"
    return rf"$\mathbf{{{text}}}$" if cell.strong else f"${text}$"


def _math(text: str) -> str:
    return text.replace("\N{MINUS SIGN}", "-")


_SPECIAL = str.maketrans(
    {
        **{character: f"\\{character}" for character in "&%$#_{}"},
        **{character: f"${character}$" for character in "|<>"},
        **{"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"},
        **{"Δ": r"$\Delta$", "σ": r"$\sigma$", "²": "$^2$"},
        **{"\N{MINUS SIGN}": "$-$", "\N{EN DASH}": "--"},
    }
)


def escape(text: str) -> str:
    """Plain text with LaTeX's special characters made safe, in ASCII."""
    return text.translate(_SPECIAL)


def _column(metric: str) -> tuple[str, str]:
    """Heading of a metric's column, plain and LaTeX."""
    return METRICS[metric].title, METRICS[metric].latex


def _table(
    name: str,
    title: str,
    caption: str,
    columns: Sequence[str | tuple[str, str]],
    rows: Sequence[Sequence[Cell]],
) -> Table:
    pairs = [c if isinstance(c, tuple) else (c, escape(c)) for c in columns]
    plain, latex = (tuple(part) for part in zip(*pairs, strict=True))
    return Table(name, title, caption, plain, latex, tuple(tuple(row) for row in rows))


def task_names(metrics: dict[str, Any]) -> list[str]:
    """The tasks of the run, in the order in which the package lists them."""
    return [name for name in TASKS if name in metrics["tasks"]]


def compared(metrics: dict[str, Any], task: str) -> list[str]:
    """The ViT and the baselines that answer a task: what all tables but one compare."""
    others = set(metrics["networks"][1:])
    return [name for name in each_once(metrics, task) if name not in others]


def each_once(metrics: dict[str, Any], task: str) -> list[str]:
    """The models that answer a task, of each experiment the network of its first seed alone."""
    extra = {name for names in metrics["seeds"].values() for name in names[1:]}
    found = metrics["tasks"][task]["models"]
    return [name for name in metrics["models"] if name in found and name not in extra]


def overall(metrics: dict[str, Any], task: str, model: str) -> dict[str, Entry]:
    """A model's metrics over all test spectra."""
    found: dict[str, Entry] = metrics["tasks"][task]["models"][model]["groups"]["all"]["all"]
    return found


def best_model(
    metrics: dict[str, Any], task: str, models: Sequence[str], metric: str
) -> str | None:
    """The model with the best value of a metric that has a better direction (first of equals)."""
    if METRICS[metric].better not in ("higher", "lower"):
        return None
    values = {m: overall(metrics, task, m).get(metric, {}).get("value") for m in models}
    known = {m: v for m, v in values.items() if v is not None}
    sign = 1 if METRICS[metric].better == "higher" else -1
    return max(known, key=lambda m: sign * known[m]) if known else None


def _note(metrics: dict[str, Any]) -> str:
    weights = "these weights"
    if any(len(names) > 1 for names in metrics["seeds"].values()):
        weights += "; how much they matter, the spread over seeds shows"
    text = (
        f"95 % intervals from {metrics['bootstrap']} bootstrap samples drawn by object, for "
        f"{weights}."
    )
    return f"{text} Simulated data." if metrics["simulated"] else text


def headline(metrics: dict[str, Any], task: str) -> Table:
    """The models side by side, over all test spectra."""
    entry = metrics["tasks"][task]
    models = compared(metrics, task)
    names = HEADLINE[entry["kind"]]
    best = {metric: best_model(metrics, task, models, metric) for metric in names}
    rows: list[list[Cell]] = []
    for model in models:
        values = overall(metrics, task, model)
        place = f"{task}/{model}/all/all"
        cells = [Number(m, values[m], f"{place}/{m}", best[m] == model) for m in names]
        rows.append([model_name(model), *cells])
    caption = (
        f"{TASK_NAMES[task].capitalize()} of {entry['spectra']:,} test spectra of "
        f"{entry['objects']:,} objects. Bold: best value of the column. {_note(metrics)}"
    )
    columns: list[str | tuple[str, str]] = ["Model", *map(_column, names)]
    return _table(f"headline_{task}", TASK_NAMES[task].capitalize(), caption, columns, rows)


BY_NAMES = {
    "class": "Class",
    "survey": "Survey",
    "snr": "S/N",
    "z": "Redshift",
    "subclass": "Subclass",
}


def group_name(by: str, name: str) -> str:
    """A group as people write it: `LAMOST`, `< 0.005`, `5 to 10`."""
    return (
        name.upper()
        if by == "survey"
        else name.replace("-", "\N{MINUS SIGN}", 1)
        if by in ("z", "snr")
        else name
    )


def groups(metrics: dict[str, Any], task: str) -> Table:
    """The ranking metric of each model in each group."""
    entry = metrics["tasks"][task]
    models = compared(metrics, task)
    metric = RANKING[entry["kind"]]
    rows: list[list[Cell]] = []
    for group in entry["groups"]:
        if group["by"] == "all":
            continue
        by, name, small = group["by"], group["name"], group["small"]
        cells = [
            Number(
                metric,
                entry["models"][model]["groups"][by][name][metric],
                f"{task}/{model}/{by}/{name}/{metric}",
                small=small,
            )
            for model in models
        ]
        count = f"{group['n']} (few)" if small else str(group["n"])
        rows.append([BY_NAMES[by], group_name(by, name), count, *cells])
    title = METRICS[metric].title
    caption = (
        f"{title} ({METRICS[metric].meaning}) in groups of test spectra. Groups with fewer than "
        f"{metrics['min_group']} spectra are marked: no conclusion rests on them. {_note(metrics)}"
    )
    columns = ["By", "Group", "Spectra", *(model_name(model) for model in models)]
    heading = f"{TASK_NAMES[task].capitalize()}: {title.lower()} in groups"
    return _table(f"groups_{task}", heading, caption, columns, rows)


def differences(metrics: dict[str, Any], task: str) -> Table | None:
    """Paired differences between the ViT and every other compared model."""
    entry = metrics["tasks"][task]
    names = [m for m in HEADLINE[entry["kind"]] if METRICS[m].better in ("higher", "lower")]
    rows: list[list[Cell]] = []
    for model in compared(metrics, task):
        found = entry["differences"].get(model)
        if found:
            values = found["all"]["all"]
            signs = {m: decided(m, values[m]) for m in names}
            cells = [Number(m, values[m], strong=signs[m] != 0, verdict=signs[m]) for m in names]
            rows.append([f"ViT − {model_name(model)}", *cells])
    if not rows:
        return None
    caption = (
        "Differences between models on the same draws of the same objects. Bold: decided, among "
        f"all {metrics['comparisons']} comparisons of the report (Holm 1979). {_note(metrics)}"
    )
    columns: list[str | tuple[str, str]] = ["Difference", *map(_column, names)]
    heading = f"{TASK_NAMES[task].capitalize()}: paired differences"
    return _table(f"differences_{task}", heading, caption, columns, rows)


def decided(metric: str, difference: Entry) -> int:
    """1 where the ViT is better beyond doubt, -1 where it is worse, else 0.

    Decided is what Holm's adjusted p-value over all comparisons of the report puts below 0.05 and
    whose own 95 % interval does not hold 0.
    """
    low, high, p = (difference.get(key) for key in ("lo", "hi", "p"))
    if low is None or high is None or low <= 0 <= high or p is None or p > SIGNIFICANCE:
        return 0
    return improvement(metric, difference["value"])


def calibration(metrics: dict[str, Any], task: str) -> Table:
    """Calibration before and after what was fitted on val."""
    is_class = metrics["tasks"][task]["kind"] == "classification"
    return _probabilities(metrics, task) if is_class else _intervals(metrics, task)


def _probabilities(metrics: dict[str, Any], task: str) -> Table:
    rows: list[list[Cell]] = []
    for model in compared(metrics, task):
        found = metrics["tasks"][task]["models"][model]["calibration"]
        whens = (found["before"], found["after"])
        cells = [_fitted("temperature", found["temperature"])]
        cells += [Number(m, when[m]) for m in ("ece", "nll") for when in whens]
        rows.append([model_name(model), *cells])
    columns = ["Model", "Temperature", "ECE before", "ECE after", "Log loss before"]
    columns.append("Log loss after")
    caption = (
        "Calibration of the probabilities on the test split, before and after dividing the "
        "logits by a temperature fitted on the validation split (Guo et al. 2017). ECE: value and "
        "interval are both less the bias that noise in its bins gives them. "
    )
    heading = f"{TASK_NAMES[task].capitalize()}: calibration"
    return _table(f"calibration_{task}", heading, caption + _note(metrics), columns, rows)


def _intervals(metrics: dict[str, Any], task: str) -> Table:
    entry = metrics["tasks"][task]
    counts = {group["name"]: group for group in entry["groups"] if group["by"] in ("all", "class")}
    rows: list[list[Cell]] = []
    for model in compared(metrics, task):
        found = entry["models"][model]["calibration"]
        for name, group in counts.items():
            whole = name == "all"
            factor = found["by_class"].get(name, found["interval_factor"])
            coverage = [
                Number("coverage_68", found[when][name], small=group["small"])
                for when in ("before", "after")
            ]
            pit: list[Cell] = [
                _fitted("pit_ks", found["pit_ks"][when] if whole else None)
                for when in ("before", "after")
            ]
            shown = _fitted("interval_factor", found["interval_factor"] if whole else factor)
            cells: list[Cell] = [shown, *coverage, *pit]
            rows.append([model_name(model), "all" if whole else name, group["n"], *cells])
    columns = ["Model", "Class", "Spectra", "Interval factor"]
    columns += ["68 % coverage before", "68 % coverage after"]
    columns += ["PIT distance before", "PIT distance after"]
    caption = (
        "Calibration of the predicted distributions on the test split, by the catalogue's class, "
        "before and after a fit on the validation split: a factor on the 68 % interval for each "
        f"predicted class with at least {MIN_FITTED} validation spectra (for others the common "
        "one, shown for all), and a map of cumulative probabilities for the PIT (Kuleshov et al. "
        "2018). PIT distance: Kolmogorov-Smirnov distance from the uniform law. "
    )
    heading = f"{TASK_NAMES[task].capitalize()}: calibration"
    return _table(f"calibration_{task}", heading, caption + _note(metrics), columns, rows)


def _fitted(metric: str, value: float | None) -> Number:
    return Number(metric, {"value": value, "lo": None, "hi": None})


def selective(metrics: dict[str, Any], task: str) -> Table | None:
    """How much must be refused to reach the target risk."""
    entry = metrics["tasks"][task]
    rows: list[list[Cell]] = []
    failure = ""
    for model in compared(metrics, task):
        found = entry["models"][model]["selective"]
        if found is None:
            continue
        failure = found["failure"]
        reached = [Number(m, found[m]) for m in ("refused_at_target", "risk_at_target")]
        risk, area = (_fitted(name, found[name]) for name in ("risk", "aurc"))
        rows.append([model_name(model), risk, *reached, area])
    if not rows:
        return None
    target = f"{100 * metrics['target_risk']:g} %"
    caption = (
        f"Selective prediction; failure: {failure}. A threshold on the confidence is chosen on the "
        f"validation split, where the failures above it are at most {target}; refused is the share "
        "of the test spectra below it, and the failures of the rest show whether it holds there. "
        f"AURC: mean risk over all coverages. {_note(metrics)}"
    )
    columns = ["Model", "Failures of all", f"Refused for {target}", "Failures of the rest", "AURC"]
    heading = f"{TASK_NAMES[task].capitalize()}: selective prediction"
    return _table(f"selective_{task}", heading, caption, columns, rows)


def spread(metrics: dict[str, Any], task: str) -> Table | None:
    """How the headline metrics vary over networks that differ in their seed alone; None: one."""
    found = metrics["tasks"][task]["spread"]
    if not found:
        return None
    rows: list[list[Cell]] = []
    for name, by_metric in found.items():
        count = len(metrics["seeds"][name])
        for metric, values in by_metric.items():
            cells = [_fitted(metric, value) for value in values.values()]
            rows.append([model_name(name), count, METRICS[metric].title, *cells])
    caption = (
        "Networks of the same settings, trained from different initial weights and in different "
        "orders, on all test spectra; all other tables are of the first of each."
    )
    if metrics["simulated"]:
        caption += " Simulated data."
    columns = ["Model", "Networks", "Metric", "Mean", "Standard deviation", "Lowest", "Highest"]
    heading = f"{TASK_NAMES[task].capitalize()}: spread over seeds"
    return _table(f"spread_{task}", heading, caption, columns, rows)


def experiments(
    metrics: dict[str, Any], described: Sequence[Experiment], task: str
) -> Table | None:
    """Every network beside every baseline: what it differs in, all test spectra and by survey.

    By survey, because networks that learned from one survey are judged on the other. None where
    the run has no experiments.
    """
    if len(metrics["networks"]) < 2:
        return None
    entry = metrics["tasks"][task]
    ranking = RANKING[entry["kind"]]
    surveys = [group["name"] for group in entry["groups"] if group["by"] == "survey"]
    sources = [("all", "all", metric) for metric in HEADLINE[entry["kind"]][:3]]
    sources += [("survey", name, ranking) for name in surveys if len(surveys) > 1]
    columns: list[str | tuple[str, str]] = ["Model", "Differs in"]
    for by, name, metric in sources:
        plain, latex = _column(metric)
        shown = f" ({group_name(by, name)})" if by == "survey" else ""
        columns.append((plain + shown, latex + shown))
    differs = {experiment.name: describe(experiment) for experiment in described}
    rows: list[list[Cell]] = []
    for model in each_once(metrics, task):
        groups = entry["models"][model]["groups"]
        cells = [
            Number(metric, groups[by][name][metric], f"{task}/{model}/{by}/{name}/{metric}")
            for by, name, metric in sources
        ]
        own = "this run's network" if model == metrics["networks"][0] else "baseline"
        rows.append([model_name(model), differs.get(model, own), *cells])
    caption = (
        f"All models of this run on the same test spectra: {TASK_NAMES[task]}. {_note(metrics)}"
    )
    heading = f"{TASK_NAMES[task].capitalize()}: experiments"
    return _table(f"experiments_{task}", heading, caption, columns, rows)


def describe(experiment: Experiment) -> str:
    """What an experiment changes: `render.mode = line, train.epochs = 5`."""
    sections = (
        ("render", experiment.render),
        ("model", experiment.model),
        ("train", experiment.train),
        ("data", experiment.data),
    )
    changes = [
        f"{section}.{key} = {_value(value)}"
        for section, values in sections
        for key, value in values.items()
    ]
    return ", ".join(changes) or "nothing"


def _value(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def all_tables(metrics: dict[str, Any], described: Sequence[Experiment]) -> Iterator[Table]:
    """Every table of the run."""
    for task in task_names(metrics):
        for make in (headline, groups, differences, spread, calibration, selective):
            table = make(metrics, task)
            if table is not None:
                yield table
        comparison = experiments(metrics, described, task)
        if comparison is not None:
            yield comparison


def long_metrics_csv(metrics: dict[str, Any]) -> str:
    """Every metric of every model in every group, one a line."""
    header = ["task", "model", "by", "group", "spectra", "objects", "small"]
    header += ["metric", "value", "lo", "hi"]
    rows: list[list[Any]] = []
    for task, model in _answered(metrics):
        found = metrics["tasks"][task]
        for g in found["groups"]:
            about = [task, model, g["by"], g["name"], g["n"], g["objects"], int(g["small"])]
            values = found["models"][model]["groups"][g["by"]][g["name"]]
            for metric, entry in sorted(values.items()):
                rows.append([*about, metric, entry["value"], entry["lo"], entry["hi"]])
    return csv_text(header, rows)


def _answered(metrics: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Every task with every model that answers it, in one order however the JSON was read."""
    for task in task_names(metrics):
        for model in metrics["models"]:
            if model in metrics["tasks"][task]["models"]:
                yield task, model


def confusion_csv(metrics: dict[str, Any]) -> str:
    """Every confusion matrix, one count a line."""
    rows: list[list[Any]] = []
    for task, model in _answered(metrics):
        found = metrics["tasks"][task]
        counts = found["models"][model]["confusion"] or []
        for true, row in zip(found["labels"], counts, strict=False):
            rows += [[task, model, true, *pair] for pair in zip(found["labels"], row, strict=True)]
    return csv_text(["task", "model", "true", "predicted", "spectra"], rows)


def write_tables(folder: Path, metrics: dict[str, Any], described: Sequence[Experiment]) -> None:
    """Write every table as CSV and LaTeX, and the full metrics and confusion counts as CSV.

    Tables of an earlier configuration that this one does not have are removed.
    """
    texts = {"metrics.csv": long_metrics_csv(metrics), "confusion.csv": confusion_csv(metrics)}
    for table in all_tables(metrics, described):
        texts[f"{table.name}.csv"] = table.as_csv()
        texts[f"{table.name}.tex"] = table.as_latex()
    for name, text in texts.items():
        write_text(folder / name, text)
    for path in folder.iterdir():
        if path.suffix in (".csv", ".tex") and path.name not in texts:
            path.unlink()
