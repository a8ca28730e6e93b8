"""`specvit explain`."""

from __future__ import annotations

from pathlib import Path

import click

EPILOG = """\b
specvit explain --model results/demo spec-0266-51602-0001.fits
specvit explain --model results/demo -o why.pdf spec-0266-51602-0001.fits
specvit explain --model results/demo --by-class -o classes.png results/demo/spectra/test-000000.tar
"""


@click.command("explain", epilog=EPILOG)
@click.argument("file")
@click.option("--model", "name", help="A run, a model's folder or a released model; default: sky.")
@click.option(
    *("-o", "--output"),
    type=click.Path(dir_okay=False, path_type=Path),
    help="Figure to write: .png, .pdf or .svg; default: FILE's name with .explain.png.",
)
@click.option("--by-class", is_flag=True, help="Means of all spectra in FILE, by predicted class.")
@click.option("--wave-unit", help="Unit of wavelengths in a table: nm, um, Angstrom, loglam, ...")
@click.option("--air", is_flag=True, help="Wavelengths in a table are in standard air.")
def command(
    file: str,
    name: str | None,
    output: Path | None,
    by_class: bool,
    wave_unit: str | None,
    air: bool,
) -> None:
    """Show where a network looks in the spectrum in FILE (a path or an address).

    Drawn are the spectrum, the strong lines at its predicted redshift and at the runner-up, and
    below them the relevance of each wavelength for class and redshift; printed are the windows
    with most of it. With --by-class, FILE is a folder, tar or catalogue of many spectra, and drawn
    is the mean relevance for each predicted class, observed and at rest. docs/explain.md says what
    is computed and how far to believe it.
    """
    from specvit.errors import DataError
    from specvit.explain.figure import check_kind, title_of
    from specvit.predict.model import load
    from specvit.predict.one import read

    output = output or Path(Path(file).name.removesuffix(".gz")).with_suffix(".explain.png")
    check_kind(output)
    if by_class:
        means = load(name).explain_classes(file)
        for label, count in sorted(means.counts.items()):
            click.echo(f"{label}: {count} spectra")
        for reason, count in means.refused.most_common():
            click.echo(f"not explained: {count} x {reason}")
        if not means.counts:
            raise DataError(f"{file} holds no spectrum that could be explained")
        means.write(output)
        click.echo(output)
        return
    spectrum = read(file, wave_unit=wave_unit, air=air)
    explanation = load(name).explain(spectrum)
    click.echo(title_of(explanation))
    for task in explanation.relevance:
        click.echo(f"{task}: most relevant")
        for row in explanation.most(task).itertuples():
            lines = f"  {row.lines}" if row.lines else ""
            click.echo(f"  {row.low:5.0f}-{row.high:.0f} A  {row.share:4.0%}{lines}")
    explanation.write(output)
    click.echo(output)
