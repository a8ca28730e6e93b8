"""`specvit export`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("export")
@click.argument("model")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--pt2", is_flag=True, help="Also as a program of torch.export, model.pt2.")
@click.option(
    "--onnx", is_flag=True, help="Also as ONNX, model.onnx (pip install 'specvit[onnx]')."
)
@click.option("--push", "repo", help="Upload the folder to this repository of the model hub.")
def command(model: str, folder: Path, pt2: bool, onnx: bool, repo: str | None) -> None:
    """Write MODEL (a run, a model's folder or a released name) into FOLDER as others can use it.

    Weights and settings that specvit loads (safetensors, JSON), its calibration, the backbone alone
    for timm, and a model card. --push makes the repository, private, if there is none; the token is
    read from HF_TOKEN.
    """
    from specvit.find_model import model_folder
    from specvit.share.export import export_model

    for path in export_model(model_folder(model), folder, pt2=pt2, onnx=onnx):
        click.echo(path)
    if repo is not None:
        from specvit.share.hub import push

        click.echo(push(folder, repo))
