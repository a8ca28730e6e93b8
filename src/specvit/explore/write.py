"""`explore.html`: the test spectra gathered and written as one page that asks for nothing else."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment, StrictUndefined

from specvit.config.data import Grid
from specvit.config.models import MAIN_NETWORK
from specvit.embedding_map import read_map
from specvit.explain.kept import Relevance
from specvit.explore import pack
from specvit.explore.choice import FAIL, failures, first_rows
from specvit.explore.columns import answer_columns, catalogue_columns, map_columns
from specvit.io import write_text
from specvit.logs import progress
from specvit.paths import RunPaths
from specvit.report.failures import survey_page
from specvit.report.gathered import Gathered
from specvit.report.names import TASK_NAMES, UNITS, model_name
from specvit.report.pictures import Drawn, read_drawn
from specvit.report.spectra import LINES, WAVELENGTHS, shown_flux
from specvit.report.style import CLASS_COLOURS
from specvit.report.write import thousands
from specvit.tasks import Task

MOST = 20_000
"""Spectra on a page: more would take a browser too long, and have more labels than pack.NULL."""
DRAWN = 2000
"""Spectra with flux and picture."""
PICTURE_BYTES = 9_000_000
"""Of all pictures together."""
BINS = 400
"""Of a spectrum, as many as its drawing on a page can show."""


@dataclass(frozen=True)
class Spectra:
    """What a page is made of; rows of all frames are the same test spectra, by spectrum_id."""

    run: str
    tasks: list[Task]
    answers: Mapping[str, pd.DataFrame]
    """Calibrated predictions by model, the main network first."""
    catalog: pd.DataFrame
    """Indexed by spectrum_id: the test spectra and their neighbours."""
    placed: pd.DataFrame
    """Places in the embedding: `specvit.embedding_map`."""
    drawn: Mapping[str, Drawn]
    """Flux and picture of some."""
    relevance: Mapping[tuple[str, str], Relevance]
    grid: Grid
    grey: bool
    """Whether pictures are grey: white on black, which a light page shows the other way round."""
    total: int
    """Test spectra of the run."""


def write_explorer(run: Gathered) -> None:
    """Write explore.html. Raises DataError where an input is missing or of another plan."""
    with progress("explore", 2, "parts") as ticker:
        spectra = gather(run)
        ticker.advance()
        write_text(run.material.config.paths.explorer, page_of(spectra))
        ticker.advance()


def gather(run: Gathered) -> Spectra:
    """Choose and read what the page shows of a run."""
    config, read, catalog = run.material.config, run.material.predictions, run.catalog
    frame = read.test[MAIN_NETWORK]
    # Chosen as the model was sure by itself: so is what relevance is kept of.
    failed, seed = failures(frame, config.asked), config.split.seed
    rows = np.sort(first_rows(failed, frame["spectrum_id"], MOST, seed))
    answers = {name: one.iloc[rows].reset_index(drop=True) for name, one in read.test.items()}
    shown = answers[MAIN_NETWORK]
    ids = shown["spectrum_id"]
    first = ids.iloc[first_rows(failures(shown, config.asked), ids, DRAWN, seed)]
    wanted = {name: str(catalog.at[name, "shard"]) for name in first}
    render = config.render_of(MAIN_NETWORK)
    found = read_drawn(config, render, wanted)
    return Spectra(
        run=config.run,
        tasks=config.asked,
        answers={name: run.calibrated(name, one) for name, one in answers.items()},
        catalog=catalog,
        placed=read_map(
            config.paths.embedding_map(MAIN_NETWORK), read.plan, read.weights[MAIN_NETWORK]
        ),
        drawn=within(PICTURE_BYTES, {name: found[name] for name in first if name in found}),
        relevance=run.relevance,
        grid=config.grid,
        grey=config.renders[render].channels == 1,
        total=len(frame),
    )


def within(most: int, drawn: Mapping[str, Drawn]) -> dict[str, Drawn]:
    """The first of these whose pictures take no more than so many bytes."""
    ends = np.cumsum([len(one.picture) for one in drawn.values()])
    return dict(list(drawn.items())[: int(np.searchsorted(ends, most, side="right"))])


def page_of(spectra: Spectra) -> str:
    """The page as text."""
    environment = Environment(autoescape=True, undefined=StrictUndefined)
    environment.filters["thousands"] = thousands
    style, script = _resource("explore.css"), _resource("explore.js")
    data = data_of(spectra)
    return environment.from_string(_resource("explore.html")).render(
        data=data,
        report=RunPaths(Path()).report,
        style=style,
        script=script,
        style_hash=_hash(style),
        script_hash=_hash(script),
        drawn=_drawn(spectra),
        tasks=[task for task in spectra.tasks if task.kind in FAIL],
        task_names=TASK_NAMES,
        simulated=_simulated(spectra),
        **_counts(spectra),
    )


def data_of(spectra: Spectra) -> dict[str, Any]:
    """What the page's script reads, but for flux and pictures."""
    frame = spectra.answers[MAIN_NETWORK]
    here = spectra.catalog.loc[frame["spectrum_id"], ["simulated", "shard"]]
    rows = frame.assign(**{name: here[name].to_numpy() for name in here})
    placed, neighbours = map_columns(frame["spectrum_id"], spectra.placed, spectra.catalog)
    waves, _ = shown_flux(np.zeros(spectra.grid.pixels), spectra.grid, BINS)
    return {
        "run": spectra.run,
        "ids": frame["spectrum_id"].astype(str).tolist(),
        "columns": catalogue_columns(rows, spectra.tasks) | placed,
        "models": [
            {"title": model_name(name), "columns": answer_columns(one, spectra.tasks)}
            for name, one in spectra.answers.items()
        ],
        "tasks": [
            {
                "name": task.name,
                "kind": task.kind,
                "title": TASK_NAMES[task.name] + UNITS.get(task.name, ""),
            }
            for task in spectra.tasks
        ],
        "neighbours": neighbours,
        "colours": CLASS_COLOURS,
        "lines": {c: [[name, WAVELENGTHS[name]] for name in names] for c, names in LINES.items()},
        "grey": spectra.grey,
        "waves": pack.numbers(waves),
    }


def _drawn(spectra: Spectra) -> Iterator[tuple[int, dict[str, Any]]]:
    """Row and content of each spectrum that the page can draw."""
    ids = spectra.answers[MAIN_NETWORK]["spectrum_id"]
    for row, name in enumerate(ids):
        if (one := spectra.drawn.get(name)) is None:
            continue
        _, binned = shown_flux(one.flux.astype(float), spectra.grid, BINS)
        looked = {
            task.name: {
                "low": kept.edges[0],
                "high": kept.edges[-1],
                "share": np.round(kept.share, 5).tolist(),
            }
            for task in spectra.tasks
            if (kept := spectra.relevance.get((name, task.name))) is not None
        }
        yield (
            row,
            {
                "flux": pack.flux(binned),
                "picture": pack.binary(one.picture),
                "relevance": looked,
                "page": survey_page(spectra.catalog.loc[name]),
            },
        )


def _counts(spectra: Spectra) -> dict[str, int]:
    """How many spectra are there, on the page, drawn, and failures among them."""
    frame = spectra.answers[MAIN_NETWORK]
    failed = frame["spectrum_id"].iloc[failures(frame, spectra.tasks)]
    return {
        "total": spectra.total,
        "shown": len(frame),
        "with_flux": len(spectra.drawn),
        "failed": len(failed),
        "failed_with_flux": int(failed.isin(list(spectra.drawn)).sum()),
    }


def _simulated(spectra: Spectra) -> str:
    """Which of the spectra are simulated, in words; empty where none is."""
    made_up = spectra.catalog.loc[spectra.answers[MAIN_NETWORK]["spectrum_id"], "simulated"]
    if not made_up.any():
        return ""
    return "All" if made_up.all() else f"{thousands(int(made_up.sum()))} of {len(made_up)}"


def _resource(name: str) -> str:
    return files("specvit.explore").joinpath("templates", name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """As a content security policy names what may run."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
