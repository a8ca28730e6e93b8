"""Settings of grouping and split, download, wavelength grid and plots."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from specvit.config.base import Section


class ShardCounts(Section):
    """Number of shards of each split; known before anything runs, so the job graph is too."""

    train: int = Field(8, ge=1, le=100_000)
    """Shards of the train split."""
    val: int = Field(2, ge=1, le=100_000)
    """Shards of the validation split."""
    test: int = Field(2, ge=1, le=100_000)
    """Shards of the test split."""

    def of(self, split: str) -> int:
        """Number of shards of a split."""
        return int(getattr(self, split))


class Split(Section):
    """Grouping of repeat spectra and the split by object."""

    seed: int = Field(1, ge=0, le=2**31 - 1)
    """Seed of all that is drawn beside the networks: rows (max_per_class), split, shards, shares of
    the train split, the baselines, the bootstrap."""
    val_fraction: float = Field(0.1, gt=0, lt=1)
    """Share of objects for validation."""
    test_fraction: float = Field(0.2, gt=0, lt=1)
    """Share of objects for the test."""
    match_arcsec: float = Field(2.0, gt=0, le=60)
    """Spectra closer than this on the sky are of one object, also across surveys."""
    shards: ShardCounts = ShardCounts()
    """Number of shards of each split."""

    @model_validator(mode="after")
    def _leaves_train(self) -> Split:
        if self.val_fraction + self.test_fraction >= 1:
            raise ValueError("val_fraction + test_fraction must be below 1, to leave a train split")
        return self


class Download(Section):
    """How spectra are fetched."""

    connections: int = Field(6, ge=1, le=64)
    """Open connections of one job to one host; how many jobs download at once, Snakemake bounds."""
    attempts: int = Field(5, ge=1, le=20)
    """Tries for each spectrum before it counts as failed; not counted while a server is away."""
    timeout_s: float = Field(30.0, gt=0)
    """Longest wait for a connection or for the next bytes, in seconds."""
    max_failed_fraction: float = Field(0.02, ge=0, le=1)
    """Share of a shard's spectra that may fail or be corrupt before its job fails."""
    cache_dir: str = "results/catalogs"
    """Where the surveys' own catalogue files are kept, shared by all runs."""


class Grid(Section):
    """The common wavelength grid: vacuum, observed frame, even in log10(wavelength)."""

    wave_min: float = Field(3800.0, ge=1000, le=30_000)
    """Shortest wavelength in Angstrom."""
    wave_max: float = Field(9200.0, ge=1000, le=30_000)
    """Longest wavelength in Angstrom."""
    pixels: int = Field(3840, ge=64, le=16_384)
    """Number of pixels of the flux array kept beside each plot (SDSS's own sampling: 3840)."""

    @model_validator(mode="after")
    def _ordered(self) -> Grid:
        if self.wave_max <= self.wave_min * 1.01:
            raise ValueError("wave_max must be above wave_min")
        return self


class Render(Section):
    """How a spectrum becomes a picture."""

    name: str | None = Field(None, pattern=r"^[a-z0-9][a-z0-9_-]*$")
    """Name of this set of plots; null: mode and size, as in `stacked-64`."""
    mode: Literal["line", "overlap", "stacked", "map"] = "stacked"
    """Kind of picture: one curve, three thirds in colour, rows under one another, or brightness."""
    size: int = Field(224, ge=16, le=1024)
    """Height and width in pixels."""
    rows: int = Field(7, ge=1, le=256)
    """Rows of the modes `stacked` and `map`."""
    scale: Literal["percentile", "asinh", "continuum"] = "percentile"
    """Flux scale: robust percentiles, asinh of them, or flux divided by its continuum."""
    line_width: float = Field(1.0, ge=0.5, le=10)
    """Line width in pixels (line, overlap, stacked)."""
    boustrophedon: bool = False
    """Read every other row of `map` backwards, so that neighbours in wavelength stay neighbours."""
    derivatives: int = Field(0, ge=0, le=2)
    """Derivatives of flux drawn as further channels of `map`."""
    frame: Literal["observed", "rest"] = "observed"
    """Wavelength frame; rest uses the catalogue's redshift, which a plot then tells: refused
    for the tasks class and redshift."""

    @property
    def label(self) -> str:
        """The name of this set of plots in paths."""
        return self.name or f"{self.mode}-{self.size}"

    @property
    def channels(self) -> int:
        """Channels of the PNG: 1 (grey) or 3 (RGB)."""
        return 3 if self.mode == "overlap" or (self.mode == "map" and self.derivatives > 0) else 1

    @model_validator(mode="after")
    def _fits(self) -> Render:
        if self.mode in ("stacked", "map") and self.rows > self.size:
            raise ValueError(f"rows = {self.rows} must not be above size = {self.size}")
        if self.mode != "map" and (self.boustrophedon or self.derivatives):
            raise ValueError("boustrophedon and derivatives need mode: map")
        return self
