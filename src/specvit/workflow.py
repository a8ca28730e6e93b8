"""The workflow's own files, in a checkout or in an installed package, and a folder to run it in."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from specvit.errors import ConfigError
from specvit.io import write_text

_INSTALLED = Path(__file__).parent / "pipeline"  # setup.py puts it there
FILES = _INSTALLED if _INSTALLED.is_dir() else Path(__file__).parents[2]
"""The folder that holds `Snakefile`, `config.yaml` and `workflow/`."""
SNAKEFILE = str(FILES / "Snakefile")
PRESETS = ("demo", "own", "sdss", "lamost", "desi", "paper")
OVER_THE_DEMO = "over config.yaml's"
"""Ends lines of a preset that only take back what the demo sets: alone, it does without them."""

_LAID_DOWN = """\
# The workflow of the specvit that is installed, run on the config.yaml beside this file.
from specvit.workflow import SNAKEFILE


include: SNAKEFILE


# What is made where no stage is named. Rules of one's own go below.
rule whole_run:
    input:
        rules.all.input,
"""
_HEADER = """\
# {title}
#
#     specvit run                                              from catalogue to report
#     specvit run --dry-run                                    what there is to do
#     specvit run --config run=other 'render={{size: 96}}'       other values, this once
#
# Every key, its type, default and meaning: specvit schema. Is all well: specvit check.

"""
# Options with which somebody has said where jobs run.
_SAID = ("--profile", "--workflow-profile", "--executor", "-e")


def lay_down(folder: Path, preset: str) -> list[Path]:
    """Write a Snakefile and a config.yaml into a folder, made if need be; return both.

    ConfigError where one of them is there already: it may be somebody's work.
    """
    texts = {"Snakefile": _LAID_DOWN, "config.yaml": config_of(preset)}
    taken = [name for name in texts if (folder / name).exists()]
    if taken:
        raise ConfigError(f"{folder} has a {taken[0]} already: choose another folder, or move it")
    for name, text in texts.items():
        write_text(folder / name, text)
    return [folder / name for name in texts]


def config_of(preset: str) -> str:
    """The text of a preset as a configuration of its own, comments and all."""
    path = FILES / "config.yaml"
    if preset != "demo":
        path = FILES / "workflow" / "configs" / f"{preset}.yaml"
    about, body = path.read_text(encoding="utf-8").split("\n\n", 1)
    title = about.split("\n#\n")[0].removeprefix("# ")
    kept = [line for line in body.splitlines() if not line.endswith(OVER_THE_DEMO)]
    return _HEADER.format(title=title) + "\n".join(kept) + "\n"


def run_snakemake(folder: Path, arguments: Sequence[str]) -> NoReturn:
    """Become the Snakemake of a folder. ConfigError where there is no workflow in it.

    Without a profile or an executor among the arguments, jobs run here, on all cores.
    """
    if not (folder / "Snakefile").is_file():
        raise ConfigError(f"{folder} has no Snakefile: specvit init {folder} lays one down")
    here = [] if _says_where(arguments) else ["--workflow-profile", str(_LOCAL)]
    os.chdir(folder)
    os.execv(sys.executable, [sys.executable, "-m", "snakemake", *here, *arguments])


_LOCAL = FILES / "workflow" / "profiles" / "local"


def _says_where(arguments: Sequence[str]) -> bool:
    return any(argument.split("=")[0] in _SAID for argument in arguments)
