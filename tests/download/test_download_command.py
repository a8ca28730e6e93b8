"""`specvit download` from the command line, on the simulated sky."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from servers.runs import SHARD, environment, sdss, specvit_command
from specvit.cli import main


def _exit_code(*arguments: str) -> int:
    with pytest.raises(SystemExit) as stop:
        main(list(arguments))
    return int(stop.value.code or 0)


def test_simulated_spectra(make_run, tmp_path: Path):
    from specvit.config.surveys import Simulated
    from specvit.surveys.read import read_header
    from specvit.surveys.simulated import SimulatedSky

    sky = {"sdss_spectra": 30, "lamost_spectra": 30, "missing_fraction": 0.0}
    settings = Simulated(**sky, corrupt_fraction=0.0)
    identity = read_header(SimulatedSky(settings).sdss.lite(0)).identity
    plate, mjd, fiber = map(int, identity.split("-"))
    found = []
    for run2d, tree in (("26", "sdss"), ("103", "sdss"), ("104", "sdss"), ("v5_13_2", "eboss")):
        path = (
            f"dr17/{tree}/spectro/redux/{run2d}/spectra/lite/{plate:04d}/"
            f"spec-{plate:04d}-{mjd}-{fiber:04d}.fits"
        )
        try:
            found.append((path, SimulatedSky(settings).read(path)))
        except FileNotFoundError:
            continue
    ((path, data),) = found
    one = sdss(1)
    spectrum = type(one)(one.spectrum_id, "sdss", "dr17", path, identity, data)
    run = make_run([spectrum], "simulated:")
    run.settings["simulated"] = {**sky, "corrupt_fraction": 0.0}
    job = subprocess.run(
        specvit_command("download", "--config", run.inline),
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert job.returncode == 0, job.stderr
    assert run.members() == {f"{one.spectrum_id}.fits": data}
    url = run.ledger()[one.spectrum_id]["url"]
    assert url.startswith(f"simulated:{path}#sky=")
    assert pq.read_table(run.config.paths.ledger("test-000000")).num_rows == 0
    # Another sky has another spectrum at this path, or none.
    run.settings["simulated"]["seed"] = 2
    assert _exit_code("download", "--config", run.inline, "--shard", SHARD) == 4
    assert run.members() == {f"{one.spectrum_id}.fits": data}


def test_wrong_options(make_run, tmp_path: Path, capsys):
    run = make_run([sdss(1)], "simulated:")
    assert _exit_code("download", "--config", run.inline, "--shard", "train-000009") == 2
    assert "the shards of this run are train-000000 to test-000000" in capsys.readouterr().err
    assert _exit_code("download", "--config", run.inline, "--format", "urls") == 2
    assert "--format belongs to --write-list" in capsys.readouterr().err
    run.settings["download"]["connections"] = 0
    assert _exit_code("download", "--config", run.inline) == 2
    assert "download.connections" in capsys.readouterr().err


def test_write_list(make_run, tmp_path: Path, capsys):
    run = make_run([sdss(1)], "https://data.sdss.org/sas/")
    main(["download", "--config", run.inline, "--write-list", str(tmp_path / "list")])
    assert "1 lines in" in capsys.readouterr().out
    assert (tmp_path / "list").read_text().startswith("sdss/spectro/redux/26/")
