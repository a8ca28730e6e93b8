"""What a run tells: JSON lines always, TensorBoard always, Weights & Biases where set up."""

from __future__ import annotations

import importlib.util
import json
import os
from pathlib import Path
from typing import Any

from torch.utils.tensorboard import SummaryWriter

from specvit.errors import machine_says
from specvit.io import stable_hash, write_text

LINES, BOARD = "log.jsonl", "tensorboard"


class RunLog:
    """The log of the main rank; `step` is the number of steps taken when something happened."""

    def __init__(self, folder: Path, run: str, step: int, settings: dict[str, Any]) -> None:
        """Open the log of a run that stands at `step`: what was logged after it is taken back."""
        self.path = folder / LINES
        kept = [line for line in self._lines() if json.loads(line)["step"] <= step]
        write_text(self.path, "".join(kept))
        self._handle = self.path.open("a", encoding="utf-8")
        self._board = SummaryWriter(str(folder / BOARD), purge_step=step + 1)
        self._wandb = _start_wandb(folder, run, settings)

    def _lines(self) -> list[str]:
        if not self.path.exists():
            return []
        lines = self.path.read_text(encoding="utf-8").splitlines(keepends=True)
        # A killed run may leave half a line.
        return [line for line in lines if line.endswith("\n")]

    def write(self, event: str, step: int, **values: Any) -> None:
        """Add one line; numbers go to the curves too."""
        line = json.dumps({"event": event, "step": step, **values}, default=str)
        with machine_says(self.path):
            self._handle.write(line + "\n")
            self._handle.flush()
        numbers = {
            f"{event}/{name}": value
            for name, value in values.items()
            if isinstance(value, int | float) and not isinstance(value, bool)
        }
        with machine_says(self.path.parent / BOARD):
            for name, value in numbers.items():
                self._board.add_scalar(name, value, step)
        if self._wandb is not None and numbers:
            self._wandb.log({**numbers, "trainer/step": step})

    def close(self) -> None:
        """Write what is still in memory."""
        with machine_says(self.path):
            self._handle.close()
            self._board.close()
        if self._wandb is not None:
            self._wandb.finish()


def _start_wandb(folder: Path, run: str, settings: dict[str, Any]) -> Any:
    """Start Weights & Biases if it is installed and its environment says so; else None.

    WANDB_API_KEY, or WANDB_MODE=offline, switches it on; WANDB_PROJECT names the project.
    """
    configured = os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_MODE")
    if not configured or importlib.util.find_spec("wandb") is None:
        return None
    import wandb

    return wandb.init(
        project=os.environ.get("WANDB_PROJECT", "specvit"),
        name=run,
        id=f"{run}-{stable_hash(settings)}".replace("/", "-"),
        resume="allow",
        dir=str(folder),
        config=settings,
    )
