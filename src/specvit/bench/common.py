"""What every benchmark reports: the machine, the rate, and the naive way in the same process."""

from __future__ import annotations

import os
import platform
import resource
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from specvit.io import write_json


def processor_name() -> str:
    """Return the processor's name as the system gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def available_cores() -> int:
    """Return the number of cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def peak_rss_mb() -> float:
    """Return the largest resident memory of this process so far, in MB."""
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            # Not getrusage's figure, which on Linux begins at that of the process that started us.
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


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
