"""The cluster, a local run to compare with, and one eventful run on the cluster."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from eventful_run import OVER, EventfulRun
from slurm_cluster import SlurmCluster, missing_programs

from tiny_workflow import Workflow


@pytest.fixture(scope="session")
def cluster() -> Iterator[SlurmCluster]:
    missing = missing_programs()
    if missing:
        reason = f"needs {', '.join(missing)}: make test-cluster installs them"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    with SlurmCluster() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def local_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Future[Workflow]]:
    """The same configuration, run undisturbed on this machine, while the cluster is waited for."""
    workflow = Workflow(tmp_path_factory.mktemp("local"))
    with ThreadPoolExecutor() as pool:
        yield pool.submit(_finish, workflow)


def _finish(workflow: Workflow) -> Workflow:
    workflow.run(over=OVER)
    return workflow


@pytest.fixture(scope="session")
def local(local_run: Future[Workflow]) -> Workflow:
    return local_run.result()


@pytest.fixture(scope="session")
def eventful(
    cluster: SlurmCluster, local_run: Future[Workflow], tmp_path_factory: pytest.TempPathFactory
) -> EventfulRun:
    """The whole pipeline through the shipped profile, with everything going wrong once."""
    run = EventfulRun(tmp_path_factory.mktemp("cluster"), cluster)
    run.download()
    run.draw_and_die()
    run.finish()
    return run
