"""What runs of growing size cost, and what a whole survey would."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import click
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.common import json_option
from specvit.errors import DataError
from specvit.io import read_json, write_json
from specvit.machine import available_cores, processor_name
from specvit.paths import RunPaths
from specvit.report.provenance import StageTime, stage_times

STAGES = ("survey", "catalog", "download", "shard", "shards_summary")
SIZES = (10_000, 1_000_000, 10_000_000, 50_000_000)
FILES_PER_SHARD = 8  # spectra, ledger, plots, statistics; two logs and two benchmarks


@dataclass(frozen=True)
class Measured:
    """What one finished run took."""

    run: str
    spectra: int
    cpu_s: dict[str, float]
    """Processor seconds of all jobs of each stage."""
    peak_mb: dict[str, float]
    """Largest memory of any job of each stage."""
    spectrum_bytes: float
    plot_bytes: float
    """Of one spectrum and of its sample in a shard, on the mean."""


def read_run(root: Path) -> Measured:
    """Read catalogue, ledgers, shard statistics and Snakemake's benchmarks of one run."""
    paths = RunPaths(root)
    folder = root / "benchmarks"
    jobs = [str(path.relative_to(folder).with_suffix("")) for path in sorted(folder.rglob("*.tsv"))]
    times = {time.stage: time for time in stage_times(root, jobs)}
    missing = [stage for stage in STAGES if stage not in times]
    if missing:
        raise DataError(
            f"{root} has no benchmarks of {', '.join(missing)}: is it a run that Snakemake has "
            "taken to its shards?"
        )
    if not paths.catalog.exists():
        raise DataError(f"{paths.catalog} does not exist")
    ledgers = [pq.read_table(p, columns=["bytes"]) for p in root.glob("spectra/*.ledger.parquet")]
    stats = [read_json(path) for path in root.glob("shards/*/*.stats.json")]
    spectra = pq.read_metadata(paths.catalog).num_rows
    return Measured(
        root.name,
        spectra,
        {stage: _cpu(times[stage]) for stage in STAGES},
        {stage: times[stage].peak_mb or 0.0 for stage in STAGES},
        sum(pc.sum(table["bytes"]).as_py() or 0 for table in ledgers) / spectra,
        sum(part["bytes"] for part in stats) / spectra,
    )


def _cpu(time: StageTime) -> float:
    return time.seconds if time.cpu is None else time.cpu


def growth(runs: Sequence[Measured], stage: str) -> float:
    """Exponent of cost against spectra from the first run to the last: 1 is linear.

    nan where the first run's cost was below what Snakemake measures.
    """
    first, last = runs[0], runs[-1]
    if not first.cpu_s[stage]:
        return math.nan
    ratio = last.cpu_s[stage] / first.cpu_s[stage]
    return math.log(ratio) / math.log(last.spectra / first.spectra)


@dataclass(frozen=True)
class Assumed:
    """What a projection takes for given."""

    cores: int
    files_per_s: float
    per_shard: int


def project(run: Measured, spectra: int, assumed: Assumed) -> dict[str, Any]:
    """Cost of the data stages for many spectra at this run's cost of one."""
    each = {stage: run.cpu_s[stage] / run.spectra for stage in ("download", "shard")}
    download_h = spectra / assumed.files_per_s / 3600
    plot_core_h = spectra * each["shard"] / 3600
    shards = math.ceil(spectra / assumed.per_shard)
    plot_h = plot_core_h / min(assumed.cores, shards)
    return {
        "spectra": spectra,
        "requests": spectra,
        "shards": shards,
        "files": FILES_PER_SHARD * shards,
        "download_h": round(download_h, 2),
        "plots_h": round(plot_h, 2),
        "core_h": round(spectra * each["download"] / 3600 + plot_core_h, 1),
        "spectra_gb": round(spectra * run.spectrum_bytes / 1e9, 1),
        "plots_gb": round(spectra * run.plot_bytes / 1e9, 1),
        "longest": "download" if download_h > plot_h else "plots",
    }


@click.command("scale")
@click.argument(
    "runs", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, file_okay=False)
)
@click.option("--cores", default=64, show_default=True, help="Cores that draw plots.")
@click.option(
    "--files-per-s",
    default=100.0,
    show_default=True,
    help="Files a second from the survey's server: `bench download`, or what it is seen to give.",
)
@click.option("--per-shard", default=10_000, show_default=True, help="Spectra of one shard.")
@json_option
def command(
    runs: tuple[Path, ...], cores: int, files_per_s: float, per_shard: int, json_path: Path | None
) -> None:
    """Compare finished runs of growing size (results/A results/B ...), and project the largest.

    Costs are processor seconds and memory from Snakemake's benchmark files.
    """
    found = sorted((read_run(run) for run in runs), key=lambda run: run.spectra)
    if len(found) < 2 or any(a.spectra == b.spectra for a, b in pairwise(found)):
        raise DataError("runs of at least two different sizes are needed")
    exponents = {stage: growth(found, stage) for stage in STAGES}
    assumed = Assumed(cores, files_per_s, per_shard)
    projected = [project(found[-1], spectra, assumed) for spectra in SIZES]
    machine = f"{processor_name()}, {available_cores()} cores"
    click.echo(f"scale: {len(found)} runs on {machine}")
    _show_runs(found, exponents)
    click.echo(
        f"At the largest run's cost of a spectrum, {files_per_s:g} files/s from the server, "
        f"{cores} cores for plots, {per_shard:,} spectra a shard:"
    )
    _show_table(projected)
    if json_path is not None:
        write_json(
            json_path,
            {
                "name": "scale",
                "machine": machine,
                "runs": [asdict(run) for run in found],
                "exponents": {k: None if math.isnan(v) else v for k, v in exponents.items()},
                "assumed": asdict(assumed),
                "projected": projected,
            },
        )


def _show_runs(runs: Sequence[Measured], exponents: dict[str, float]) -> None:
    rows = [
        {
            "run": run.run,
            "spectra": run.spectra,
            **{f"{s} s": round(run.cpu_s[s], 1) for s in STAGES},
            "peak MB": round(max(run.peak_mb.values())),
        }
        for run in runs
    ]
    growing = {f"{s} s": "" if math.isnan(e) else f"n^{e:.2f}" for s, e in exponents.items()}
    _show_table([*rows, {"run": "growth", "spectra": "", **growing, "peak MB": ""}])


def _show_table(rows: Sequence[dict[str, Any]]) -> None:
    cells = [[*rows[0]]] + [[_cell(value) for value in row.values()] for row in rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))]
    for row in cells:
        line = "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        click.echo(f"  {line}")


def _cell(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int | float) else str(value)
