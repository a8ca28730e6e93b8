"""A run in front of a survey server: a catalogue, the files behind it, and what a job made."""

from __future__ import annotations

import json
import os
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from servers.fits_files import lamost_file, sdss5_file, sdss_file
from specvit.catalog.schema import CATALOG_SCHEMA
from specvit.config import Config, validate
from specvit.io import write_parquet
from specvit.plan import Plan

SHARD = "train-000000"


@dataclass(frozen=True)
class Spectrum:
    """One row of the catalogue and the file behind it."""

    spectrum_id: str
    survey: str
    release: str
    path: str
    identity: str
    data: bytes


def sdss(number: int, run2d: str = "26", plate: int | None = None, mjd: int = 51602) -> Spectrum:
    plate, fiber = plate or 266 + number // 640, 1 + number % 640
    folder = f"dr17/sdss/spectro/redux/{run2d}/spectra/lite/{plate:04d}"
    return Spectrum(
        f"sdss-{plate:04d}-{mjd}-{fiber:04d}",
        "sdss",
        "dr17",
        f"{folder}/spec-{plate:04d}-{mjd}-{fiber:04d}.fits",
        f"{plate}-{mjd}-{fiber}",
        sdss_file(plate, mjd, fiber),
    )


def sdss5(number: int) -> Spectrum:
    field, mjd, catalogid = 15000 + number // 500, 59146, 4375924756 + number
    folder = f"dr19/spectro/boss/redux/v6_1_3/spectra/lite/{field:06d}/{mjd}"
    return Spectrum(
        f"sdss-{field}-{mjd}-{catalogid}",
        "sdss",
        "dr19",
        f"{folder}/spec-{field:06d}-{mjd}-{catalogid}.fits",
        f"{field}-{mjd}-{catalogid}",
        sdss5_file(field, mjd, catalogid),
    )


def lamost(number: int) -> Spectrum:
    obsid = 101001 + number
    return Spectrum(
        f"lamost-{obsid:010d}",
        "lamost",
        "dr10 v2.0",
        f"dr10/v2.0/spectrum/fits/{obsid}",
        str(obsid),
        lamost_file(obsid),
    )


def files_of(spectra: list[Spectrum]) -> dict[str, bytes]:
    return {spectrum.path: spectrum.data for spectrum in spectra}


class Run:
    """A run whose catalogue has one shard, and what a job made of it."""

    def __init__(self, folder: Path, spectra: list[Spectrum], base_url: str, **download: Any):
        self.spectra = spectra
        surveys = sorted({spectrum.survey for spectrum in spectra}) or ["sdss"]
        self.settings: dict[str, Any] = {
            "run": "test",
            "results_dir": str(folder),
            # Single files, but where a test asks for plates.
            "surveys": {
                survey: {
                    "base_url": base_url,
                    **({"fetch": "spectrum"} if survey == "sdss" else {}),
                }
                for survey in surveys
            },
            "download": {"timeout_s": 5.0, **download},
            "split": {"shards": {"train": 1, "val": 1, "test": 1}},
        }
        self.write_catalog(spectra)

    @property
    def config(self) -> Config:
        return validate(self.settings)

    @property
    def inline(self) -> str:
        """The settings as a value of --config."""
        return json.dumps(self.settings)

    def write_catalog(self, spectra: list[Spectrum]) -> None:
        rows = [
            dict.fromkeys(CATALOG_SCHEMA.names)
            | {
                "spectrum_id": spectrum.spectrum_id,
                "survey": spectrum.survey,
                "release": spectrum.release,
                "path": spectrum.path,
                "identity": spectrum.identity,
                "source": spectrum.survey,
                "simulated": False,
                "split": "train",
                "shard": SHARD,
            }
            for spectrum in spectra
        ]
        table = pa.Table.from_pylist(rows, schema=CATALOG_SCHEMA)
        plan = Plan.dealt(self.config.split, ())
        write_parquet(self.config.paths.catalog, table, plan.metadata)

    @property
    def tar(self) -> Path:
        return self.config.paths.spectra(SHARD)

    @property
    def parts(self) -> Path:
        return self.tar.with_name(f".{SHARD}.parts")

    def members(self) -> dict[str, bytes]:
        with tarfile.open(self.tar) as archive:
            return {
                member.name: archive.extractfile(member).read()  # type: ignore[union-attr]
                for member in archive
            }

    def ledger(self) -> dict[str, dict[str, Any]]:
        rows = pq.read_table(self.config.paths.ledger(SHARD)).to_pylist()
        return {row["spectrum_id"]: row for row in rows}


def specvit_command(*arguments: str) -> list[str]:
    """`specvit ...` in a process of its own."""
    return [sys.executable, "-m", "specvit", *arguments]


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, **more}
