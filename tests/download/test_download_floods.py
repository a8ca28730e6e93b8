"""A server that sends far more than a spectrum fills neither memory nor disk."""

from __future__ import annotations

import gzip
import subprocess
import sys

from servers.runs import SHARD, environment, files_of, sdss
from servers.survey_server import Reply, SurveyServer

MOST_MB = 500


# Not getrusage: a child begins with the peak of the process that it was forked from.
MEASURED = """
import re
from pathlib import Path
from specvit.cli import main
try:
    main()
finally:
    print(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
"""


def _peak_mb(run) -> float:
    """Fetch the shard in a process of its own; its peak memory."""
    command = [sys.executable, "-c", MEASURED, "download", "--config", run.inline, "--shard", SHARD]
    job = subprocess.run(command, env=environment(), capture_output=True, text=True)
    assert job.returncode == 0, job.stderr
    return int(job.stdout) / 1024


def test_bodies_without_an_end(make_run):
    spectra = [sdss(number) for number in range(12)]
    with SurveyServer(files_of(spectra)) as server:
        for spectrum in spectra[1:]:
            server.always(spectrum.path, lambda data: Reply(body=bytes(2**20), endless=True))
        run = make_run(
            spectra, server.base_url, connections=11, attempts=1, max_failed_fraction=1.0
        )
        assert _peak_mb(run) < MOST_MB
        reasons = [entry["reason"] for entry in run.ledger().values() if entry["reason"]]
        assert len(reasons) == 11
        assert set(reasons) <= {
            "longer than 33554432 bytes, which no spectrum is",
            "too much arrives at the same time",
        }
        assert list(run.members().values()) == [spectra[0].data]


def test_a_little_gzip_that_unpacks_to_gigabytes(make_run):
    bomb = gzip.compress(bytes(2**28), 9) * 4  # a GiB in all
    assert len(bomb) < 2**21
    spectra = [sdss(number) for number in range(3)]
    with SurveyServer(files_of(spectra)) as server:
        server.always(spectra[0].path, lambda data: Reply(body=bomb))
        packed = {"Content-Encoding": "gzip"}
        server.always(spectra[1].path, lambda data: Reply(headers=packed, body=bomb))
        run = make_run(spectra, server.base_url, attempts=1, max_failed_fraction=1.0)
        assert _peak_mb(run) < MOST_MB
        reasons = {entry["reason"] for entry in run.ledger().values() if entry["reason"]}
        assert reasons == {"unpacks to more than 33554432 bytes, which no spectrum does"}
