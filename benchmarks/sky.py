"""`python -m benchmarks sky FOLDER...`: the simulated sky beside real spectra, class by class."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
import pandas as pd

from benchmarks.sky_measures import TOLERANCE, kind_of, measure
from specvit.config.surveys import Simulated
from specvit.errors import DataError, SpectrumError
from specvit.io import write_json
from specvit.logs import progress
from specvit.spectrum import Spectrum
from specvit.surveys.catalogue import stellar_type
from specvit.surveys.read import read_spectrum

ENOUGH = 8  # real spectra of a group for a comparison
MATCHES, NEAREST = 4, 24  # simulated spectra for each real one, drawn among the nearest
DEEP = 50.0  # S/N above which depth no longer shows
MEDIAN_WITHIN, RANGE_OVERLAP = 0.30, 0.5


@click.command("sky")
@click.argument("folders", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--spectra", default=6000, show_default=True, help="Simulated spectra to measure.")
@click.option("--seed", default=11, show_default=True, help="Seed of the simulated sky.")
@click.option("--figure", type=click.Path(path_type=Path), help="Also draw the ranges here (PNG).")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Also write them here.")
def command(
    folders: tuple[Path, ...], spectra: int, seed: int, figure: Path | None, json_path: Path | None
) -> None:
    """Compare simulated spectra with the real ones below FOLDERS: widths, colours, gaps, noise."""
    real, unread = measured(real_spectra(folders), "real spectra")
    simulated, _ = measured(simulated_spectra(spectra, seed), "simulated spectra")
    click.echo(f"{len(real)} real spectra measured, {unread} not; {len(simulated)} simulated")
    table = compare(real, simulated)
    if table.empty:
        raise DataError(f"no class has {ENOUGH} real spectra below {', '.join(map(str, folders))}")
    click.echo(as_text(table))
    if json_path is not None:
        write_json(json_path, {"rows": table.to_dict("records"), **verdict(table)})
    if figure is not None:
        from benchmarks.sky_figure import draw

        draw(table, figure)


def real_spectra(folders: tuple[Path, ...]) -> Iterator[Spectrum | None]:
    """Read every FITS file below the folders; None for one that is no usable spectrum."""
    for folder in folders:
        for path in sorted([*folder.rglob("*.fits"), *folder.rglob("*.fits.gz")]):
            try:
                yield read_spectrum(path.read_bytes())
            except SpectrumError:
                yield None


def simulated_spectra(count: int, seed: int) -> Iterator[Spectrum | None]:
    """Observe both simulated surveys, each by half."""
    from specvit.surveys.simulated import SimulatedSky

    sky = SimulatedSky(Simulated(seed=seed, sdss_spectra=count // 2, lamost_spectra=count // 2))
    for number in range(count // 2):
        for data in (sky.sdss.lite(number), sky.lamost.spectrum(number, "dr10")):
            try:
                yield read_spectrum(data)
            except SpectrumError:
                yield None


def group_of(spectrum: Spectrum) -> str | None:
    """Return survey, class and type: spectra of one group are compared."""
    header = spectrum.header
    if header.class_ not in ("STAR", "GALAXY", "QSO") or header.zwarning:
        return None
    survey = header.survey.upper()
    if header.class_ != "STAR":
        return f"{survey} {header.class_}"
    kind = stellar_type(header.subclass or "")
    return f"{survey} {kind}" if kind else None


def measured(spectra: Iterator[Spectrum | None], title: str) -> tuple[pd.DataFrame, int]:
    """Measure spectra: a row each with group, S/N, z and the measures; and how many have none."""
    rows: list[dict[str, Any]] = []
    left = 0
    seen: dict[str, int] = defaultdict(int)
    with progress(title) as tick:
        for spectrum in spectra:
            tick.advance()
            group = group_of(spectrum) if spectrum is not None else None
            # A file may be there twice, from two sources; one object's repeats are kept.
            if spectrum is None or group is None or seen[spectrum.header.identity]:
                left += 1
                continue
            seen[spectrum.header.identity] += 1
            header = spectrum.header
            # Stars without a redshift: their velocities are less than the windows' width.
            z = header.z if header.z is not None else 0.0
            values = measure(spectrum, z, str(header.class_))
            digit = re.search(r"[OBAFGKM](\d)", header.subclass or "")
            known = {"snr": header.snr or np.nan, "z": z, "digit": int(digit[1]) if digit else 5}
            known["giant"] = int("III" in (header.subclass or ""))
            rows.append({"group": group, **known, **values})
    return pd.DataFrame(rows), left


def _matched(real: pd.DataFrame, simulated: pd.DataFrame) -> pd.DataFrame:
    """The simulated spectra nearest to each real one in S/N, redshift, subtype and luminosity.

    The real ones are what could be found, not a survey's sample: without this their depth, distance
    and mix would be compared, not their lines.
    """
    rng = np.random.default_rng(0)
    snr = np.log(simulated["snr"].fillna(10.0).clip(0.5, DEEP).to_numpy())
    z = np.log1p(simulated["z"].to_numpy())
    digit, giant = simulated["digit"].to_numpy(), simulated["giant"].to_numpy()
    chosen = []
    for row in real[["snr", "z", "digit", "giant"]].fillna(10.0).itertuples():
        distance = np.abs(snr - np.log(min(max(row.snr, 0.5), DEEP)))
        distance += 10 * np.abs(z - np.log1p(row.z)) + np.abs(digit - row.digit)
        distance += 3 * np.abs(giant - row.giant)
        chosen += rng.choice(np.argsort(distance, kind="stable")[:NEAREST], MATCHES).tolist()
    return simulated.iloc[chosen]


def compare(real: pd.DataFrame, simulated: pd.DataFrame) -> pd.DataFrame:
    """Ranges of every measure in every group, side by side, with whether they meet the goal."""
    rows = []
    for group, mine in real.groupby("group"):
        theirs = simulated[simulated["group"] == group]
        if len(mine) < ENOUGH or len(theirs) < ENOUGH:
            continue
        theirs = _matched(mine, theirs)
        for name in mine.columns.drop(["group", "snr", "z", "digit", "giant"]):
            a, b = mine[name].dropna(), theirs.get(name, pd.Series(dtype=float)).dropna()
            if len(a) >= ENOUGH and len(b) >= ENOUGH:
                rows.append(_row(str(group), str(name), a.to_numpy(), b.to_numpy()))
    return pd.DataFrame(rows)


def _row(group: str, name: str, real: np.ndarray, simulated: np.ndarray) -> dict[str, Any]:
    kind = kind_of(name)
    slack = TOLERANCE[kind]
    a, b = (np.percentile(values, [10, 50, 90]) for values in (real, simulated))
    common = min(a[2], b[2]) - max(a[0], b[0]) + 2 * slack
    longer = max(a[2] - a[0], b[2] - b[0]) + 2 * slack
    return {
        "group": group,
        "kind": kind,
        "measure": name,
        "real": len(real),
        "slack": slack,
        **dict(zip(("real_10", "real_50", "real_90"), a.tolist(), strict=True)),
        **dict(zip(("sim_10", "sim_50", "sim_90"), b.tolist(), strict=True)),
        "median_ok": bool(abs(b[1] - a[1]) <= max(MEDIAN_WITHIN * abs(a[1]), slack)),
        "range_ok": bool(common >= RANGE_OVERLAP * longer),
    }


def verdict(table: pd.DataFrame) -> dict[str, Any]:
    """How many measures meet each goal, over all and by kind."""
    kinds = {
        str(kind): [int(rows["median_ok"].sum()), int(rows["range_ok"].sum()), len(rows)]
        for kind, rows in table.groupby("kind")
    }
    return {
        "measures": len(table),
        "median_ok": int(table["median_ok"].sum()),
        "range_ok": int(table["range_ok"].sum()),
        "by_kind": kinds,
    }


def as_text(table: pd.DataFrame) -> str:
    """Table for people; + where a goal is met, - where not."""
    lines = []
    for group, rows in table.groupby("group"):
        lines += ["", f"{group}: real 10 % median 90 % | simulated | median, range"]
        for row in rows.itertuples():
            real = f"{row.real_10:8.2f} {row.real_50:8.2f} {row.real_90:8.2f}"
            ours = f"{row.sim_10:8.2f} {row.sim_50:8.2f} {row.sim_90:8.2f}"
            goals = f"{'+' if row.median_ok else '-'}{'+' if row.range_ok else '-'}"
            lines.append(f"  {row.measure:<26}{row.real:>4} {real} | {ours}  {goals}")
    total = verdict(table)
    lines += ["", f"median within {MEDIAN_WITHIN:.0%}: {total['median_ok']} of {len(table)}; "
              f"ranges overlap by half: {total['range_ok']} of {len(table)}"]  # fmt: skip
    lines += [
        f"  {kind:<8} {median} and {ranges} of {count}"
        for kind, (median, ranges, count) in total["by_kind"].items()
    ]
    return "\n".join(lines)
