"""One picture of the whole run: example plots, the confusion matrix, and redshift."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from PIL import Image

from specvit.config.models import MAIN_NETWORK
from specvit.metrics.values import ValueScores
from specvit.report import panels
from specvit.report.figures import Material
from specvit.report.pictures import Example
from specvit.report.style import GRID, INK, MM, PAGE_MM
from specvit.tasks import CLASSES

HEIGHT_MM = 62.0
PICTURE_MM = 16.5
SQUARE_MM = 43.0


def draw_overview(material: Material, shown: Sequence[Example]) -> Canvas:
    """Draw the overview, one page wide: two plots of each class beside the ViT's results.

    The panels of tasks that the run does not have are left out.
    """
    classes = [task for task in material.tasks("classification") if task.name == "class"]
    canvas = Canvas(figsize=(PAGE_MM * MM, HEIGHT_MM * MM))
    _pictures(canvas, shown)
    left = 60.0
    for task in [*classes, *material.tasks("redshift")]:
        ax = _axes(canvas, left, 10.0, SQUARE_MM, SQUARE_MM)
        left += 65.0
        if task.kind == "classification":
            entry = material.entry(task)["models"][MAIN_NETWORK]
            panels.confusion(ax, entry["confusion"], task.labels)
            accuracy = entry["groups"]["all"]["all"]["accuracy"]["value"]
            ax.set_title(f"ViT: class, accuracy {accuracy:.3f}", loc="left")
        else:
            scores: ValueScores = material.scores(task)[MAIN_NETWORK]
            panels.redshift_scatter(ax, scores, material.column(task, "class"))
            ax.set_title("ViT: redshift", loc="left", pad=16)
    if material.metrics["simulated"]:
        note = canvas.text(0.995, 0.985, "Simulated data", ha="right", va="top", color=INK)
        note.set(fontsize=6.5, style="italic")
    return canvas


def _axes(canvas: Canvas, left: float, bottom: float, width: float, height: float) -> Axes:
    """Axes placed in mm."""
    place = (left / PAGE_MM, bottom / HEIGHT_MM, width / PAGE_MM, height / HEIGHT_MM)
    return canvas.add_axes(place)


def _pictures(canvas: Canvas, shown: Sequence[Example]) -> None:
    """Two plots of each class, a row a class: those with most signal."""
    for row, name in enumerate(CLASSES):
        mine = [example for example in shown if example.label == name][-2:]
        for column, example in enumerate(mine):
            bottom = HEIGHT_MM - 2.5 - (row + 1) * PICTURE_MM - row * 2.6
            left = 7.0 + column * (PICTURE_MM + 3.5)
            ax = _axes(canvas, left, bottom, PICTURE_MM, PICTURE_MM)
            picture = np.asarray(Image.open(io.BytesIO(example.picture)).convert("RGB"))
            ax.imshow(picture, interpolation="nearest")
            ax.set_xticks([])
            ax.set_yticks([])
            ax.spines[:].set_visible(True)
            ax.spines[:].set_color(GRID)
            ax.set_xlabel(example.numbers, fontsize=4.2, labelpad=1.5)
            if column == 0:
                ax.set_ylabel(name, fontsize=6)
