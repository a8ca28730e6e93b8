"""What was run: versions, source revision, machine, hashes of what was made, time of each stage."""

from __future__ import annotations

import csv
import platform
import subprocess
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil
import yaml

from specvit import __version__
from specvit.config.models import Config
from specvit.errors import DataError
from specvit.io import read_json, sha256_file, stable_hash
from specvit.machine import available_cores, processor_name
from specvit.predictions import WEIGHTS_HASH

PACKAGES = (
    "snakemake",
    "numpy",
    "pandas",
    "pyarrow",
    "astropy",
    "opencv-python-headless",
    "torch",
    "timm",
    "scikit-learn",
    "scipy",
    "matplotlib",
)


@dataclass(frozen=True)
class StageTime:
    """What Snakemake measured of the jobs of one stage."""

    stage: str
    jobs: int
    seconds: float
    longest: float
    cpu: float | None
    """Processor seconds of all jobs; None where Snakemake did not measure them."""
    peak_mb: float | None


def versions() -> dict[str, str]:
    """Versions of specvit, Python and the packages that results depend on."""
    found = {"specvit": __version__, "Python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def git_revision() -> str | None:
    """Revision of the source tree that specvit runs from, or None outside a git checkout.

    A package that is installed inside some other repository is not taken for part of it.
    """
    here = Path(__file__).resolve().parent
    try:
        _git(here, "ls-files", "--error-unmatch", Path(__file__).name)
        revision = _git(here, "rev-parse", "--short=12", "HEAD").strip()
        changed = _git(here, "status", "--porcelain", "--untracked-files=no").strip()
    except (OSError, subprocess.SubprocessError):
        return None
    return f"{revision}, with uncommitted changes" if changed else revision


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments],
        check=True,
        capture_output=True,
        text=True,
        timeout=20,
    )
    return done.stdout


def machine() -> dict[str, str]:
    """The machine that wrote the report."""
    memory = psutil.virtual_memory().total / 2**30
    return {
        "Processor": f"{processor_name()}, {available_cores()} cores",
        "Memory": f"{memory:.0f} GiB",
        "System": f"{platform.system()} {platform.machine()}",
    }


def training_summaries(config: Config) -> dict[str, dict[str, Any]]:
    """What each model's training.json says."""
    return {
        name: read_json(config.paths.model_dir(name) / "training.json")
        for name in config.model_names
    }


def hashes(config: Config) -> dict[str, str]:
    """SHA-256 of what the numbers rest on."""
    paths = config.paths
    files = [
        paths.catalog,
        *(paths.shards_summary(label) for label in config.renders),
        *(paths.model_dir(name) / "model.safetensors" for name in config.network_names),
        *(paths.predictions(name) for name in config.model_names),
        paths.metrics,
    ]
    found = {"configuration": stable_hash(config.model_dump(mode="json"))}
    for path in files:
        if not path.exists():
            raise DataError(f"{path} does not exist")
        found[str(path.relative_to(paths.root))] = sha256_file(path)
    for name in config.network_names:
        path, summary = (paths.model_dir(name) / f for f in ("model.safetensors", "training.json"))
        if found[str(path.relative_to(paths.root))] != read_json(summary).get(WEIGHTS_HASH):
            raise DataError(f"{path} is not of the training that {summary} describes: train again")
    return found


class _ShortLists(yaml.SafeDumper):
    """YAML with lists of numbers and words on one line each, half as long."""

    def represent_short(self, items: list[Any]) -> yaml.Node:
        flat = all(not isinstance(item, (list, dict)) for item in items)
        return self.represent_sequence("tag:yaml.org,2002:seq", items, flow_style=flat)


_ShortLists.add_representer(list, _ShortLists.represent_short)


def configuration_yaml(config: Config) -> str:
    """The whole configuration as YAML: defaults, and what the recipe filled in, included."""
    settings = config.settled().model_dump(mode="json")
    return yaml.dump(settings, Dumper=_ShortLists, sort_keys=False, allow_unicode=True)


def stage_times(run: Path, names: Iterable[str]) -> list[StageTime]:
    """Times of these jobs (`download/train-000000`) from Snakemake's benchmark files, by rule.

    Jobs without such a file are passed over: a run may be made without Snakemake.
    """
    jobs: dict[str, list[dict[str, str]]] = defaultdict(list)
    for name in names:
        path = run / "benchmarks" / f"{name}.tsv"
        if path.exists():
            with path.open(newline="", encoding="utf-8") as handle:
                jobs[name.partition("/")[0]] += csv.DictReader(handle, delimiter="\t")
    # The report's own time is known only after it is written.
    return [_stage_time(stage, jobs[stage]) for stage in STAGES if stage in jobs]


def _stage_time(stage: str, rows: list[dict[str, str]]) -> StageTime:
    seconds = [float(row["s"]) for row in rows]
    cpu, peaks = (
        [value for row in rows if (value := _number(row.get(column))) is not None]
        for column in ("cpu_time", "max_rss")
    )
    return StageTime(
        stage,
        len(rows),
        sum(seconds),
        max(seconds),
        sum(cpu) if cpu else None,
        max(peaks, default=None),
    )


STAGES = (
    "survey",
    "catalog",
    "download",
    "shard",
    "shards_summary",
    "gallery",
    "train",
    "predict",
    "baseline",
    "evaluate",
    "figures",
)


def _number(text: str | None) -> float | None:
    """A figure of a benchmark file; `-` and `NA` where a job was too short to measure."""
    try:
        return float(text) if text is not None else None
    except ValueError:
        return None
