"""Settings of evaluation and report."""

from __future__ import annotations

import itertools
from typing import Literal, get_args

from pydantic import Field, field_validator

from specvit.config.base import Section

Format = Literal["pdf", "png", "svg"]
# In the order of the report.
FigureName = Literal[
    "learning",
    "confusion_class",
    "confusion_stellar_type",
    "accuracy_snr",
    "redshift_scatter",
    "redshift_residuals",
    "parameter_scatter",
    "reliability",
    "pit",
    "risk_coverage",
    "experiments",
    "scaling",
]
FIGURES: tuple[FigureName, ...] = get_args(FigureName)


class Evaluate(Section):
    """Metrics."""

    bootstrap: int = Field(1000, ge=10, le=100_000)
    """Bootstrap samples (drawn by object) behind each 95 % interval."""
    snr_edges: tuple[float, ...] = (0.0, 5.0, 10.0, 20.0, 1000.0)
    """Edges of the S/N bins."""
    z_edges: tuple[float, ...] = (-0.02, 0.005, 0.2, 0.5, 1.0, 2.0, 8.0)
    """Edges of the redshift bins."""

    @field_validator("snr_edges", "z_edges")
    @classmethod
    def _rising(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if len(value) < 2 or any(b <= a for a, b in itertools.pairwise(value)):
            raise ValueError("must be at least two rising numbers")
        return value


class Report(Section):
    """The report and its figures."""

    title: str | None = None
    """Heading of the report; null: what was learned, from which spectra."""
    examples: int = Field(6, ge=0, le=100)
    """Pictures in each part of the gallery and of the most confident mistakes."""
    figures: tuple[FigureName, ...] | None = None
    """Figures to make, by name; null: all that the run has something to show in."""
    formats: tuple[Format, ...] = Field(("pdf", "png"), min_length=1)
    """Formats in which each figure is written beside the report."""
    width_mm: float = Field(180.0, ge=80, le=1000)
    """Width of those figures in mm; of one with a single panel half of it, less 2 (A&A: 88)."""
    style: str | None = None
    """A matplotlib style sheet (.mplstyle) that is laid over the style of those figures."""
