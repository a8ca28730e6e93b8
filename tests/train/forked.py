"""Run functions in child processes that need not import torch again."""

from __future__ import annotations

import os
import socket
import sys
import traceback
from collections.abc import Callable
from multiprocessing import forkserver

from specvit.errors import SpecvitError


def fork(function: Callable[[], object], **environ: str) -> int:
    """Start a child; return its process id. It ends with the exit code the command would have."""
    child = os.fork()
    if child:
        return child
    forkserver._forkserver.__init__()  # the parent's server is no child of this process
    try:
        os.environ.update(environ)
        function()
        code = 0
    except SpecvitError as error:
        print(error, file=sys.stderr)
        code = error.exit_code
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stderr.flush()
    os._exit(code)


def ended(child: int) -> int:
    """Wait for a child; return its exit code, or minus the signal that killed it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def run_ranks(size: int, function: Callable[[], object]) -> list[int]:
    """Run a function on several gloo ranks, as torchrun would start them; return exit codes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    shared = {"WORLD_SIZE": str(size), "LOCAL_WORLD_SIZE": str(size)}
    shared |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    ranks = [fork(function, RANK=str(r), LOCAL_RANK=str(r), **shared) for r in range(size)]
    return [ended(rank) for rank in ranks]
