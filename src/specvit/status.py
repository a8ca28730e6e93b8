"""How far a run is, read from its files alone: nothing is asked of Snakemake or a cluster."""

from __future__ import annotations

import json
import math
import os
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from specvit.config import Config
from specvit.config.baselines import registered
from specvit.errors import DataError
from specvit.io import read_json, write_json
from specvit.paths import RunPaths
from specvit.report.names import figure_names

RUN_FILE = "run.json"
NAMED = 3  # leftovers that a sentence names
STALLED_S = 900.0  # no new file of an unfinished stage for so long: said, not hidden
# How the log of a job ends that failed: specvit's sentence, click's, or an exception's last line.
ERROR = re.compile(r"specvit: |Error: |[\w.]*(Error|Exception|Interrupt|Killed)\b")
TAIL = 4096  # bytes of a log's end that hold its last line

Made = Mapping[Path, Sequence[Path]]
"""The files of a stage, each with those it is made from."""


@dataclass
class Stage:
    """One line of the status: files done of those planned, and what is known of them."""

    name: str
    done: int
    planned: int
    note: str = ""
    per_hour: float | None = None
    left_s: float | None = None
    last: float | None = None
    """Time of the newest file, in seconds of the epoch."""
    outdated: int = 0
    """Files that are older than what they are made from, or whose source is being made again."""

    @property
    def finished(self) -> bool:
        """Whether every planned file is there."""
        return self.done >= self.planned


@dataclass
class Status:
    """All stages of one run."""

    root: Path
    stages: list[Stage] = field(default_factory=list)
    failures: dict[str, int] = field(default_factory=dict)
    """Spectra by ledger status other than ok, and those dropped when drawn."""
    failed: dict[str, str] = field(default_factory=dict)
    """Jobs that failed, by the name of their log, with its last line."""
    leftovers: list[str] = field(default_factory=list)
    """What earlier settings of the run made."""

    @property
    def finished(self) -> bool:
        """Whether the run is complete."""
        return all(stage.finished for stage in self.stages)


def write_expected(config: Config) -> None:
    """Note what a run is going to make."""
    write_json(config.paths.root / RUN_FILE, expected_of(config))


def expected_of(config: Config) -> dict[str, Any]:
    """What a run is going to make: surveys, shards, networks with their plots, models, figures."""
    return {
        "surveys": list(config.surveys.active),
        "shards": config.shard_names(),
        "renders": list(config.renders),
        "networks": {name: config.render_of(name) for name in config.network_names},
        "models": config.model_names,
        "figures": [f"{n}.{kind}" for n in figure_names(config) for kind in config.report.formats],
        "simulated": config.is_simulated,
    }


def leftovers(root: Path, expected: dict[str, Any]) -> list[str]:
    """What earlier settings of a run made and these do not: files and folders, below its folder.

    Nothing reads them. They stay, since they may be wanted again.
    """
    shards, models = expected["shards"], expected["models"]
    places = {
        "surveys": expected["surveys"],
        "spectra": shards,
        "shards": expected["renders"],
        **{f"shards/{render}": [*shards, "shards"] for render in expected["renders"]},
        "models": models,
        "predictions": [*models, "val", "relevance", "map"],
        "predictions/relevance": list(expected["networks"]),
        "predictions/map": list(expected["networks"]),
        "predictions/val": models,
    }
    found = []
    for place, wanted in places.items():
        names = sorted(os.listdir(root / place)) if (root / place).is_dir() else []  # noqa: PTH208
        wanted = set(wanted)
        others = (n for n in names if n[0] != "." and n.partition(".")[0] not in wanted)
        found += [f"{place}/{name}" for name in others]
    return found


def find_run(run: Path) -> Path:
    """The folder of a run that is given by it, or by its name below results/."""
    for folder in (run, Path("results") / run):
        if folder.is_dir():
            return folder
    raise DataError(f"{run} is neither the folder nor the name of a run in results/")


def read_status(root: Path) -> Status:
    """Read the status of results/<run>. DataError where there is no run."""
    run_file = root / RUN_FILE
    if not run_file.exists():
        raise DataError(f"{root} is not the folder of a run: it has no {RUN_FILE}")
    expected = read_json(run_file)
    if "figures" not in expected:
        raise DataError(
            f"{run_file} is of an earlier version of specvit: specvit run writes it anew"
        )
    paths = RunPaths(root)
    counts = _ledger_counts([paths.ledger(shard) for shard in expected["shards"]])
    notes = {
        "catalog": _catalog_note(paths),
        "download": ", ".join(f"{number:,} {key}" for key, number in counts.items()),
    }
    for network in expected["networks"]:
        notes[f"train {network}"] = _training_note(paths.model_dir(network))
    return Status(
        root,
        [_stage(name, made, notes.get(name, "")) for name, made in _stages(paths, expected)],
        failures={key: number for key, number in counts.items() if key != "ok"},
        failed=failed_jobs(root),
        leftovers=leftovers(root, expected),
    )


def _stages(paths: RunPaths, expected: Mapping[str, Any]) -> Iterable[tuple[str, Made]]:
    """Every stage of a run, in the order they are made in."""
    shards = expected["shards"]
    surveys = [paths.survey_table(survey) for survey in expected["surveys"]]
    yield "survey", {path: [] for path in surveys}
    yield "catalog", {paths.catalog: surveys}
    yield "download", {paths.ledger(shard): [paths.catalog] for shard in shards}
    plots = {}
    for render in expected["renders"]:
        stats = {paths.shard_stats(render, shard): [paths.ledger(shard)] for shard in shards}
        plots[render] = list(stats)
        yield f"shards {render}", stats
    yield "gallery", {paths.gallery: [path for stats in plots.values() for path in stats]}
    first = plots[expected["renders"][0]]
    predictions: dict[Path, Sequence[Path]] = {}
    for model in expected["models"]:
        is_network = model in expected["networks"]
        sources = plots[expected["networks"][model]] if is_network else first
        summary = paths.model_dir(model) / "training.json"
        before = registered()[model].after if model in registered() else None
        if before is not None:
            sources = [*sources, paths.model_dir(before) / "training.json"]
        yield f"{'train' if is_network else 'baseline'} {model}", {summary: sources}
        for split in ("test", "val"):
            predictions[paths.predictions(model, split)] = [summary] if is_network else sources
    yield "predictions", predictions
    yield "evaluate", {paths.metrics: list(predictions)}
    figures = [paths.figures / name for name in expected["figures"]]
    yield "figures", {path: [paths.metrics] for path in figures}
    yield "report", {paths.report: [*figures, paths.metrics]}


def failed_jobs(root: Path, since: float | None = None) -> dict[str, str]:
    """Jobs whose last attempt failed, by the name of their log, with its last line.

    A job that ended well has a benchmark newer than its log. One that has none is running or
    failed: its log's last line says which. With `since` (a time, when no job runs any more) every
    job that wrote its log after it and did not end well has failed, whatever its log says.
    """
    found = {}
    for log in sorted((root / "logs").rglob("*.log")):
        name = str(log.relative_to(root / "logs").with_suffix(""))
        written = log.stat().st_mtime
        benchmark = _time(root / "benchmarks" / f"{name}.tsv")
        if (benchmark is not None and benchmark >= written) or (since or 0) > written:
            continue
        line = _last_line(log)
        if since is not None or ERROR.match(line):
            found[name] = line
    return found


def show_failed(failed: Mapping[str, str], logs: Path, echo: Callable[[str], None]) -> None:
    """Print each failed job with the reason that its log ends with."""
    for name, line in failed.items():
        echo(f"  failed: {name}: {line or 'it said nothing'} ({logs / name}.log)")


def _last_line(log: Path) -> str:
    with log.open("rb") as handle:
        handle.seek(max(0, log.stat().st_size - TAIL))
        lines = handle.read().decode("utf-8", errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def show_status(status: Status, echo: Callable[[str], None], now: float | None = None) -> None:
    """Print the status as plain lines."""
    now = time.time() if now is None else now
    echo(f"{status.root}: {'finished' if status.finished else 'not finished'}")
    width = max(len(stage.name) for stage in status.stages)
    for stage in status.stages:
        parts = [f"  {stage.name:<{width}} {stage.done:>6}/{stage.planned:<6}"]
        if stage.per_hour is not None and not stage.finished:
            parts.append(f"{stage.per_hour:,.0f} files/h, {_duration(stage.left_s or 0)} left")
        if stage.last is not None and not stage.finished and now - stage.last > STALLED_S:
            parts.append(f"no new file for {_duration(now - stage.last)}")
        if stage.outdated:
            parts.append("out of date" if stage.planned == 1 else f"{stage.outdated} out of date")
        if stage.note:
            parts.append(stage.note)
        echo("  ".join(parts).rstrip())
    if status.failures:
        text = ", ".join(f"{number:,} {key}" for key, number in status.failures.items())
        echo(f"  spectra not had: {text} (reasons in spectra/*.ledger.parquet)")
    show_failed(status.failed, status.root / "logs", echo)
    if status.leftovers:
        echo(f"  {leftover_sentence(status.leftovers)}")


def leftover_sentence(names: Sequence[str]) -> str:
    """How many files of earlier settings there are, and the first of them."""
    first = ", ".join(names[:NAMED]) + (", ..." if len(names) > NAMED else "")
    return f"not of this run's settings any more, and not read: {len(names):,} ({first})"


def _time(path: Path) -> float | None:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return None


def _stage(name: str, made: Made, note: str = "") -> Stage:
    time_of = cache(_time)
    there = {path: time for path in made if (time := time_of(path)) is not None}
    times = sorted(there.values())
    stage = Stage(name, len(times), len(made), note, last=times[-1] if times else None)
    if len(times) >= 2 and times[-1] > times[0]:
        per_second = (len(times) - 1) / (times[-1] - times[0])
        stage.per_hour = per_second * 3600
        stage.left_s = (len(made) - len(times)) / per_second
    newest = cache(lambda sources: max((time_of(path) or math.inf for path in sources), default=0))
    stage.outdated = sum(time < newest(tuple(made[path])) for path, time in there.items())
    return stage


def _catalog_note(paths: RunPaths) -> str:
    if not paths.catalog.exists():
        return ""
    return f"{pq.read_metadata(paths.catalog).num_rows:,} spectra"


def _ledger_counts(ledgers: Iterable[Path]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for path in ledgers:
        if path.exists():
            column = pq.read_table(path, columns=["status"])["status"]
            for entry in pc.value_counts(column).to_pylist():
                counts[entry["values"]] = counts.get(entry["values"], 0) + entry["counts"]
    return dict(sorted(counts.items(), key=lambda item: (item[0] != "ok", item[0])))


def _training_note(model_dir: Path) -> str:
    """How far a training is: epoch, step, pictures a second, time left, loss."""
    lines = _training_log(model_dir)
    if not lines:
        return ""
    last = {key: value for line in lines for key, value in line.items()}
    is_done = (model_dir / "training.json").exists()
    if last["event"] == "finished" and not is_done:
        return "the model there is of an earlier training"
    start = next((line for line in reversed(lines) if line["event"] == "start"), last)
    steps, step = start.get("steps"), last["step"]
    parts = []
    if steps:
        epoch = min(step * start["epochs"] // steps + 1, start["epochs"])
        parts += [f"epoch {epoch}/{start['epochs']}", f"step {step}/{steps}"]
    if "pictures_per_s" in last:
        parts.append(f"{last['pictures_per_s']:,.0f} pictures/s")
    taken, seconds = step - start["step"], last["seconds"] - start["seconds"]
    if steps and taken > 0 and seconds > 0 and not is_done:
        parts.append(f"{_duration((steps - step) * seconds / taken)} left")
    parts += [f"{key} {last[key]:.4g}" for key in ("loss", "val_loss") if key in last]
    return ", ".join(parts)


def _training_log(model_dir: Path) -> list[dict[str, Any]]:
    """What a training said: of the one that runs, else of the one that ended."""
    for log in (model_dir / "checkpoints" / "log.jsonl", model_dir / "log.jsonl"):
        if log.exists():
            # The last line may be half written.
            whole = log.read_text(encoding="utf-8").splitlines(keepends=True)
            return [json.loads(line) for line in whole if line.endswith("\n")]
    return []


def _duration(seconds: float) -> str:
    hours, rest = divmod(int(seconds), 3600)
    minutes, seconds = divmod(rest, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
