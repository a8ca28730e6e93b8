"""The paper's claim on real spectra: networks and baselines on the same folds."""

from __future__ import annotations

import time
from concurrent.futures import as_completed
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from benchmarks.real_systems import Bench

CONFIGS = ("config.yaml", "workflow/configs/own.yaml")
BASELINES = (
    *("svm", "random_forest", "knn", "template", "cnn1d"),
    *("specformer", "specformer_knn", "specformer_tuned"),
)


@click.command("real")
@click.argument("folders", nargs=-1, type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("results/real"),
    show_default=True,
    help="Where everything is written; what is there already is not made again.",
)
@click.option(
    "--prepared",
    "data",
    type=click.Path(path_type=Path),
    help="Folder that an earlier call prepared, in place of FOLDERS.",
)
@click.option("--prepare-only", is_flag=True, help="Read and draw the spectra, and train nothing.")
@click.option(
    "--config",
    "sources",
    multiple=True,
    default=CONFIGS,
    show_default=True,
    help="Settings of the fine-tuned network, as of specvit train; --prepare-only draws all sets "
    "of plots.",
)
@click.option("--sky", type=click.Path(path_type=Path), help="The network of the simulated sky.")
@click.option("--weights", type=click.Path(path_type=Path), help="Weights of DINOv2 ViT-S/14.")
@click.option("--systems", help="Which to run, with commas; default: all that can be.")
@click.option("--folds", default=5, show_default=True, help="Folds by object.")
@click.option(
    "--only-folds",
    help="Only these, with commas: 0, 1, ..., and final: no test, its network is the one to keep.",
)
@click.option("--spectra", "most", type=int, help="Learn from only so many of each fold.")
@click.option(
    "--apart", help="Folder whose spectra are left out of a second set of rows of the table."
)
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True)
@click.option("--jobs", default=1, show_default=True, help="Trainings at the same time.")
@click.option("--minutes", type=float, help="Begin no training after so many minutes.")
def command(
    folders: tuple[Path, ...],
    out: Path,
    data: Path | None,
    prepare_only: bool,
    sources: tuple[str, ...],
    sky: Path | None,
    weights: Path | None,
    systems: str | None,
    folds: int,
    only_folds: str | None,
    most: int | None,
    apart: str | None,
    device: str,
    jobs: int,
    minutes: float | None,
) -> None:
    """Compare networks and baselines on the real spectra below FOLDERS, fold by fold.

    Writes real.json and real.md: class, stellar type and redshift, each by survey. Nothing is
    chosen on the fold that it is tested on.
    """
    from benchmarks.real_data import Prepared, prepare, write_fold
    from benchmarks.real_systems import (
        NETWORKS,
        Bench,
        answers_path,
        line_plots,
        settings_of,
        start_from_sky,
    )
    from specvit.config import load_config

    config = load_config(sources)
    prepared = Prepared(data or out / "prepared")
    renders = [*config.renders.values(), line_plots(config)]
    if folders and not prepared.has(renders):
        prepared = prepare(folders, out, renders, config.grid, folds)
    if not prepared.rows_path.exists():
        raise click.UsageError("name the FOLDERS with real spectra, or --prepared")
    if prepare_only:
        return
    # The model's own name for its folder would be of this machine.
    base = config.model_copy(update={"model": config.model.model_copy(update={"init": None})})
    config = (base if sky is None else start_from_sky(base, sky)).settled()
    bench = Bench(prepared, out.resolve(), config, weights, device == "cuda")
    needs = {"imagenet": weights, "published": weights, "sky": sky, "sky-real": sky}
    names = [n for n in (*NETWORKS, *BASELINES) if n not in needs or needs[n] is not None]
    chosen = names if systems is None else systems.split(",")
    wanted = prepared.folds if only_folds is None else only_folds.split(",")
    # By fold, so that each system has some figures when time runs out.
    todo = [(system, fold) for fold in wanted for system in chosen]
    todo = [job for job in todo if not answers_path(out, *job).exists()]
    for system, fold in todo:
        write_fold(prepared, settings_of(bench, system, fold), fold, most)
    _run(bench, todo, jobs, minutes)
    _table(bench, names, [fold for fold in wanted if fold in prepared.folds], apart)


def _run(bench: Bench, todo: list[tuple[str, str]], jobs: int, minutes: float | None) -> None:
    """Run what is to be done, some trainings beside one another; one that fails stops no other."""
    from benchmarks.real_systems import run_job
    from specvit.config.baselines import registered
    from specvit.logs import setup_logging
    from specvit.machine import worker_processes

    end = time.monotonic() + 60 * minutes if minutes is not None else float("inf")
    starts = {name for name, one in registered().items() if one.after is not None}
    failed = []
    with worker_processes(jobs, setup_logging) as pool:
        for later in (False, True):  # what starts from another baseline, when that is there
            some = [job for job in todo if (job[0] in starts) is later]
            futures = {pool.submit(run_job, bench, *job, end): job for job in some}
            for future in as_completed(futures):
                job = futures[future]
                error = future.exception()
                click.echo(f"{job[0]}, fold {job[1]}: {error or 'done'}", err=True)
                failed += [job] if error else []
    if failed:
        click.echo(f"{len(failed)} of {len(todo)} failed: run the same command again", err=True)


def _table(bench: Bench, names: list[str], folds: list[str], apart: str | None) -> None:
    from benchmarks.real_systems import SKY_REAL, gather, title_of
    from benchmarks.real_table import compare, markdown
    from specvit.io import write_json, write_text
    from specvit.tasks import tasks_of

    tasks = tasks_of(bench.config.tasks)
    found = {name: gather(bench.out, bench.prepared, name, folds, tasks) for name in names}
    systems = {name: frame for name, frame in found.items() if frame is not None}
    if not systems:
        click.echo("no system has answered every fold yet: no table")
        return
    ours = SKY_REAL if SKY_REAL in systems else next(iter(systems))
    result = compare(systems, ours, apart)
    text = markdown(result, {name: title_of(name) for name in systems}, ours)
    write_json(bench.out / "real.json", result)
    write_text(bench.out / "real.md", text)
    click.echo(text)
