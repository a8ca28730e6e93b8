"""From one command to many ranks: this process becomes torchrun's agent of its node.

On one machine `specvit train` starts its ranks itself. On several nodes of a SLURM job, start one
`specvit train` on each node (`srun --nodes N --ntasks-per-node 1 specvit train ...`): the agents
find one another through the first node of the step, and `train.gpus` (on CPUs `train.ranks`) is the
number of all their ranks.
Under a torchrun of one's own (`torchrun ... -m specvit train ...`) nothing is launched.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import FrameType

from specvit.errors import ConfigError, Preempted, TrainingError

PORT = 29400  # of the agents' meeting; the job's number is added, so that jobs of a node differ
GRACE_S = 120  # for writing the state after a signal; torch's own 30 s are short for a large model


def under_torchrun(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether this process is a rank already."""
    return "RANK" in environ and "WORLD_SIZE" in environ


@dataclass(frozen=True)
class Meeting:
    """Where the agents of a job's nodes find one another."""

    nodes: int
    host: str
    port: int
    job: str


def meeting_of(environ: Mapping[str, str]) -> Meeting:
    """The nodes of this SLURM step, if it has one task on each of several; else this machine."""
    nodes = int(environ.get("SLURM_STEP_NUM_NODES", 1))
    if nodes == 1 or int(environ.get("SLURM_STEP_NUM_TASKS", 1)) != nodes:
        return Meeting(1, "localhost", 0, uuid.uuid4().hex)
    job = environ["SLURM_JOB_ID"]
    return Meeting(nodes, _first_host(environ["SLURM_STEP_NODELIST"]), PORT + int(job) % 1000, job)


def _first_host(nodelist: str) -> str:
    command = ["scontrol", "show", "hostnames", nodelist]
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    except (OSError, subprocess.CalledProcessError) as error:
        raise TrainingError(f"cannot learn the hosts of {nodelist}: {error}") from error
    return found[0]


def launch(ranks: int, command: Sequence[str]) -> None:
    """Run `python -m specvit COMMAND` once for each rank, until all have ended.

    Raises Preempted when a signal (passed on to the ranks) or the ranks themselves ended it with
    the state saved, TrainingError with the exit code of the rank that failed first.
    """
    from torch.distributed.elastic.multiprocessing import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.elastic.rendezvous import RendezvousError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    meeting = meeting_of(os.environ)
    if ranks % meeting.nodes:
        raise ConfigError(
            f"train.gpus (or ranks) = {ranks} must be divisible by {meeting.nodes} nodes"
        )
    config = LaunchConfig(
        min_nodes=meeting.nodes,
        max_nodes=meeting.nodes,
        nproc_per_node=ranks // meeting.nodes,
        rdzv_backend="c10d",
        rdzv_endpoint=f"{meeting.host}:{meeting.port}",
        run_id=meeting.job,
        max_restarts=0,
    )
    os.environ.setdefault("TORCH_ELASTIC_SHUTDOWN_TIMEOUT", str(GRACE_S))
    signal.signal(signal.SIGUSR1, _as_sigterm)
    try:
        elastic_launch(config, sys.executable)("-m", "specvit", *command)
    except SignalException as error:
        if error.sigval == signal.SIGINT:
            raise KeyboardInterrupt from error
        name = signal.Signals(error.sigval).name
        raise Preempted(
            f"stopped by {name}; the ranks saved their state, run the same command to go on"
        ) from error
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        if failure.exitcode == Preempted.exit_code:
            raise Preempted("the ranks were stopped and saved their state") from error
        failed = TrainingError(f"rank {rank} failed (exit code {failure.exitcode}), see above")
        failed.exit_code = failure.exitcode if failure.exitcode > 0 else TrainingError.exit_code
        raise failed from error
    except RendezvousError as error:
        raise TrainingError(
            f"the {meeting.nodes} nodes did not meet at {meeting.host}:{meeting.port}: each must "
            f"reach that name and port ({error})"
        ) from error


def _as_sigterm(number: int, frame: FrameType | None) -> None:
    # torchrun's agent passes SIGTERM on to the ranks, and knows nothing of SIGUSR1.
    os.kill(os.getpid(), signal.SIGTERM)
