"""Tables of a run, made from metrics.json alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from specvit.config.experiments import Experiment
from specvit.io import csv_text, write_text
from specvit.metrics.definitions import HEADLINE, METRICS, RANKING
from specvit.metrics.definitions import headline as headline_metrics
from specvit.report.names import TASK_NAMES, model_name
from specvit.report.results import (
    BY_NAMES,
    best_model,
    compared,
    decided,
    each_once,
    group_name,
    note,
    overall,
    task_names,
)
from specvit.report.table import Cell, Number, Table, column, make_table
from specvit.report.verdicts import verdicts


def headline(metrics: dict[str, Any], task: str) -> Table:
    """The models side by side, over all test spectra."""
    entry = metrics["tasks"][task]
    models = each_once(metrics, task)
    names = headline_metrics(entry["kind"], entry["labels"])
    best = {metric: best_model(metrics, task, models, metric) for metric in names}
    rows: list[list[Cell]] = []
    for model in models:
        values = overall(metrics, task, model)
        place = f"{task}/{model}/all/all"
        cells = [Number(m, values[m], f"{place}/{m}", best[m] == model) for m in names]
        rows.append([network_name(metrics, model), *cells])
    caption = (
        f"{TASK_NAMES[task].capitalize()} of {entry['spectra']:,} test spectra of "
        f"{entry['objects']:,} objects.{_unlabelled(entry, task)} Bold: best value of the column. "
        f"{note(metrics)}"
    )
    columns: list[str | tuple[str, str]] = ["Model", *map(column, names)]
    return make_table(f"headline_{task}", TASK_NAMES[task].capitalize(), caption, columns, rows)


def network_name(metrics: dict[str, Any], model: str) -> str:
    """A model's name in a table with experiments, where the ViT is called the base run's."""
    base = model == metrics["networks"][0] and len(metrics["networks"]) > 1
    return model_name(model) + (" (base run)" if base else "")


def _unlabelled(entry: dict[str, Any], task: str) -> str:
    """How many test spectra the numbers leave out, in a sentence with a space before it."""
    count = entry["unlabelled"]
    if not count:
        return ""
    has = "has" if count == 1 else "have"
    return (
        f" The other {count:,} of the {entry['spectra'] + count:,} test spectra {has} no "
        f"{TASK_NAMES[task]} in the catalogue."
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
                verdict=_verdict(entry, model, group, metric),
            )
            for model in models
        ]
        count = f"{group['n']} (few)" if small else str(group["n"])
        rows.append([BY_NAMES[by], group_name(by, name), count, *cells])
    title = METRICS[metric].title
    caption = (
        f"{title} ({METRICS[metric].meaning}) in groups of test spectra. Groups with fewer than "
        f"{metrics['min_group']} spectra are marked: no conclusion rests on them. Coloured: "
        f"decidedly better (green) or worse (orange) than the ViT. {note(metrics)}"
    )
    columns = ["By", "Group", "Spectra", *(model_name(model) for model in models)]
    heading = f"{TASK_NAMES[task].capitalize()}: {title.lower()} in groups"
    return make_table(f"groups_{task}", heading, caption, columns, rows)


def _verdict(entry: dict[str, Any], model: str, group: dict[str, Any], metric: str) -> int:
    """1 where a model is decidedly better than the ViT in a group, -1 where worse, else 0."""
    found = entry["differences"].get(model, {}).get(group["by"], {}).get(group["name"])
    return -decided(metric, found[metric]) if found else 0


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
    return make_table(f"calibration_{task}", heading, caption + note(metrics), columns, rows)


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
        "predicted class (where validation has few of it, from the others too), and a map of "
        "cumulative probabilities for the PIT (Kuleshov et al. 2018). PIT distance: "
        "Kolmogorov-Smirnov distance from the uniform law. "
    )
    heading = f"{TASK_NAMES[task].capitalize()}: calibration"
    return make_table(f"calibration_{task}", heading, caption + note(metrics), columns, rows)


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
        f"AURC: mean risk over all coverages. {note(metrics)}"
    )
    columns = ["Model", "Failures of all", f"Refused for {target}", "Failures of the rest", "AURC"]
    heading = f"{TASK_NAMES[task].capitalize()}: selective prediction"
    return make_table(f"selective_{task}", heading, caption, columns, rows)


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
    return make_table(f"spread_{task}", heading, caption, columns, rows)


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
        plain, latex = column(metric)
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
        own = "the base run" if model == metrics["networks"][0] else "baseline"
        rows.append([model_name(model), differs.get(model, own), *cells])
    caption = (
        f"All models of this run on the same test spectra: {TASK_NAMES[task]}. {note(metrics)}"
    )
    heading = f"{TASK_NAMES[task].capitalize()}: experiments"
    return make_table(f"experiments_{task}", heading, caption, columns, rows)


def describe(experiment: Experiment) -> str:
    """What an experiment changes: `render.mode = line, train.epochs = 5`."""
    sections = (
        ("render", experiment.render),
        ("model", experiment.model),
        ("train", experiment.train),
        ("data", experiment.data),
    )
    changes = [
        f"{section}.{key} = {written(given)}"
        for section, values in sections
        for key, given in values.items()
    ]
    return ", ".join(changes) or "nothing"


def written(given: Any) -> str:
    """A setting as people write it."""
    return ", ".join(map(str, given)) if isinstance(given, list | tuple) else str(given)


def all_tables(metrics: dict[str, Any], described: Sequence[Experiment]) -> Iterator[Table]:
    """Every table of the run."""
    for task in task_names(metrics):
        for make in (headline, verdicts, groups, spread, calibration, selective):
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
