"""How far a run is, read from its files alone: nothing is asked of Snakemake or a cluster."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from specvit.config import Config
from specvit.errors import DataError
from specvit.io import read_json, write_json
from specvit.paths import RunPaths

RUN_FILE = "run.json"
NAMED = 3  # leftovers that a sentence names
STALLED_S = 900.0  # no new file of an unfinished stage for so long: said, not hidden


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
    """What a run is going to make: surveys, shards, renders, networks and models by name."""
    return {
        "surveys": list(config.surveys.active),
        "shards": config.shard_names(),
        "renders": list(config.renders),
        "networks": config.network_names,
        "models": config.model_names,
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
        "predictions": [*models, "val"],
        "predictions/val": models,
    }
    found = []
    for place, wanted in places.items():
        names = sorted(os.listdir(root / place)) if (root / place).is_dir() else []  # noqa: PTH208
        wanted = set(wanted)
        others = (n for n in names if n[0] != "." and n.partition(".")[0] not in wanted)
        found += [f"{place}/{name}" for name in others]
    return found


def read_status(root: Path) -> Status:
    """Read the status of results/<run>. DataError where there is no run."""
    paths = RunPaths(root)
    run_file = root / RUN_FILE
    if not run_file.exists():
        raise DataError(f"{root} is not the folder of a run: it has no {RUN_FILE}")
    expected = read_json(run_file)
    shards, models = expected["shards"], expected["models"]
    status = Status(root, leftovers=leftovers(root, expected))
    add = status.stages.append
    add(_stage("survey", [paths.survey_table(survey) for survey in expected["surveys"]]))
    add(_stage("catalog", [paths.catalog], note=_catalog_note(paths)))
    ledgers = [paths.ledger(shard) for shard in shards]
    counts = _ledger_counts(ledgers)
    note = ", ".join(f"{number:,} {key}" for key, number in counts.items())
    add(_stage("download", ledgers, note=note))
    status.failures = {key: number for key, number in counts.items() if key != "ok"}
    for render in expected["renders"]:
        stats = [paths.shard_stats(render, shard) for shard in shards]
        add(_stage(f"shards {render}", stats))
    for network in expected["networks"]:
        summary = paths.model_dir(network) / "training.json"
        add(_stage(f"train {network}", [summary], note=_training_note(paths.model_dir(network))))
    add(_stage("predictions", [paths.predictions(model) for model in models]))
    add(_stage("evaluate", [paths.metrics]))
    add(_stage("report", [paths.report]))
    return status


def show_status(status: Status, echo: Callable[[str], None], now: float | None = None) -> None:
    """Print the status as plain lines."""
    now = time.time() if now is None else now
    echo(f"{status.root}: {'finished' if status.finished else 'not finished'}")
    for stage in status.stages:
        parts = [f"  {stage.name:<20} {stage.done:>6}/{stage.planned:<6}"]
        if stage.per_hour is not None and not stage.finished:
            parts.append(f"{stage.per_hour:,.0f} files/h, {_duration(stage.left_s or 0)} left")
        if stage.last is not None and not stage.finished and now - stage.last > STALLED_S:
            parts.append(f"no new file for {_duration(now - stage.last)}")
        if stage.note:
            parts.append(stage.note)
        echo("  ".join(parts).rstrip())
    if status.failures:
        text = ", ".join(f"{number:,} {key}" for key, number in status.failures.items())
        echo(f"  spectra not had: {text} (reasons in spectra/*.ledger.parquet)")
    if status.leftovers:
        echo(f"  {leftover_sentence(status.leftovers)}")


def leftover_sentence(names: Sequence[str]) -> str:
    """How many files of earlier settings there are, and the first of them."""
    first = ", ".join(names[:NAMED]) + (", ..." if len(names) > NAMED else "")
    return f"not of this run's settings any more, and not read: {len(names):,} ({first})"


def _stage(name: str, files: Iterable[Path], note: str = "") -> Stage:
    files = list(files)
    times = sorted(path.stat().st_mtime for path in files if path.exists())
    stage = Stage(name, len(times), len(files), note, last=times[-1] if times else None)
    if len(times) >= 2 and times[-1] > times[0]:
        per_second = (len(times) - 1) / (times[-1] - times[0])
        stage.per_hour = per_second * 3600
        stage.left_s = (len(files) - len(times)) / per_second
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
    """Describe the last line of the training log: epoch, step, rate."""
    log = model_dir / "log.jsonl"
    if not log.exists():
        return ""
    lines = log.read_text(encoding="utf-8").splitlines()
    for line in reversed(lines):
        try:
            last = json.loads(line)
        except json.JSONDecodeError:
            continue  # the line that is being written
        known = {key: last[key] for key in ("epoch", "step", "loss", "val_loss") if key in last}
        return ", ".join(
            f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}"
            for key, value in known.items()
        )
    return ""


def _duration(seconds: float) -> str:
    hours, rest = divmod(int(seconds), 3600)
    minutes, seconds = divmod(rest, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
