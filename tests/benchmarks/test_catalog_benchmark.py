"""The catalogue's benchmark, on a small table."""

from __future__ import annotations

from pathlib import Path

from benchmarks.catalog import measure


def test_it_reports_its_figures(tmp_path: Path) -> None:
    figures = measure(tmp_path, 3000).as_dict()
    assert {"rate", "reference_rate", "ratio", "cores", "peak_rss_mb"} <= figures.keys()
    assert figures["rows"] == 3000
    assert figures["rate"] > 0
    assert figures["survey_peak_rss_mb"] >= figures["select_peak_rss_mb"] > 0
