"""The documentation: every key stands in its table, and its commands are ones that exist."""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from snakemake.cli import get_argument_parser, parse_config

from benchmarks.__main__ import app as benchmarks
from specvit.cli import app
from specvit.config import merge, typed, validate
from specvit.config.load import read_source
from specvit.config.schema import schema_text
from tests.conftest import ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
RULES = [ROOT / "Snakefile", *(ROOT / "workflow" / "rules").glob("*.smk")]
NEEDS = re.compile(r"#.*\bneeds\b")
# Programs of others, or of a machine that no test has.
OTHERS = [
    "apptainer",
    "aws",
    "docker",
    "done",
    "export",
    "find",
    "for",
    "git",
    "pip",
    "pre-commit",
    "scancel",
    "source",
    "srun",
]


def commands(page: Path) -> Iterator[str]:
    """Each command of a page's shell blocks, on one line, but those marked as needing something."""
    for block in re.findall(r"```sh\n(.*?)```", page.read_text(), re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            if line.strip() and not line.startswith("#") and not NEEDS.search(line):
                yield from (part.strip() for part in re.split(r" && | \| ", line))


ALL = sorted({(page.name, line) for page in PAGES for line in commands(page)})


def parse(group: click.Group, arguments: list[str]) -> None:
    """Refuse a command that does not exist, an option that it does not have, and a wrong choice."""
    parent = click.Context(group, info_name="command")
    command = group.get_command(parent, arguments[0])
    assert command is not None, arguments[0]
    known = {option for one in command.params for option in (*one.opts, *one.secondary_opts)}
    used = {word.split("=")[0] for word in arguments[1:] if re.match(r"--?[a-z]", word)}
    assert used <= known | {"--help", "-h"}, f"{arguments[0]} has no {used - known}"
    for option in command.params:
        if isinstance(option.type, click.Choice):
            for name in {*option.opts} & {*arguments}:
                value = arguments[arguments.index(name) + 1]
                assert value in option.type.choices, f"{name} cannot be {value}"


@pytest.mark.parametrize(("page", "line"), ALL, ids=lambda value: value[:60])
def test_command_exists(page: str, line: str) -> None:
    words = shlex.split(line, comments=True)
    match words:
        case ["make", *targets]:
            makefile = (ROOT / "Makefile").read_text()
            for target in targets:
                assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
        case ["specvit", "run", *rest] if rest[0].startswith("-"):
            plan(rest)
        case [program, *rest] if program in ("specvit", ".venv/bin/specvit"):
            parse(app, rest)
        case ["python" | ".venv/bin/python", "-m", "benchmarks", *rest]:
            parse(benchmarks, rest)
        case ["python" | ".venv/bin/python", "-m", module, *_]:
            assert importlib.util.find_spec(module)
        case ["python", script, *_]:
            assert (ROOT / script).is_file()
        case ["snakemake", *rest]:
            plan(rest)
        case [program, *_]:
            assert program.removeprefix(".venv/bin/") in OTHERS, f"{page} names {program}"


def plan(arguments: list[str]) -> None:
    """Refuse options that Snakemake does not have, rules and settings that specvit does not."""
    parser = get_argument_parser()
    told = parser.parse_args([_placed(word) for word in arguments if "$" not in word])
    config = read_source(str(ROOT / "config.yaml"))
    for path in told.configfile or []:
        config = merge(config, read_source(str(ROOT / path)))
    validate(merge(config, typed(parse_config(told.config))))
    rules = {name for path in RULES for name in re.findall(r"^rule (\w+):", path.read_text(), re.M)}
    assert {*told.targets, *told.forcerun, *told.until} <= rules


def _placed(word: str) -> str:
    return "workflow/configs/paper.yaml" if word == "..." else word


def of_docs(name: str) -> Any:
    """A module that lies among the pages."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_tables_of_runs_are_those_of_their_files() -> None:
    tables = of_docs("tables")
    stale = [p.name for p in tables.PAGES if tables.written(p.read_text()) != p.read_text()]
    assert not stale, "run: python docs/tables.py"
    page = (ROOT / "docs" / "demo.md").read_text()
    row = next(line for line in page.splitlines() if line.startswith("| ViT |"))
    assert tables.written(page.replace(row, "| ViT | stale |")) == page
    mark = next(line for line in page.splitlines() if line.startswith("<!-- table"))
    for mistyped in (
        mark.replace(".csv", ".cvs"),
        f"See {mark} here",
        mark.replace("table", "Table"),
    ):
        with pytest.raises(ValueError, match="1 of 2 marks"):
            tables.written(page.replace(mark, mistyped, 1))


def test_every_key_is_in_the_table() -> None:
    text = of_docs("hooks").keys_text(json.loads(schema_text()))
    for key in ("run", "surveys.sdss.select.cone.radius", "model.redshift.bins", "train.lr"):
        assert f"| `{key}` |" in text
    assert '| `render.mode` | `line`, `overlap`, `stacked`, `map` | `"stacked"` |' in text
    assert "results/&lt;run&gt;/" in text
