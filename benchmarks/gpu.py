"""`python -m benchmarks gpu PART`: the parts of benchmarks/gpu.sh, each inside a box of time."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from functools import reduce
from pathlib import Path
from typing import Any

import click

from benchmarks.gpu_grid import FULL, MODES, TINY, timing_config
from specvit.errors import MachineError
from specvit.io import read_json, write_json
from specvit.machine import available_cores

READY = "ready"
"""File of a folder of shards that are all written."""
GRACE_S = 10.0
POLL_S = 0.2

file = click.Path(path_type=Path, dir_okay=False)
folder = click.Path(path_type=Path, file_okay=False)
seconds_option = click.option("--seconds", required=True, type=float, help="Box of time.")
tiny_option = click.option("--tiny", is_flag=True, help="A rehearsal on the CPU.")


@click.group("gpu")
def command() -> None:
    """Rates of one card, a fine-tuning, a million pictures: the parts of benchmarks/gpu.sh."""


@command.command("timing-shards")
@click.argument("target", type=folder)
@click.argument("mode", type=click.Choice(list(MODES)))
@tiny_option
def timing_shards(target: Path, mode: str, tiny: bool) -> None:
    """Draw the shards that `rates` reads: some simulated spectra, repeated."""
    from benchmarks.pictures import write_shards

    scale = TINY if tiny else FULL
    config = timing_config(target, mode, scale)
    render = config.render[0]
    for split, samples in (("train", scale.samples), ("val", 8)):
        paths = [config.paths.shard(render.label, name) for name in config.shard_names(split)]
        write_shards(paths, samples, render, None, config.split)
    (target / f"{mode}.{READY}").touch()


@command.command("sky")
@click.argument("target", type=folder)
@click.option("--config", "sources", multiple=True, required=True, help="As of specvit train.")
@click.option("--spectra", required=True, type=int)
@seconds_option
def sky(target: Path, sources: tuple[str, ...], spectra: int, seconds: float) -> None:
    """Simulate and draw spectra into shards of the configured run, a process for each shard."""
    from benchmarks.gpu_sky import draw_sky
    from specvit.config import merge, validate
    from specvit.config.load import read_source

    config = validate(reduce(merge, map(read_source, sources))).settled()
    write_json(target / "sky.json", draw_sky(config, spectra, seconds))


@command.command("rates")
@click.argument("out", type=file)
@click.argument("shards", type=folder)
@click.option("--after", type=file, help="Measure from shards when this file is there.")
@click.option("--readers", type=int, help="Processes that read shards; default: cores - 2.")
@seconds_option
@tiny_option
def rates(
    out: Path, shards: Path, after: Path | None, readers: int | None, seconds: float, tiny: bool
) -> None:
    """Measure the grid: from memory, and from shards once nothing else runs."""
    end = time.monotonic() + seconds
    from benchmarks.gpu_rates import measure  # loads torch: part of the time

    for mode in MODES:
        if not wait_for(shards / f"{mode}.{READY}", end - time.monotonic()):
            raise MachineError(f"the shards of {mode} plots were not ready in time")
    measure(
        out,
        shards,
        TINY if tiny else FULL,
        max(1, available_cores() - 2) if readers is None else readers,
        end - time.monotonic(),
        0 if tiny else 1,
        lambda left: after is None or wait_for(after, left),
    )


@command.command("train")
@click.argument("out", type=file)
@click.option("--config", "sources", multiple=True, required=True, help="As of specvit train.")
@seconds_option
def train(out: Path, sources: tuple[str, ...], seconds: float) -> None:
    """Run `specvit train` and write what became of it, finished or cut."""
    from specvit.config import load_stage

    folder = load_stage(sources, "train").paths.model_dir("vit")
    again = [part for source in sources for part in ("--config", source)]
    begun = time.monotonic()
    process = subprocess.Popen([sys.executable, "-m", "specvit", "train", *again])
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.terminate()  # it saves its state
        try:
            process.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    wall = time.monotonic() - begun
    write_json(out, {"wall_s": round(wall, 1), "exit_code": process.returncode, **told(folder)})


def told(folder: Path) -> dict[str, Any]:
    """What a network's log and summary say: its epochs, and when the best of them was there."""
    log = folder / "checkpoints" / "log.jsonl"
    lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    epochs = [event for event in map(json.loads, lines) if event["event"] == "epoch"]
    best = [event for event in epochs if event["best"]]
    found: dict[str, Any] = {"epochs": epochs}
    if best:
        found |= {"best": best[-1], "seconds_to_best": best[-1]["seconds"]}
    summary = folder / "training.json"
    if summary.exists():
        values = read_json(summary)
        kept = ("samples", "steps", "seconds", "training_seconds", "pictures_per_s", "data_wait")
        more = ("mfu", "device", "precision", "peak_memory_mb", "flops_per_picture")
        found["summary"] = {key: values[key] for key in (*kept, *more)}
    return found


@command.command("table")
@click.argument("out", type=folder)
def table(out: Path) -> None:
    """Put all parts into OUT/gpu.json and OUT/gpu.md."""
    from benchmarks.gpu_table import as_markdown

    parts = {
        name: read_json(path)
        for name in ("rates", "tune", "sky", "million")
        if (path := out / f"{name}.json").exists()
    }
    write_json(out / "gpu.json", parts)
    text = as_markdown(parts)
    (out / "gpu.md").write_text(text, encoding="utf-8")
    click.echo(text)


def wait_for(path: Path, seconds: float) -> bool:
    """Whether the file is there within so many seconds."""
    end = time.monotonic() + seconds
    while not path.exists():
        if time.monotonic() > end:
            return False
        time.sleep(POLL_S)
    return True
