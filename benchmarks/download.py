"""A shard from a local server, beside a loop with one request a time."""

from __future__ import annotations

import os
import resource
import socket
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

import click

from benchmarks.common import BenchResult, json_option
from benchmarks.static_server import serving
from specvit.machine import peak_rss_mb
from specvit.plan import Plan

DISTINCT = 64  # different files; the names repeat them
FILE_BYTES = 197_000  # before header and padding: 200 kB in all
SHARD = "train-000000"


def _path(number: int) -> str:
    return f"dr17/sdss/spectro/redux/26/spectra/lite/0266/spec-0266-51602-{number:06d}.fits"


def _write_files(folder: Path) -> list[str]:
    """Simulated SDSS files on disk; returns the identity of each."""
    from specvit.config.surveys import Simulated
    from specvit.surveys.read import read_header
    from specvit.surveys.simulated import SimulatedSky

    folder.mkdir()
    sky = SimulatedSky(Simulated())
    identities = []
    for number in range(DISTINCT):
        data = _filled_up(sky.sdss.lite(number))
        (folder / f"{number:03d}").write_bytes(data)
        identities.append(read_header(data).identity)
    return identities


def _filled_up(data: bytes) -> bytes:
    """The file with an image behind it that makes it as long as lite files often are."""
    from specvit.spectrum.fits_write import card, header, padded

    pixels = max(0, FILE_BYTES - len(data)) // 4
    keys = {"XTENSION": "IMAGE", "BITPIX": -32, "NAXIS": 1, "NAXIS1": pixels}
    head = header([card(key, value) for key, value in {**keys, "PCOUNT": 0, "GCOUNT": 1}.items()])
    return data + head + padded(bytes(4 * pixels))


def _write_catalog(path: Path, files: int, identities: list[str], plan: Plan) -> None:
    import pyarrow as pa

    from specvit.catalog.schema import CATALOG_SCHEMA
    from specvit.io import write_parquet

    rows = [
        dict.fromkeys(CATALOG_SCHEMA.names)
        | {
            "spectrum_id": f"sdss-{number:06d}",
            "survey": "sdss",
            "release": "dr17",
            "path": _path(number),
            "identity": identities[number % DISTINCT],
            "source": "sdss",
            "simulated": True,
            "split": "train",
            "shard": SHARD,
        }
        for number in range(files)
    ]
    write_parquet(path, pa.Table.from_pylist(rows, schema=CATALOG_SCHEMA), plan.metadata)


def _ours(folder: Path, port: int, files: int, identities: list[str], connections: int) -> None:
    from specvit.config import validate
    from specvit.download import download_shard

    config = validate(
        {
            "run": "bench",
            "results_dir": str(folder),
            "surveys": {"sdss": {"base_url": f"http://127.0.0.1:{port}/"}},
            "download": {"connections": connections},
        }
    )
    _write_catalog(config.paths.catalog, files, identities, Plan.dealt(config.split, ()))
    ledger = download_shard(config, SHARD)
    assert set(ledger["status"].to_pylist()) == {"ok"}


def _loop(folder: Path, port: int, files: int) -> None:
    """What scripts do: one request after the other, a new connection for each, save the body."""
    folder.mkdir()
    for number in range(files):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/{_path(number)}") as response:
            (folder / f"{number}.fits").write_bytes(response.read())


def _raw(port: int, files: int) -> None:
    """The same bytes over one socket, looked at by nobody: what the loopback gives."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        buffer = bytearray(2**20)
        for number in range(files):
            connection.sendall(f"GET /{_path(number)} HTTP/1.1\r\n\r\n".encode())
            received = connection.recv_into(buffer)
            head = bytes(buffer[:received]).partition(b"\r\n\r\n")[0]
            length = int(head.rpartition(b" ")[2])
            left = len(head) + 4 + length - received
            while left > 0:
                left -= connection.recv_into(buffer)


def _memory() -> Path | None:
    """A folder in memory, so that the client is measured and not a disk; None where there is none.

    A shard is written twice (as it comes, then in order): at the rates of the loopback that is
    more than most disks take.
    """
    folder = Path("/dev/shm")
    return folder if os.access(folder, os.W_OK) else None


def _timed(work: Any, *args: Any) -> tuple[float, float]:
    """Wall and CPU seconds of a call."""
    wall, cpu = time.perf_counter(), _cpu()
    work(*args)
    return time.perf_counter() - wall, _cpu() - cpu


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


@click.command("download")
@click.option("--latency", default=0.05, show_default=True, help="Wait of the server (s).")
@click.option("--files", default=None, type=int, help="Files to fetch [default: 600, or 3000].")
@click.option("--connections", default=6, show_default=True, help="Connections of specvit.")
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    help="Where to write, to measure a disk too [default: /dev/shm, memory, where there is one].",
)
@json_option
def command(
    latency: float, files: int | None, connections: int, folder: Path | None, json_path: Path | None
) -> None:
    """Fetch simulated SDSS files from a server in another process, checks and tar included."""
    count = files or (600 if latency else 3000)
    looped = max(count // 6, 1)
    with tempfile.TemporaryDirectory(dir=folder or _memory()) as text:
        scratch = Path(text)
        identities = _write_files(scratch / "files")
        size = sum(path.stat().st_size for path in (scratch / "files").iterdir()) / DISTINCT
        with serving(scratch / "files", latency) as port:
            raw, _ = _timed(_raw, port, looped)
            naive, naive_cpu = _timed(_loop, scratch / "loop", port, looped)
            memory = [peak_rss_mb()]
            _ours(scratch / "first", port, count // 4, identities, connections)
            memory.append(peak_rss_mb())
            wall, cpu = _timed(_ours, scratch / "ours", port, count, identities, connections)
            memory.append(peak_rss_mb())
    BenchResult(
        name="download",
        what=f"{count} simulated SDSS files of {size / 1e3:.0f} kB, {latency * 1e3:.0f} ms "
        f"latency, {connections} connections: fetched, checked, hashed, packed",
        unit="files",
        rate=count / wall,
        reference="urllib in a loop, a new connection for each file, saved without a look",
        reference_rate=looped / naive,
        cores=1,
        extra={
            "rate_per_cpu_s": round(count / cpu, 1),
            "reference_rate_per_cpu_s": round(looped / naive_cpu, 1),
            "loopback_rate": round(looped / raw, 1),
            "latency_s": latency,
            "connections": connections,
            "peak_mb_at_files": {
                "0": round(memory[0]),
                str(count // 4): round(memory[1]),
                str(count): round(memory[2]),
            },
        },
    ).show(json_path)
