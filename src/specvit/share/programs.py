"""A network as a program that needs no specvit: torch.export's, and ONNX."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram
from torch.nn import functional

from specvit.errors import ConfigError, DataError
from specvit.io import atomic_path
from specvit.models.correlation import TemplateCorrelation
from specvit.models.heads import RedshiftHead
from specvit.models.vit import SpecViT

TOLERANCE = 1e-4
"""Between the raw outputs of a program and the network's own, absolute and relative."""
INPUT = "pictures"
Program = Callable[[Tensor], Sequence[Tensor]]


class Raw(nn.Module):
    """From uint8 pictures (n, channels, size, size) to the raw outputs, in the order of the tasks.

    The network's own modules, under names that are Python's too: there is a task called `class`.
    """

    tokens = SpecViT.tokens

    def __init__(self, model: SpecViT) -> None:
        super().__init__()
        self.backbone = model.backbone
        self.heads = nn.ModuleList(model.heads.values())
        self.register_buffer("mean", model.mean)
        self.register_buffer("std", model.std)

    def forward(self, pictures: Tensor) -> tuple[Tensor, ...]:
        """Raw outputs of each task, (n, outputs) float32."""
        pooled, patches = self.tokens(pictures)  # type: ignore[misc]
        return tuple(head(pooled, patches) for head in self.heads)


def torch_program(model: SpecViT) -> ExportedProgram:
    """The network as torch.export has it, for any number of pictures."""
    return torch.export.export(
        Raw(model).eval(), (_pictures(model, 2),), dynamic_shapes=({0: Dim("n")},)
    )


def save_torch(model: SpecViT, path: Path) -> None:
    """Write a network as .pt2. DataError where what was written does not agree with it."""
    program = torch_program(model)
    with atomic_path(path) as temporary:
        with temporary.open("wb") as handle:
            torch.export.save(program, handle)
        with temporary.open("rb") as handle:
            written = torch.export.load(handle).module()
        check(written, model, "torch.export")


def save_onnx(model: SpecViT, path: Path) -> None:
    """Write a network as ONNX, its outputs named as the tasks are.

    Raises ConfigError without the extra `onnx`, DataError where what was written does not agree
    with the network.
    """
    try:
        import onnxruntime
        import onnxscript  # noqa: F401 (torch.onnx needs it, and would raise something else)
    except ImportError as error:
        raise ConfigError(f"ONNX needs {error.name}: pip install 'specvit[onnx]'") from error
    names = [task.name for task in model.tasks]
    program = torch_program(_without_fourier(model))
    made = torch.onnx.export(
        program, dynamo=True, input_names=[INPUT], output_names=names, verbose=False
    )
    assert made is not None
    with atomic_path(path) as temporary:
        made.save(temporary, external_data=False)
        session = onnxruntime.InferenceSession(temporary.read_bytes())

        def run(pictures: Tensor) -> list[Tensor]:
            found = session.run(names, {INPUT: pictures.numpy()})
            return [torch.from_numpy(output) for output in found]

        check(run, model, "ONNX")


def _without_fourier(model: SpecViT) -> SpecViT:
    """A copy that convolves: onnxruntime's Fourier transform is right to three digits only."""
    model = copy.deepcopy(model)
    for head in model.heads.values():
        if isinstance(head, RedshiftHead) and head.correlation is not None:
            convolve = partial(_convolve, head.correlation)
            head.correlation.correlate = convolve  # type: ignore[method-assign]
    return model


def _convolve(correlation: TemplateCorrelation, sequence: Tensor) -> Tensor:
    """What `TemplateCorrelation.correlate` gives, term by term."""
    ends = correlation.bins.count - 1
    padded = functional.pad(sequence, (ends, ends))
    return functional.conv1d(padded, correlation.templates[None])[:, 0]


@torch.no_grad()
def check(program: Program, model: SpecViT, what: str) -> None:
    """Raise DataError where a program and the network do not say the same of pictures of noise."""
    pictures = _pictures(model, 3)  # not as many as it was made from
    for name, expected, found in zip(
        model.heads, model(pictures).values(), program(pictures), strict=True
    ):
        if not torch.allclose(found, expected, rtol=TOLERANCE, atol=TOLERANCE):
            largest = float((found - expected).abs().max())
            raise DataError(
                f"{what} says something else than the network of the task {name}: {largest:.1e} "
                f"away, more than {TOLERANCE:g}; it is not kept"
            )


def _pictures(model: SpecViT, number: int) -> Tensor:
    shape = (number, model.render.channels, model.render.size, model.render.size)
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
