"""`specvit train`."""

from __future__ import annotations

import click

from specvit.commands.options import config_option


@click.command("train")
@config_option
@click.option("--model", "network", default="vit", show_default=True, help="vit, or an experiment.")
@click.option("--fresh", is_flag=True, help="Start anew, whatever state an earlier run left.")
def command(sources: tuple[str, ...], network: str, fresh: bool) -> None:
    """Fine-tune the Vision Transformer, or go on where a stopped run stands.

    SIGTERM and SIGUSR1 save the state and end with exit code 75: run the same command again.
    """
    from specvit.config import load_stage
    from specvit.train.launch import launch, under_torchrun

    config = load_stage(sources, "train", model=network)
    if under_torchrun() or config.train.processes == 1:
        from specvit.train.engine import train

        train(config, network, fresh=fresh)
        return
    again = [part for source in sources for part in ("--config", source)]
    options = ["--model", network, *(["--fresh"] if fresh else [])]
    launch(config.train.processes, ["train", *again, *options])
