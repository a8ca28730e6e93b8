"""The download's benchmark, against its own server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.__main__ import main


def test_it_reports_its_figures(tmp_path: Path, capsys):
    target = tmp_path / "bench.json"
    arguments = ["download", "--files", "60", "--latency", "0.02", "--json", str(target)]
    main(arguments)
    values = json.loads(target.read_text())
    assert values["rate"] > 0
    assert values["ratio"] == pytest.approx(values["rate"] / values["reference_rate"])
    assert values["latency_s"] == 0.02
    assert values["loopback_rate"] > 0
    assert "urllib in a loop" in capsys.readouterr().out
