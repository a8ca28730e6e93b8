"""`specvit plot`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import click

from specvit.config.data import Grid, Render

MODES, SCALES = (get_args(Render.model_fields[key].annotation) for key in ("mode", "scale"))


@click.command("plot")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="PNG to write; default: FILE's name.")
@click.option("--config", "sources", multiple=True, help="Draw as this configuration's run does.")
@click.option("--render", "label", help="Which of its sets of plots; default: the first.")
@click.option("--mode", type=click.Choice(MODES), help="Kind of picture.")
@click.option("--size", type=int, help="Height and width in pixels.")
@click.option("--rows", type=int, help="Rows of stacked and map.")
@click.option("--scale", type=click.Choice(SCALES), help="Flux scale.")
@click.option("--line-width", type=float, help="Line width in pixels.")
@click.option("--rest", is_flag=True, help="Rest frame, by the file's redshift.")
@click.option("--axes", is_flag=True, help="With wavelengths and a title, for people.")
def command(
    file: Path,
    out: Path | None,
    sources: tuple[str, ...],
    label: str | None,
    rest: bool,
    axes: bool,
    **over: Any,
) -> None:
    """Draw the spectrum in FILE (FITS, plain or gzipped) as one PNG."""
    from specvit.errors import SpectrumError, blamed_on_the_file
    from specvit.io import atomic_open
    from specvit.plot import draw
    from specvit.plot.figure import write_figure
    from specvit.shards.sample import png_bytes
    from specvit.surveys.read import read_bytes, read_spectrum

    render, grid = _settings(sources, label, {**over, "frame": "rest" if rest else None})
    try:
        with blamed_on_the_file():
            spectrum = read_spectrum(read_bytes(file))
            picture = draw(spectrum, render, grid, spectrum.header.z)
    except SpectrumError as error:
        raise SpectrumError(f"{file}: {error}") from error
    out = out or Path(file.name.removesuffix(".gz")).with_suffix(".png")
    if axes:
        header = spectrum.header
        z = None if header.z is None else f"z = {header.z:.5f}"
        parts = [header.survey.upper(), header.identity, header.class_, header.subclass, z]
        write_figure(out, picture, render, grid, "  ".join(part for part in parts if part))
    else:
        with atomic_open(out) as handle:
            handle.write(png_bytes(picture))
    click.echo(out)


def _settings(
    sources: tuple[str, ...], label: str | None, over: dict[str, Any]
) -> tuple[Render, Grid]:
    """Return the run's settings or the defaults, with what the command line sets on top."""
    from pydantic import ValidationError

    from specvit.config import load_config
    from specvit.errors import ConfigError

    render, grid = Render(), Grid()
    if sources:
        config = load_config(sources)
        labels = ", ".join(config.renders)
        if label is not None and label not in config.renders:
            raise ConfigError(f"--render {label} is not one of {labels}")
        render, grid = config.renders[label or config.render[0].label], config.grid
    elif label is not None:
        raise click.UsageError("--render needs --config")
    values = {key: value for key, value in over.items() if value is not None}
    try:
        return Render.model_validate({**render.model_dump(), **values}), grid
    except ValidationError as error:
        found = error.errors()[0]
        key = ".".join(str(part) for part in found["loc"])
        raise ConfigError(f"{key} {found['msg'].removeprefix('Value error, ')}".strip()) from error
