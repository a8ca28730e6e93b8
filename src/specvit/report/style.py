"""How figures look: journal sizes, one colour for one thing, the same bytes every time."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import matplotlib as mpl
from matplotlib.figure import Figure

from specvit.config.baselines import registered
from specvit.config.models import MAIN_NETWORK
from specvit.errors import ConfigError, on_one_line

# Astronomy & Astrophysics: width of the page, and what is between its two columns.
PAGE_MM = 180.0
GUTTER_MM = 4.0
COLUMN_MM = (PAGE_MM - GUTTER_MM) / 2
MM = 1 / 25.4
PNG_DPI = 300

INK = "#1b1f24"
GRID = "#d5dae0"
PAPER = "#fefefe"  # the inside of open symbols

# Classes are warm, models cold, so that no colour of one figure means both.
CLASS_COLOURS = {"STAR": "#e69f00", "GALAXY": "#d1495b", "QSO": "#7d2248", "NONE": "#c0c0c0"}
VIT_COLOUR = "#0072b2"
SPARE_COLOURS = ("#7a5195", "#3d7a80", "#8da0cb", "#6f8f2f", "#2f4b66")
CLASS_MARKERS = {"STAR": "*", "GALAXY": "o", "QSO": "D", "NONE": "s"}
LINES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1, 1.2)), (0, (5, 1.5, 1, 1.5)), (0, (9, 2)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "h")

RC: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 7,
    "axes.titlesize": 7.5,
    "axes.labelsize": 7.5,
    "xtick.labelsize": 6.5,
    "ytick.labelsize": 6.5,
    "legend.fontsize": 6.5,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": GRID,
    "grid.linewidth": 0.4,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.minor.width": 0.4,
    "ytick.minor.width": 0.4,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "xtick.minor.size": 1.5,
    "ytick.minor.size": 1.5,
    "legend.frameon": False,
    "lines.linewidth": 1.2,
    "lines.markersize": 3.5,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "pdf.fonttype": 42,
    "svg.fonttype": "path",
    "svg.hashsalt": "specvit",  # identifiers inside the file are random without it
}


@contextmanager
def style(sheet: str | None = None) -> Iterator[None]:
    """Draw with these settings, whatever the user's own matplotlib settings are.

    Over them those of a style sheet. Raises ConfigError where it cannot be read.
    """
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(cast(Any, RC))
        mpl.rcParams.update(cast(Any, {} if sheet is None else read_sheet(sheet)))
        yield


def read_sheet(path: str) -> dict[str, Any]:
    """The settings of a matplotlib style sheet. Raises ConfigError for one that is not right."""
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
        settings = mpl.rc_params_from_file(path, fail_on_error=True, use_default_template=False)
    except OSError as error:
        raise ConfigError(f"report.style = {path}: {error.strerror}") from error
    except ValueError as error:  # also of bytes that are no text
        raise ConfigError(f"report.style = {path}: {on_one_line(error)}") from error
    named = {line.partition(":")[0].strip() for line in lines if line.partition("#")[0].strip()}
    unknown = sorted(named - set(settings))
    if unknown:
        raise ConfigError(f"report.style = {path}: matplotlib has no setting {', '.join(unknown)}")
    if settings.get("text.usetex") and shutil.which("latex") is None:
        raise ConfigError(f"report.style = {path}: text.usetex needs latex, which is not here")
    return {str(key): value for key, value in settings.items()}


def model_look(model: str, models: list[str]) -> dict[str, Any]:
    """Colour, marker and line of a model, the same in every figure of a run."""
    own = {MAIN_NETWORK: VIT_COLOUR, **{name: one.colour for name, one in registered().items()}}
    spare = [name for name in models if name not in own]
    own |= {name: SPARE_COLOURS[i % len(SPARE_COLOURS)] for i, name in enumerate(spare)}
    at = models.index(model)
    return {
        "color": own[model],
        "marker": MARKERS[at % len(MARKERS)],
        "linestyle": LINES[at % len(LINES)],
    }


def line_look(model: str, models: list[str]) -> dict[str, Any]:
    """Colour and line of a model, for curves without points."""
    look = model_look(model, models)
    return {"color": look["color"], "linestyle": look["linestyle"]}


def file_bytes(figure: Figure, kind: str) -> bytes:
    """The figure as PDF, PNG or SVG, without dates or versions: the same figure, the same bytes."""
    metadata: dict[str, dict[str, None]] = {
        "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
        "png": {"Software": None},
        "svg": {"Date": None, "Creator": None},
    }
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, dpi=PNG_DPI, metadata=metadata[kind])
    return buffer.getvalue()
