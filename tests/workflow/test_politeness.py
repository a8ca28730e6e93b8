"""How many connections a whole workflow opens to a survey's server."""

from __future__ import annotations

import pytest

from servers.survey_server import SurveyServer
from specvit.config.surveys import Simulated
from specvit.surveys.simulated import SimulatedSky

pytestmark = pytest.mark.workflow


class SimulatedFiles(dict[str, bytes]):
    """Every file of the simulated sky, made when it is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self._sky = SimulatedSky(Simulated(sdss_spectra=150))

    def get(self, path: str, default: bytes | None = None) -> bytes | None:  # type: ignore[override]
        try:
            return self._sky.read(path)
        except FileNotFoundError:
            return default


def test_jobs_of_one_workflow_go_to_a_host_one_after_the_other(workflow) -> None:
    with SurveyServer(SimulatedFiles(), latency=0.02) as server:
        over = {
            "surveys": {"sdss": {"base_url": server.base_url}, "lamost": None},
            "download": {"connections": 3},
        }
        workflow.where = ("--cores", "4")
        workflow.run("--until", "download", over=over)
        assert server.peak_connections == 3
        assert sum(server.counts.values()) > 100
    # The simulated sky is nobody's host.
    assert "downloads=0" in workflow.dry_run("--until", "download").stdout
