"""`specvit predict`."""

from __future__ import annotations

from pathlib import Path

import click

EPILOG = """\b
specvit predict spec-0266-51602-0001.fits
specvit predict --model results/demo -o out.csv folder/ "night*/*.fits" more.tar list.csv
find . -name "*.fits" | specvit predict --model results/demo/models/svm -o out.parquet -
"""


@click.command("predict", epilog=EPILOG)
@click.argument("inputs", metavar="FILES...", nargs=-1, required=True)
@click.option("--model", "name", help="A run, a model's folder or a released model; default: sky.")
@click.option(
    *("-o", "--output"),
    type=click.Path(dir_okay=False, path_type=Path),
    help="File to write: .csv, .parquet or .json.",
)
@click.option("--wave-unit", help="Unit of wavelengths in tables: nm, um, Angstrom, loglam, ...")
@click.option("--air", is_flag=True, help="Wavelengths in tables are in standard air.")
@click.option("--processes", type=click.IntRange(1), help="That read and draw; default: all cores.")
@click.option("--device", help="Where a network runs (cpu, cuda:1); default: a GPU if there is.")
def command(
    inputs: tuple[str, ...],
    name: str | None,
    output: Path | None,
    wave_unit: str | None,
    air: bool,
    processes: int | None,
    device: str | None,
) -> None:
    """Predict spectra: files, folders, tars, globs, web addresses, catalogues, - for a list.

    Read are the surveys' files and any FITS, CSV or text table with a wavelength and a flux column;
    a catalogue is a CSV or parquet file with a column `path`. One row a spectrum: class with
    probabilities, redshift with its 68 % interval, flags, and the reason where there is none. On a
    terminal a table is shown, else CSV is printed, unless -o names a file.
    """
    from specvit.find_model import model_folder
    from specvit.machine import available_cores
    from specvit.predict.outputs import check_output
    from specvit.predict.run import predict_to
    from specvit.tables.arrays import Reading

    if output is not None:
        check_output(output)
    folder = model_folder(name)  # before torch is imported: a wrong name is told at once
    reading = Reading(wave_unit, air)
    predict_to(inputs, folder, output, reading, processes or available_cores(), device)
