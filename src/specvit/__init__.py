"""Vision transformers for the spectra of sky surveys: workflow, models and baselines.

    import specvit

    model = specvit.load("results/demo")
    table = model.predict(["spec-0266-51602-0001.fits"])

What stands below is imported when it is first used: `import specvit` alone takes no time, and
only `load` brings torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from specvit.predict.model import Model, load
    from specvit.predict.one import draw, read
    from specvit.run_folder import Run, open_run
    from specvit.spectrum.types import Spectrum

__version__ = "0.2.0"
__all__ = ["Model", "Run", "Spectrum", "__version__", "draw", "load", "open_run", "read"]

_WHERE = {
    "Model": "specvit.predict.model",
    "Run": "specvit.run_folder",
    "Spectrum": "specvit.spectrum.types",
    "draw": "specvit.predict.one",
    "load": "specvit.predict.model",
    "open_run": "specvit.run_folder",
    "read": "specvit.predict.one",
}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'specvit' has no attribute {name!r}")
    return getattr(import_module(_WHERE[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
