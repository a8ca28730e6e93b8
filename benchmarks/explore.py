"""`python -m benchmarks explore`: the page of the test spectra in headless Chromium."""

from __future__ import annotations

import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import click
import numpy as np
import pandas as pd

from benchmarks.common import BenchResult, json_option
from specvit.errors import MachineError
from specvit.explore.write import DRAWN, Spectra, page_of

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"]
FIRST_PAINT = """() => new Promise((done) => new PerformanceObserver((list) => {
  for (const entry of list.getEntriesByName("first-contentful-paint")) done(entry.startTime);
}).observe({ type: "paint", buffered: true }))"""
# From an input to the frame that shows what it left, milliseconds.
FILTER = """async ([id, value]) => {
  const field = document.getElementById(id), began = performance.now();
  field.value = value;
  field.dispatchEvent(new Event("input", { bubbles: true }));
  const worked = performance.now() - began;
  await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
  return [worked, performance.now() - began];
}"""
STEPS = (
    *(("z-min", "0.5"), ("snr-max", "10"), ("answer", "class"), ("sure-min", "0.6")),
    *(("answer", ""), ("z-min", ""), ("name", "77"), ("name", ""), ("snr-max", "")),
)
# The naive way: every row of the page in the document.
EVERY_ROW = """() => {
  const began = performance.now(), all = document.createElement("table");
  for (const id of JSON.parse(document.getElementById("data").textContent).ids) {
    const row = all.insertRow();
    for (let k = 0; k < 9; k++) row.insertCell().textContent = id;
  }
  document.body.append(all);
  all.getBoundingClientRect();
  const took = performance.now() - began;
  all.remove();
  return took;
}"""


@click.command("explore")
@click.option("--spectra", default=10_000, show_default=True, help="Rows of the page.")
@json_option
def command(spectra: int, json_path: Path | None) -> None:
    """Write the page of so many made-up spectra, open it and filter it."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        raise MachineError(f"the benchmark needs a browser: one of {', '.join(BROWSERS)}")
    began = time.process_time()
    page = page_of(made_up(spectra))
    wrote = time.process_time() - began
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "explore.html"
        path.write_text(page, encoding="utf-8")
        told = measured(path, browser)
    every_row = told.pop("every_row_s")
    BenchResult(
        name="explore",
        what=f"{spectra:,} made-up spectra in a page, filtered and shown",
        unit="spectra",
        rate=spectra / told["filter_median_s"],
        reference="every row in the document instead of those in sight",
        reference_rate=spectra / every_row,
        cores=1,
        extra={"page_mb": round(len(page) / 1e6, 1), "write_cpu_s": round(wrote, 1), **told},
    ).show(json_path)


def measured(path: Path, browser: str) -> dict[str, Any]:
    """First paint, the time until the page is whole, and filters, in seconds."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=browser, args=ARGUMENTS)
        paints, wholes = [], []
        for _ in range(3):
            page = opened.new_page(viewport={"width": 1100, "height": 900})
            page.goto(path.as_uri())
            page.wait_for_load_state("load")
            paints.append(page.evaluate(FIRST_PAINT))
            wholes.append(page.evaluate("performance.getEntriesByType('navigation')[0].duration"))
        times = [page.evaluate(FILTER, step) for step in STEPS for _ in range(3)]
        every_row = page.evaluate(EVERY_ROW)
        opened.close()
    worked, shown = zip(*times, strict=True)
    return {
        "first_paint_s": round(statistics.median(paints) / 1e3, 2),
        "whole_s": round(statistics.median(wholes) / 1e3, 2),
        "filter_median_s": round(statistics.median(shown) / 1e3, 4),
        "filter_slowest_s": round(max(shown) / 1e3, 4),
        "filter_script_median_s": round(statistics.median(worked) / 1e3, 4),
        "every_row_s": every_row / 1e3,
    }


def made_up(count: int) -> Spectra:
    """Spectra with three models' answers, of which DRAWN have flux and picture."""
    from specvit.config.data import Grid
    from specvit.report.pictures import Drawn
    from specvit.shards.sample import png_bytes
    from specvit.tasks import CLASSES, tasks_of

    rng, tasks, grid = np.random.default_rng(1), tasks_of(["class", "redshift"]), Grid()
    ids = [f"sdss-{i:05d}-{51_000 + i % 7000}-{i % 1000:04d}" for i in range(count)]
    identity = pd.DataFrame(
        {
            "spectrum_id": ids,
            "survey": "sdss",
            "snr": rng.lognormal(2, 0.8, count),
            "class": rng.choice(CLASSES, count),
            "subclass": rng.choice(["STARBURST", "AGN", "BROADLINE"], count),
            "z": rng.gamma(2, 0.4, count),
        }
    )
    frame = identity.assign(class_true=identity["class"], redshift_true=identity["z"])
    answers = {name: _answers(frame, rng) for name in ("vit", "svm", "random_forest")}
    catalog = identity.assign(simulated=True, shard="test-000000", identity=None).set_index(
        "spectrum_id"
    )
    placed = pd.DataFrame(
        {
            "spectrum_id": ids,
            **{name: rng.normal(size=count) for name in ("x", "y", "novelty")},
            "nearest": [np.array(ids[:3])] * count,
            "distance": [np.arange(3.0)] * count,
        }
    )
    flux = rng.normal(1, 0.1, grid.pixels).astype(np.float16)
    # What noise packs into is more than a plot takes.
    picture = png_bytes((rng.random((64, 64)) * 255).astype(np.uint8))
    drawn = {name: Drawn(picture, flux) for name in ids[:DRAWN]}
    return Spectra("made up", tasks, answers, catalog, placed, drawn, {}, grid, True, count)


def _answers(frame: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    from specvit.tasks import CLASSES

    probabilities = rng.dirichlet(np.full(len(CLASSES), 0.2), len(frame)).astype(np.float32)
    said = frame["z"] + 0.03 * rng.normal(size=len(frame))
    return frame.assign(
        **{f"class_prob_{label}": probabilities[:, k] for k, label in enumerate(CLASSES)},
        class_pred=np.array(CLASSES)[probabilities.argmax(axis=1)],
        redshift_pred=said,
        redshift_lo=said - 0.03,
        redshift_hi=said + 0.03,
        redshift_pit=0.5,
    )
