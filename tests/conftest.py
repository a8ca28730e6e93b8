"""What tests share: the real spectra and weights that may lie beside the project."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import hypothesis
import pytest

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"

# Many small test processes side by side: one thread each, or they wait for one another.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# No test is timed: a busy machine would fail it.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--rounds N`: so many times the damaged files of tests/hostile (make fuzz)."""
    parser.addoption("--rounds", type=int, default=1, help="rounds of damage in tests/hostile")


def _shared(name: str) -> Path:
    path = SHARED / name
    if not path.exists():
        reason = f"needs ../shared/{name}, which is not part of the project"
        if os.environ.get("CI") == "true":
            pytest.fail(f"{reason} but must be there in CI")
        pytest.skip(reason)
    return path


@pytest.fixture(scope="session")
def real_spectra() -> Path:
    """The folder of real SDSS and LAMOST files (skips where it is absent, fails in CI)."""
    return _shared("spectra")


@pytest.fixture(scope="session")
def real_desi() -> Path:
    """The folder of real DESI coadds and their redrock files."""
    return _shared("desi")


@pytest.fixture(scope="session")
def real_templates() -> Path:
    """Return the folder of template libraries that the simulated sky was computed from."""
    return _shared("templates")


@pytest.fixture(scope="session")
def real_index(real_spectra: Path) -> list[dict[str, str]]:
    """Rows of the real files' index."""
    with (real_spectra / "index.csv").open(newline="") as handle:
        return list(csv.DictReader(handle))


@pytest.fixture(scope="session")
def real_weights() -> Path:
    """A real pretrained ViT (DINOv2 small, safetensors)."""
    return _shared("weights") / "vit_small_patch14_dinov2.fp16.safetensors"


@pytest.fixture(scope="session")
def cases() -> Path:
    """Small files that follow what people reported (INDEX.md: what each must give)."""
    return _shared("cases")
