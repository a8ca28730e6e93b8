"""What every benchmark reports: the machine, the rate, and the naive way in the same process."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from specvit.io import write_json
from specvit.machine import available_cores, peak_rss_mb, processor_name


@dataclass
class BenchResult:
    """One measured figure beside its naive reference; rates are items a second."""

    name: str
    what: str
    unit: str
    rate: float
    reference: str
    reference_rate: float
    cores: int
    extra: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return the figures as plain values, ready for JSON."""
        return {
            "name": self.name,
            "what": self.what,
            "unit": self.unit,
            "rate": self.rate,
            "reference": self.reference,
            "reference_rate": self.reference_rate,
            "ratio": self.rate / self.reference_rate,
            "cores": self.cores,
            "peak_rss_mb": peak_rss_mb(),
            "machine": f"{processor_name()}, {available_cores()} cores",
            **self.extra,
        }

    def show(self, json_path: Path | None) -> None:
        """Print the figures for people and write them for scripts."""
        values = self.as_dict()
        click.echo(f"{self.name}: {self.what}")
        click.echo(f"  machine        {values['machine']}")
        click.echo(f"  specvit        {self.rate:,.1f} {self.unit}/s on {self.cores} core(s)")
        click.echo(f"  reference      {self.reference_rate:,.1f} {self.unit}/s: {self.reference}")
        click.echo(f"  ratio          {values['ratio']:.2f}")
        click.echo(f"  peak memory    {values['peak_rss_mb']:.0f} MB")
        for key, value in self.extra.items():
            click.echo(f"  {key:<14} {value}")
        if json_path is not None:
            write_json(json_path, values)


json_option = click.option(
    "--json", "json_path", type=click.Path(path_type=Path), help="Also write the figures here."
)
