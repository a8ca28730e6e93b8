"""The model card: what a model was made from, how good it is, and where that ends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
import timm

from specvit.config import Config, load_config
from specvit.find_model import released
from specvit.io import read_json
from specvit.metrics.definitions import METRICS, headline, shown
from specvit.models.vit import SpecViT
from specvit.paths import RunPaths
from specvit.registry import collections
from specvit.report.results import overall
from specvit.tasks import TASKS

OWN_LICENCE = "mit"


def card_of(source: Path, model: SpecViT, programs: list[str]) -> str:
    """The card of a model in `results/<run>/models/<name>`, as Markdown with a YAML header.

    What the run's files do not say (a model on its own, a run not evaluated), the card says it
    does not know. `programs` are the names of the files beside it that need no specvit.
    """
    run = RunPaths(source.parents[1])
    settings = read_json(source / "model.json")
    summary = _read(source / "training.json")
    metrics = _read(run.metrics)
    config_file = run.root / "config.json"
    config = load_config([str(config_file)]) if config_file.exists() else None
    licence, licence_sentence = _licence(model)
    template = files("specvit.share").joinpath("card.md").read_text(encoding="utf-8")
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True)
    return environment.from_string(template).render(
        title=summary.get("network", f"specvit {source.name}"),
        backbone=model.settings.backbone,
        tasks=[task.name for task in model.tasks],
        version=settings["versions"]["specvit"],
        simulated=bool(metrics.get("simulated") or (config and config.is_simulated)),
        render=model.render,
        grid=model.grid,
        channels=model.render.channels,
        programs=programs,
        data=_data(config, summary, metrics),
        training=_training(model, settings.get("training", {}).get("init"), summary),
        counts=list(_counts(model)),
        ranges=[(name, *reach) for name, reach in model.stats.range.items()],
        metrics=list(metric_rows(metrics, source.name)),
        tested=metrics.get("test", {}).get("spectra", 0),
        calibration=_calibration(source),
        doubts=summary.get("doubts", []),
        licence=licence,
        licence_sentence=licence_sentence,
    )


def _read(path: Path) -> dict[str, Any]:
    return dict(read_json(path)) if path.exists() else {}


def _data(config: Config | None, summary: Mapping[str, Any], metrics: Mapping[str, Any]) -> str:
    parts = []
    if config is not None:
        titles = {name: one.title for name, one in collections().items()}
        surveys = ", ".join(
            f"{titles[key]}{' (simulated)' if survey.base_url == 'simulated:' else ''}"
            f"{', ' if survey.edition else ''}{survey.edition}"
            for key, survey in config.surveys.active.items()
        )
        parts.append(f"Surveys: {surveys}.")
    numbers = {
        **summary.get("samples", {}),
        **({"test": metrics["test"]["spectra"]} if "test" in metrics else {}),
    }
    if numbers:
        counted = ", ".join(f"{number:,} {split}" for split, number in numbers.items())
        parts.append(f"Spectra: {counted}; all of one object are on one side of the split.")
    return "\n".join(parts) or "What it was trained on is not known."


def _training(model: SpecViT, init: Mapping[str, Any] | None, summary: Mapping[str, Any]) -> str:
    start = "from published weights" if model.settings.pretrained else "from scratch"
    if init is not None:
        start = f"from the network {Path(init['folder']).name} (its {', '.join(init['taken'])})"
    if not summary:
        return f"{start}."
    train = summary["settings"]
    return (
        f"{start}, {summary['epochs']} epochs (best: {summary['best']['epoch']}), batches of "
        f"{train['batch_size']}, seed {train['seed']}; {summary['precision']}, {summary['device']}."
    )


def _counts(model: SpecViT) -> Iterator[tuple[str, int]]:
    for task in model.tasks:
        for label, number in zip(task.labels, model.stats.counts.get(task.name, []), strict=True):
            yield f"{task.name} {label}", int(number)


def metric_rows(metrics: Mapping[str, Any], name: str) -> Iterator[tuple[str, str, str, str]]:
    """Title, value, 95 % interval and meaning of each headline metric of a model, as Markdown."""
    for task, found in metrics.get("tasks", {}).items():
        if name not in found["models"]:
            continue
        entries = overall(dict(metrics), task, name)
        for metric in headline(TASKS[task].kind, found["labels"]):
            entry = entries[metric]
            low, high = (shown(metric, entry[end]) for end in ("lo", "hi"))
            about = METRICS[metric]
            title = f"{task}: {about.title}".replace("|", "\\|")
            yield (
                *(title, shown(metric, entry["value"]), f"{low} to {high}"),
                about.meaning.replace("|", "\\|"),
            )


def _calibration(source: Path) -> str:
    if (source / "calibration.json").exists():
        return (
            "Probabilities and intervals are calibrated on the validation split, for spectra like "
            "those of its surveys."
        )
    return "Probabilities and intervals are not calibrated."


def _licence(model: SpecViT) -> tuple[str, str]:
    """The licence's name for the hub, and a sentence."""
    own = "The weights are published under the MIT licence"
    if model.settings.init is not None and model.settings.init not in released():
        return "other", f"{own}, as far as the model that they started from allows."
    if not model.settings.pretrained:
        return OWN_LICENCE, f"{own}."
    known = timm.get_pretrained_cfg(model.settings.backbone)
    theirs = known.license if known is not None and model.settings.weights is None else None
    if theirs is None:
        return "other", f"{own}, as far as the pretrained weights that they started from allow."
    return theirs, f"They are a work derived from timm's {model.settings.backbone}: {theirs}."
