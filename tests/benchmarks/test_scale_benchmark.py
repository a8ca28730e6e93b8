"""`python -m benchmarks scale` reads finished runs and projects what is larger."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from benchmarks.__main__ import main
from benchmarks.scale import STAGES
from specvit.io import read_json, write_json, write_parquet, write_text
from specvit.paths import RunPaths


def write_run(root: Path, spectra: int, cost_s: float) -> Path:
    """A run of two shards whose stages each took `cost_s` processor seconds in two jobs."""
    paths = RunPaths(root)
    write_parquet(paths.catalog, pa.table({"spectrum_id": [str(n) for n in range(spectra)]}))
    for shard in ("train-000000", "train-000001"):
        sizes = {"bytes": [150_000] * (spectra // 2)}
        write_parquet(paths.ledger(shard), pa.table(sizes))
        write_json(paths.shard_stats("line-64", shard), {"bytes": 4000 * spectra // 2})
        for stage in STAGES:
            line = f"9.0\t0:00:09\t{200 + spectra}\t{cost_s / 2}\n"
            table = f"s\th:m:s\tmax_rss\tcpu_time\n{line}"
            write_text(root / "benchmarks" / stage / f"{shard}.tsv", table)
    return root


def test_growth_and_projection(tmp_path: Path, capsys) -> None:
    small = write_run(tmp_path / "small", 100, cost_s=2.0)
    large = write_run(tmp_path / "large", 400, cost_s=8.0)
    found = tmp_path / "scale.json"
    options = ["--files-per-s", "50", "--cores", "10", "--json", str(found)]
    main(["scale", str(large), str(small), *options])
    figures = read_json(found)
    assert [run["run"] for run in figures["runs"]] == ["small", "large"]
    assert figures["exponents"] == pytest.approx(dict.fromkeys(STAGES, 1.0))
    assert figures["runs"][1]["peak_mb"]["shard"] == 600
    million = figures["projected"][1]
    assert million["spectra"] == 1_000_000
    assert million["download_h"] == pytest.approx(1e6 / 50 / 3600, abs=0.01)
    # 8 s for 400 spectra are 20 ms for one: twice 20,000 s, of downloads and of plots.
    assert million["core_h"] == pytest.approx(40_000 / 3600, abs=0.1)
    assert million["plots_h"] == pytest.approx(2000 / 3600, abs=0.01)
    assert (million["shards"], million["files"]) == (100, 800)
    assert (million["spectra_gb"], million["plots_gb"]) == (150.0, 4.0)
    assert million["longest"] == "download"
    assert "n^1.00" in capsys.readouterr().out


def test_what_cannot_be_compared_is_refused(tmp_path: Path, capsys) -> None:
    run = write_run(tmp_path / "run", 100, cost_s=2.0)
    (tmp_path / "empty").mkdir()
    for other, reason in (
        (run, "two different sizes"),
        (tmp_path / "empty", "no benchmarks of survey, catalog"),
    ):
        with pytest.raises(SystemExit, match="3"):
            main(["scale", str(run), str(other)])
        assert reason in capsys.readouterr().err
