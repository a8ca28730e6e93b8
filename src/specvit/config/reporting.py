"""Settings of evaluation and report."""

from __future__ import annotations

import itertools
from typing import Literal

from pydantic import Field, field_validator

from specvit.config.base import Section

Format = Literal["pdf", "png"]


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
    formats: tuple[Format, ...] = Field(("pdf", "png"), min_length=1)
    """Formats in which each figure is written beside the report."""
