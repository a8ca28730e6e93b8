"""The script for a GPU, rehearsed on the CPU where only what its machine has can be imported."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

from benchmarks.gpu import told
from benchmarks.gpu_grid import FULL
from benchmarks.gpu_rates import VARIANTS
from benchmarks.gpu_table import as_markdown

ROOT = Path(__file__).resolve().parents[2]
# Of the packages that specvit asks for. The rest of what can be imported is what these need.
THERE = {
    *("torch", "torchvision", "timm", "safetensors", "tensorboard", "numpy", "scipy", "pandas"),
    *("pyarrow", "opencv-python-headless", "scikit-learn", "pillow", "matplotlib", "pyyaml"),
    *("click", "rich", "psutil", "jinja2", "markupsafe", "packaging", "pygments"),
    "pydantic",  # brought along
}
# As if they were not installed: found neither by an import nor by those who only look.
WITHOUT = """
from importlib.machinery import PathFinder

find = PathFinder.find_spec

def find_others(name, path=None, target=None):
    return None if name.partition(".")[0] in {missing!r} else find(name, path, target)

PathFinder.find_spec = staticmethod(find_others)  # called on an instance, too
"""


def missing_modules() -> set[str]:
    """Top-level modules of the packages that specvit asks for and the machine does not have."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    asked = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]
    asked += [
        each for group in project["project"]["optional-dependencies"].values() for each in group
    ]
    names = {re.split(r"[\[<>=~! ]", each)[0].lower() for each in asked} - THERE
    return {
        module
        for module, holders in packages_distributions().items()
        if {holder.lower() for holder in holders} & names
    }


def test_the_script_gives_every_part_without_what_the_machine_lacks(tmp_path: Path):
    missing = missing_modules()
    assert {"astropy", "snakemake", "webdataset", "aiohttp"} <= missing
    (tmp_path / "sitecustomize.py").write_text(WITHOUT.format(missing=missing))
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "PYTHON": sys.executable}
    environment |= {"TINY": "1", "SECONDS_IN_ALL": "600", "OMP_NUM_THREADS": "1"}
    out = tmp_path / "out"
    done = subprocess.run(
        ["bash", ROOT / "benchmarks" / "gpu.sh", out],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads((out / "gpu.json").read_text())
    assert set(found) == {"rates", "sky", "million"}, done.stderr[-3000:]
    assert found["rates"]["left_out"] == []
    assert [row["mode"] for row in found["rates"]["rows"]] == ["overlap", "stacked"]
    first = found["rates"]["rows"][0]
    assert first["shards"]["pictures_per_s"] > 0
    assert first["of_memory"] > 0
    assert 0 <= first["shards"]["data_wait"] < 1
    assert [one["readers"] for one in found["rates"]["readers"]] == [1]
    assert [one["variant"] for one in found["rates"]["variants"]] == list(VARIANTS)
    assert found["sky"]["spectra"] > 100
    assert found["million"]["exit_code"] == 0
    assert len(found["million"]["epochs"]) == 2
    assert found["million"]["seconds_to_best"] > 0
    assert found["million"]["summary"]["samples"]["val"] > 5
    assert (out / "gpu.md").read_text() in done.stdout


def test_the_table_says_what_was_left_out_and_what_gave_nothing(tmp_path: Path):
    assert as_markdown({}).count("gave nothing") == 4
    rates = {
        "machine": {"cores": 16, "processor": "made up", "torch": "2.11"},
        "rows": [],
        "left_out": [{"case": FULL.grid[0].name, "part": "compiled", "why": "3 s were left"}],
        "readers": [],
        "variants": [],
        "profiles": {},
    }
    text = as_markdown({"rates": rates})
    assert "- ViT-B/16 overlap 256 eager, compiled: 3 s were left" in text
    assert told(tmp_path) == {"epochs": []}
