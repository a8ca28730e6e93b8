"""The command as people and Snakemake start it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import torch
from forked import run_ranks

from specvit import cli
from specvit.train import engine


def test_ranks_are_started_signalled_and_go_on(configure, monkeypatch):
    """One command starts two ranks; SIGUSR1 to it alone ends all with the state saved."""
    config = configure(train={"checkpoint_minutes": 1e-9, "epochs": 500, "ranks": 2})
    settings = json.dumps(config.model_dump(mode="json"))
    command = [sys.executable, "-m", "specvit", "train", "--config", settings]
    environ = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, env=environ, stderr=subprocess.PIPE, text=True)
    folder = config.paths.model_dir("vit") / "checkpoints"
    for _ in range(36_000):  # half an hour, against hanging
        if (folder / "last.pt").exists() or process.poll() is not None:
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGUSR1)
    said = process.communicate(timeout=1800)[1]
    assert process.returncode == 75, said
    assert "stopped by SIGTERM" in said
    assert "run the same command" in said.splitlines()[-1]
    assert "Traceback" not in said
    state = torch.load(folder / "last.pt")["state"]
    monkeypatch.setattr(engine.Run, "fit", lambda run: run._stop())
    assert run_ranks(2, lambda: engine.train(config)) == [75, 75]
    events = map(json.loads, (folder / "log.jsonl").read_text().splitlines())
    starts = [event["step"] for event in events if event["event"] == "start"]
    assert starts == [0, 4 * state["epoch"] + state["step"]]
    assert starts[1] > 0


def test_a_users_mistake_is_one_sentence(configure, capsys):
    config = configure(train={"monitor": "loss"}).model_dump(mode="json")
    config["train"]["monitor"] = "redshift_accuracy"
    with pytest.raises(SystemExit) as ended:
        cli.main(["train", "--config", json.dumps(config)])
    assert ended.value.code == 2
    assert "redshift_nmad" in capsys.readouterr().err


def test_the_command_trains_the_network_of_this_name(configure):
    configure()
    config = configure(experiments=[{"name": "short", "train": {"epochs": 1}}])
    settings = json.dumps(config.model_dump(mode="json"))
    cli.main(["train", "--config", settings, "--model", "short"])
    summary = json.loads((config.paths.model_dir("short") / "training.json").read_text())
    assert (summary["network"], summary["epochs"]) == ("tiny/short", 1)
