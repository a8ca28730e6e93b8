"""A real SLURM on this machine: munged, slurmctld and two slurmd, on loopback, without systemd.

    python tests/cluster/slurm_cluster.py      # starts one, prints its environment, Ctrl-C stops it

The nodes are pretended: more processors, memory and GPUs than the machine has, so that jobs may
ask for what the shipped profile asks for. Memory that is used is real, and so is its limit.
Everything lies in one folder below /tmp; the daemons are children of this process and end with it.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch")
NODES = 2
HANGS_S = 3600  # beyond which something hangs, on whatever machine
# The names are addresses, all of them this machine: processes of two nodes find one another.
NODE_NAMES = [f"127.0.0.{number}" for number in range(1, NODES + 1)]
CPUS, MEMORY_MB, GPUS = 16, 64_000, 2  # of each node
PATH = "/usr/local/sbin:/usr/sbin:/sbin:" + os.environ["PATH"]

CONFIGURATION = """\
ClusterName=pretended
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
CredType=cred/munge
# A job that is put back may start again when its old credentials have expired.
AuthInfo=socket={folder}/munge.socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool.%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
MailProg=/bin/true
# No cgroups, no MPI library, no network but loopback: what a container has.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SchedulerParameters=sched_min_interval=0,sched_interval=2,bf_interval=2
# A job that is over its memory is found by looking, once a second.
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill,UsePss
AccountingStorageType=accounting_storage/none
MinJobAge=3600
KillWait=5
# The partition `urgent` takes nodes from `main`, whose jobs go back into the queue.
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
GresTypes=gpu
{nodes}
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE LLN=YES PriorityTier=1
PartitionName=urgent Nodes=ALL MaxTime=INFINITE PriorityTier=2 PreemptMode=OFF
"""


def missing_programs() -> list[str]:
    """Programs of Debian's munge, slurmctld, slurmd and slurm-client that are not installed."""
    return [name for name in PROGRAMS if shutil.which(name, path=PATH) is None]


@dataclass(frozen=True)
class Job:
    """What SLURM knows of one job."""

    number: int
    comment: str  # rule_...: what the executor calls it
    state: str
    nodes: tuple[str, ...]
    start: datetime
    end: datetime  # the latest possible one while the job is not over
    memory_mb: int  # of each node
    limit_min: int
    fields: Mapping[str, str]  # as `scontrol show job` has them

    def overlaps(self, other: Job) -> bool:
        return max(self.start, other.start) < min(self.end, other.end)


class SlurmCluster:
    """Two pretended nodes; a context manager that starts and stops them."""

    def __enter__(self) -> SlurmCluster:
        with ExitStack() as stack:
            # A unix socket's path may be 107 characters long: no folder of pytest's.
            self.folder = Path(tempfile.mkdtemp(prefix="slurm-", dir="/tmp"))
            self.folder.chmod(0o755)
            stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
            self.environ = self._configure()
            self._start(stack, "munged", *self._munge_options())
            self._wait(lambda: (self.folder / "munge.socket").exists(), "munged")
            self._start(stack, "slurmctld", "-D", "-f", f"{self.folder}/slurm.conf")
            for node in NODE_NAMES:
                self._start(
                    stack, "slurmd", "-D", "-N", node, "-f", f"{self.folder}/slurm.conf", log=node
                )
            stack.callback(self.cancel, f"--user={_user()}")
            self._wait(self._is_idle, "SLURM's nodes")
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def ask(self, *command: str) -> str:
        """Run one of SLURM's commands and return what it prints."""
        return subprocess.run(
            command, env=self.environ, capture_output=True, text=True, check=True
        ).stdout

    def jobs(self) -> list[Job]:
        """Every job so far, finished ones too."""
        return [
            _job(line)
            for line in self.ask("scontrol", "-o", "show", "job").splitlines()
            if line.startswith("JobId=")
        ]

    def cancel(self, which: str) -> None:
        """Cancel jobs, and wait until none is left."""
        self.ask("scancel", "--quiet", which)
        self._wait(lambda: not self.ask("squeue", "-h", "-t", "PD,R,CG"), "cancelled jobs")

    def _configure(self) -> dict[str, str]:
        for name in ("state", "bin"):
            (self.folder / name).mkdir()
        (self.folder / "munge.key").touch(mode=0o600)
        (self.folder / "munge.key").write_bytes(secrets.token_bytes(1024))
        ports = _free_ports(1 + NODES)
        nodes = [
            f"NodeName={name} NodeHostname={_host()} NodeAddr={name} Port={port} CPUs={CPUS} "
            f"RealMemory={MEMORY_MB} Gres=gpu:{GPUS} State=UNKNOWN"
            for name, port in zip(NODE_NAMES, ports[1:], strict=True)
        ]
        configuration = CONFIGURATION.format(
            host=_host(), port=ports[0], user=_user(), folder=self.folder, nodes="\n".join(nodes)
        )
        (self.folder / "slurm.conf").write_text(configuration)
        for number in range(GPUS):  # SLURM counts a GPU for each device file; these are /dev/null
            os.mknod(self.folder / f"gpu{number}", stat.S_IFCHR | 0o666, os.makedev(1, 3))
        gres = f"NodeName=127.0.0.[1-{NODES}] Name=gpu File={self.folder}/gpu[0-{GPUS - 1}]\n"
        (self.folder / "gres.conf").write_text(gres)
        # The executor removes SLURM_CONF inside a job, where a real cluster has /etc/slurm.
        srun = self.folder / "bin" / "srun"
        real = shutil.which("srun", path=PATH)
        srun.write_text(f'#!/bin/sh\nSLURM_CONF={self.folder}/slurm.conf exec {real} "$@"\n')
        srun.chmod(0o755)
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("SLURM_")}
        return {
            **inherited,
            "PATH": f"{self.folder}/bin:{PATH}",
            "SLURM_CONF": f"{self.folder}/slurm.conf",
        }

    def _munge_options(self) -> list[str]:
        return [
            "--foreground",
            "--num-threads=2",
            f"--socket={self.folder}/munge.socket",
            f"--key-file={self.folder}/munge.key",
            f"--pid-file={self.folder}/munged.pid",
            f"--log-file={self.folder}/munged.log",
            f"--seed-file={self.folder}/munge.seed",
        ]

    def _start(self, stack: ExitStack, *command: str, log: str = "") -> None:
        with (self.folder / f"{log or command[0]}.out").open("w") as output:
            # setpriv: a daemon ends with this process, even where that is killed with -9.
            daemon = subprocess.Popen(
                ("setpriv", "--pdeathsig", "TERM", *command),
                env=self.environ,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        stack.callback(_stop, daemon)

    def _is_idle(self) -> bool:
        try:
            return (
                self.ask("sinfo", "-h", "-N", "-p", "main", "-o", "%T").split() == ["idle"] * NODES
            )
        except subprocess.CalledProcessError:
            return False

    def _wait(self, done: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + HANGS_S
        while not done():
            if time.monotonic() > deadline:
                said = "\n".join(p.read_text()[-1500:] for p in self.folder.glob("*.out"))
                raise RuntimeError(f"waited {HANGS_S:.0f} s for {what}:\n{said}")
            time.sleep(0.1)


def _stop(daemon: subprocess.Popen[bytes]) -> None:
    daemon.terminate()
    try:
        daemon.wait(timeout=120)
    except subprocess.TimeoutExpired:
        daemon.kill()
        daemon.wait()


def _job(line: str) -> Job:
    fields = dict(re.findall(r"(\S+?)=(.*?)(?= \S+?=|$)", line))
    start, end = (_time(fields.get(key, "")) for key in ("StartTime", "EndTime"))
    return Job(
        number=int(fields["JobId"]),
        comment=fields.get("Comment", "").strip(),
        state=fields["JobState"],
        nodes=_nodes(fields.get("NodeList", "")),
        start=start,
        end=end,
        memory_mb=_megabytes(fields["MinMemoryNode"]),
        limit_min=_minutes(fields["TimeLimit"]),
        fields=fields,
    )


def _nodes(text: str) -> tuple[str, ...]:
    if text == f"127.0.0.[1-{NODES}]":
        return tuple(NODE_NAMES)
    return (text,) if text in NODE_NAMES else ()


def _megabytes(text: str) -> int:
    return round(float(text[:-1]) * (1024 if text[-1] == "G" else 1))


def _minutes(text: str) -> int:
    if text == "UNLIMITED":
        return sys.maxsize
    days, _, clock = text.rpartition("-")
    hours, minutes, _ = clock.split(":")
    return (int(days or 0) * 24 + int(hours)) * 60 + int(minutes)


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text) if text[:1].isdigit() else datetime.max


def _host() -> str:
    return socket.gethostname().split(".")[0]


def _user() -> str:
    return subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


if __name__ == "__main__":
    with SlurmCluster() as cluster:
        print(f"export SLURM_CONF={cluster.folder}/slurm.conf PATH={cluster.folder}/bin:$PATH")
        print(cluster.ask("sinfo", "-N"), end="", flush=True)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit())
        signal.pause()
