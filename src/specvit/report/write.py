"""The report: everything gathered, checked and written as one page that asks for nothing else."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup, escape

from specvit.config.models import MAIN_NETWORK, Config
from specvit.explain.kept import Relevance
from specvit.io import atomic_open, write_text
from specvit.logs import get_logger, progress
from specvit.metrics.definitions import METRICS, RANKING, headline
from specvit.paths import SPLITS, RunPaths
from specvit.plot.axes import picture_svg, told_scales
from specvit.report import provenance, tables
from specvit.report.claims import Paper, check_claims
from specvit.report.failures import Failure, described, worst_rows
from specvit.report.figures import Figure, Material, build, draw_panel
from specvit.report.findings import findings
from specvit.report.flow import Flow, follow
from specvit.report.gathered import Gathered
from specvit.report.grids import COLUMNS, grid_rows
from specvit.report.names import OVERVIEW, TASK_NAMES, UNITS, benchmark_names, model_name
from specvit.report.overview import draw_overview
from specvit.report.pictures import Drawn, examples, read_drawn
from specvit.report.results import overall, task_names
from specvit.report.spectra import draw_failure
from specvit.report.style import CLASS_COLOURS, file_bytes, style
from specvit.report.svg import inline_svg
from specvit.report.table import Number, Table
from specvit.report.title import title_of
from specvit.report.verdicts import verdicts
from specvit.status import expected_of, leftover_sentence, leftovers

LOG = get_logger(__name__)

# Which figures stand in which section, with the tables that belong to them.
SECTIONS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("learning", "How the networks learned", ("learning",)),
    ("classification", "Classification", ("confusion_class", "confusion_stellar_type")),
    ("redshift", "Redshift", ("redshift_scatter", "redshift_residuals")),
    ("parameters", "Stellar parameters", ("parameter_scatter",)),
    ("groups", "Where it works and where not", ("accuracy_snr", "groups")),
    ("calibration", "Calibration", ("reliability", "pit", "calibration")),
    ("selective", "Selective prediction", ("risk_coverage", "selective")),
    ("experiments", "Experiments", ("experiments", "scaling", "experiments_table")),
)


def write_report(run: Gathered, paper: Paper | None = None) -> None:
    """Write report.html and figures/overview.png; with a paper, also what the run says of it.

    Raises DataError where an input is missing or the counts of spectra do not add up.
    """
    steps = ("counts", "pictures", "figures", "page")
    material, config = run.material, run.material.config
    with progress("report", len(steps), "parts") as ticker, style():
        flow = follow(config)
        ticker.advance()
        pictures = _gallery(config)
        ticker.advance()
        overview = file_bytes(draw_overview(material, pictures[0]["examples"]), "png")
        with atomic_open(config.paths.figures / f"{OVERVIEW}.png") as handle:
            handle.write(overview)
        figures = {figure.name: _inline(figure) for figure in build(material)}
        ticker.advance()
        page = _environment().from_string(_resource("report.html"))
        context = _context(run, flow)
        context |= {
            "paper": paper,
            "claims": check_claims(paper, material.metrics) if paper else [],
        }
        context |= {"class_colours": CLASS_COLOURS}
        context |= {"gallery": pictures, "failures_grey": pictures[0]["grey"]}
        context |= _sections(config, material, figures)
        if paper is None:
            context["contents"].remove(("paper", "By the paper"))
        write_text(config.paths.report, page.render(context))
        ticker.advance()


def _resource(name: str) -> str:
    return files("specvit.report").joinpath("templates", name).read_text(encoding="utf-8")


def _environment() -> Environment:
    environment = Environment(autoescape=True, undefined=StrictUndefined)
    environment.tests["number_cell"] = lambda value: isinstance(value, Number)
    environment.tests["figure"] = lambda value: isinstance(value, dict)
    environment.filters["thousands"] = thousands
    environment.filters["subscripts"] = subscripts
    environment.filters["duration"] = duration
    environment.filters["base64"] = lambda data: base64.b64encode(data).decode("ascii")
    return environment


def subscripts(text: str) -> Markup:
    """Escaped text in which σ_NMAD and z_pred have their subscripts."""
    return Markup(re.sub(r"_(NMAD|pred)\b", r"<sub>\1</sub>", str(escape(text))))


def thousands(number: int) -> str:
    """12 345, with a space that does not break."""
    return f"{number:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def duration(seconds: float) -> str:
    """3.2 s, 4 min 10 s or 2 h 5 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def _context(run: Gathered, flow: Flow) -> dict[str, Any]:
    config, metrics, catalog = run.material.config, run.material.metrics, run.catalog
    alarms = [f"{model_name(one.model)} {one.doubt}" for one in flow.learned if one.doubt]
    for alarm in alarms:
        LOG.warning("%s", alarm)
    summaries = provenance.training_summaries(config)
    shown = {name for task in config.asked for name in headline(task.kind, task.labels)}
    return {
        "config": config,
        "title": title_of(config, catalog),
        "explorer": RunPaths(Path()).explorer,
        "metrics": metrics,
        "css": _resource("report.css"),
        "simulated": _simulated(catalog),
        "summary": _summary(config, metrics),
        "tiles": list(_tiles(metrics)),
        "findings": list(findings(metrics)),
        "tasks": [
            {
                "headline": tables.headline(metrics, t),
                "verdicts": verdicts(metrics, t),
                "spread": tables.spread(metrics, t),
            }
            for t in task_names(metrics)
        ],
        "splits": SPLITS,
        "flow": flow,
        "flow_sentence": _flow_sentence(flow),
        "alarms": alarms,
        "model_name": model_name,
        "failures": list(_failures(run)),
        "revision": provenance.git_revision(),
        "versions": provenance.versions(),
        "machine": provenance.machine(),
        "trained_on": list(_trained_on(summaries)),
        "grid_columns": COLUMNS,
        "grids": grid_rows(summaries),
        "leftovers": _leftovers(config),
        "times": provenance.stage_times(config.paths.root, benchmark_names(config)),
        "hashes": provenance.hashes(config),
        "configuration": provenance.configuration_yaml(config),
        "definitions": [asdict(metric) for name, metric in METRICS.items() if name in shown],
    }


def _leftovers(config: Config) -> str:
    """What lies in the run's folder and is not of its settings, in a sentence; or nothing."""
    found = leftovers(config.paths.root, expected_of(config))
    return f"In the run's folder, {leftover_sentence(found)}" if found else ""


def _kinds(config: Config) -> list[str]:
    return sorted({task.kind for task in config.asked})


def _simulated(catalog: pd.DataFrame) -> str:
    """Which spectra are simulated, in a sentence; empty where none are."""
    made_up = catalog[catalog["simulated"]]
    if len(made_up) == 0:
        return ""
    if len(made_up) == len(catalog):
        return "Every spectrum of this run is made up by specvit's simulated sky."
    keys = ", ".join(sorted(made_up["source"].unique()))
    share = f"{thousands(len(made_up))} of {thousands(len(catalog))} spectra"
    return f"{share} (surveys: {keys}) are made up by specvit's simulated sky."


def _summary(config: Config, metrics: dict[str, Any]) -> str:
    what = ", ".join(TASK_NAMES[task.name] for task in config.asked)
    models = ", ".join(_named(config, name) for name in config.experiment_names)
    models += "".join(f", {model_name(name)}" for name in config.baselines.models)
    test, base = metrics["test"], _base(config)
    models += f". The base run, {model_name(MAIN_NETWORK)}, has {base}" if base else ""
    # Of the network that another starts from, it is not known.
    seen = "no model has seen" if config.model.init is None else "no model has seen here"
    return (
        f"Learned: {what}. Models: {models}. Tested on {thousands(test['spectra'])} spectra of "
        f"{thousands(test['objects'])} objects that {seen}."
    )


def _base(config: Config) -> str:
    """What the base run has where experiments differ, `render.mode = stacked`; may be empty."""
    sections = {"render": config.render[0], "model": config.model, "train": config.train}
    sections |= {"data": config.data}
    changed = {
        f"{name}.{key} = {tables.written(getattr(section, key))}": None
        for experiment in config.experiments
        for name, section in sections.items()
        for key in getattr(experiment, name)
        if not isinstance(getattr(experiment, name)[key], Mapping)
    }
    return ", ".join(changed)


def _named(config: Config, experiment: str) -> str:
    seeds = len(config.seed_names(experiment))
    return model_name(experiment) + (f" ({seeds} seeds)" if seeds > 1 else "")


def _tiles(metrics: dict[str, Any]) -> Iterator[dict[str, str]]:
    for task in task_names(metrics):
        entry = metrics["tasks"][task]
        if MAIN_NETWORK not in entry["models"]:
            continue
        names = [RANKING[entry["kind"]]]
        names += ["sigma_nmad"] if entry["kind"] == "redshift" else []
        for name in names:
            number = Number(name, overall(metrics, task, MAIN_NETWORK)[name])
            label = f"{METRICS[name].title}{UNITS.get(task, '')}, {TASK_NAMES[task]} (ViT)"
            note = f"95 % {number.interval}" if number.interval else ""
            yield {"label": label, "value": number.value, "note": note}
    test = metrics["test"]
    yield {
        "label": "Test spectra",
        "value": thousands(test["spectra"]),
        "note": f"of {thousands(test['objects'])} objects",
    }


def _flow_sentence(flow: Flow) -> str:
    first, last = flow.steps[0], next(s for s in flow.steps if s.name.startswith("Drawn"))
    size = flow.downloaded_bytes / 1e6
    lost = first.total - last.total
    losses = f"{thousands(lost) if lost else 'none'} lost on the way"
    return (
        f"Of {thousands(first.total)} spectra in the catalogue, {thousands(last.total)} became "
        f"plots; {losses}. Downloaded: {size:,.0f} MB."
    )


def _trained_on(summaries: dict[str, dict[str, Any]]) -> Iterator[tuple[str, str]]:
    for name, summary in summaries.items():
        seconds = summary["seconds"]
        # Baselines tell their parts (read, fit, predict), networks the whole.
        total = sum(seconds.values()) if isinstance(seconds, dict) else seconds
        on = summary.get("device") or f"processor, threads: {summary['threads']}"
        yield f"Trained: {model_name(name)}", f"{duration(total)} on {on}"
        for doubt in summary.get("doubts", ()):
            yield f"Warning: {model_name(name)}", doubt


def _gallery(config: Config) -> list[dict[str, Any]]:
    parts = []
    for label, render in config.renders.items():
        grey = render.channels == 1
        caption = (
            f"Mode {render.mode}, {render.size} x {render.size} pixels, {'grey' if grey else 'RGB'}"
            f", {config.grid.wave_min:g} to {config.grid.wave_max:g} Å, even in log wavelength. "
            "Below, test spectra of each class from low to high signal-to-noise ratio, at the "
            "pixels the model sees."
        )
        if grey:
            caption += " On a light page dark and light are exchanged: models see it on black."
        found = examples(config, label)
        part = {"title": f"Plots: {label}", "caption": caption, "examples": found, "grey": grey}
        # The one that has least noise shows best what is drawn.
        best = max(found, key=lambda example: example.snr, default=None)
        svg = picture_svg(best.picture, render, config.grid) if best else ""
        parts.append({**part, "example": best, "with_axes": svg, "scales": told_scales(render)})
    return parts


def _failures(run: Gathered) -> Iterator[dict[str, Any]]:
    config, frame = run.material.config, run.material.predictions.test[MAIN_NETWORK]
    titles = {"classification": "Wrong {}", "redshift": "Outliers in {} (|Δz| > 0.05)"}
    for task in run.material.tasks("classification", "redshift"):
        rows = worst_rows(frame, task, config.report.examples)
        found = described(run.calibrated(MAIN_NETWORK, rows), task, run.catalog)
        wanted = {failure.spectrum_id: failure.shard for failure in found}
        drawn = read_drawn(config, config.render_of(MAIN_NETWORK), wanted)
        shown = []
        for i, f in enumerate(found):
            looked = run.relevance.get((f.spectrum_id, task.name))
            spectrum = _spectrum(config, f, drawn.get(f.spectrum_id), looked, f"{task.name}-{i}")
            shown.append({**asdict(f), **spectrum, "explained": looked is not None})
        yield {"title": titles[task.kind].format(TASK_NAMES[task.name]), "failures": shown}


def _spectrum(
    config: Config, failure: Failure, drawn: Drawn | None, relevance: Relevance | None, key: str
) -> dict[str, Any]:
    """The spectrum of a failure and its plot; nothing where it was dropped when drawn."""
    if drawn is None:
        return {"picture": None, "spectrum": ""}
    canvas = draw_failure(failure, drawn.flux.astype(float), config.grid, relevance)
    name = f"Spectrum of {failure.spectrum_id}: catalogue {failure.truth}, ViT {failure.said}"
    svg = inline_svg(canvas, f"failure-{key}", name)
    return {"picture": drawn.picture, "spectrum": svg}


def _inline(figure: Figure) -> dict[str, Any]:
    panels = []
    for i, panel in enumerate(figure.panels):
        label = f"{figure.title}: {panel.title}"
        svg = inline_svg(draw_panel(panel, figure), f"{figure.name}-{i}", label)
        panels.append({"title": panel.title, "svg": svg})
    return {**vars(figure), "panels": panels}


def _sections(
    config: Config, material: Material, figures: dict[str, dict[str, Any]]
) -> dict[str, Any]:
    """Sections of figures and tables that this run has, and the page's contents."""
    metrics = material.metrics
    made: dict[str, list[Any]] = {name: [figure] for name, figure in figures.items()}
    makers: dict[str, Callable[[str], Table | None]] = {
        "groups": lambda task: tables.groups(metrics, task),
        "calibration": lambda task: tables.calibration(metrics, task),
        "selective": lambda task: tables.selective(metrics, task),
        "experiments_table": lambda task: tables.experiments(metrics, config.experiments, task),
    }
    for name, make in makers.items():
        every = [make(task) for task in task_names(metrics)]
        made.setdefault(name, []).extend(table for table in every if table is not None)
    parts = [
        {
            "id": key,
            "title": title,
            "content": [item for name in names for item in made.get(name, [])],
        }
        for key, title, names in SECTIONS
    ]
    parts = [part for part in parts if part["content"]]
    contents = [
        ("results", "Results"),
        ("learning", "Learning"),
        ("spectra", "Where every spectrum went"),
        ("gallery", "What the models see"),
        *((part["id"], part["title"]) for part in parts[1:]),
        ("failures", "Failures"),
        ("paper", "By the paper"),
        ("run", "What was run"),
        ("appendix", "Appendix"),
    ]
    return {"figure_sections": parts, "contents": contents}
