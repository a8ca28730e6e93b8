"""No arrow runs up: each part of the package imports only what is below it."""

from __future__ import annotations

import ast
from pathlib import Path

from stage_imports import SOURCES, imports_in

PACKAGE = SOURCES / "specvit"
# From the bottom to the top. A module that stands apart from its package is named with it.
ORDER = (
    *("errors", "tasks", "paths", "logs", "locks", "machine", "io", "tar", "workflow"),
    *("registry", "config", "find_model", "plan", "predictions", "embedding_map", "metrics"),
    *("spectrum", "surveys"),
    *("tables", "run_folder"),
    # A catalogue's rows say what is downloaded; the survey's own catalogue is downloaded first.
    *("catalog.schema", "catalog.rows", "download", "catalog"),
    *(
        "plot",
        "shards",
        "plot.gallery",
        "models",
        "train",
        "baselines",
        "explain",
        "novelty",
        "predict",
    ),
    "evaluate",
    *("preflight", "report.names", "status", "report", "explore", "share"),
    *("commands", "cli", "__main__"),
)

# The registry finds surveys by name, at run time, and asks what each of them is.
EXCEPT = {("specvit.registry", "specvit.surveys.survey")}


def part_of(module: str) -> str:
    """The longest name in ORDER that a module of specvit is below; itself where there is none."""
    inside = module.removeprefix("specvit.")
    fitting = [part for part in ORDER if f"{inside}.".startswith(f"{part}.")]
    return max(fitting, key=len, default=inside)


def modules() -> dict[str, Path]:
    found = {}
    for path in PACKAGE.rglob("*.py"):
        name = ".".join(path.relative_to(SOURCES).with_suffix("").parts)
        found[name.removesuffix(".__init__")] = path
    return found


def imported(path: Path, known: dict[str, Path]) -> set[str]:
    """The modules of specvit that a file imports, inside functions too."""
    found = set()
    for module, item in imports_in(ast.parse(path.read_text())):
        both = (f"{module}.{item}", module)
        found |= {next((name for name in both if name in known), "")}
    return found - {"", "specvit"}  # the package itself holds no more than its version


def test_every_import_is_of_something_below() -> None:
    known = modules()
    wrong = []
    for name, path in known.items():
        if name == "specvit":
            continue
        here = part_of(name)
        assert here in ORDER, f"say in ORDER where {name} stands"
        for other in imported(path, known):
            there = part_of(other)
            if ORDER.index(there) > ORDER.index(here) and (name, other) not in EXCEPT:
                wrong.append(f"{name} -> {other}")
    assert not wrong


def test_the_order_names_what_there_is() -> None:
    parts = {part_of(name) for name in modules()}
    assert set(ORDER) <= parts


def test_the_package_does_not_know_its_benchmarks() -> None:
    for name, path in modules().items():
        tops = {module.split(".")[0] for module, _ in imports_in(ast.parse(path.read_text()))}
        assert "benchmarks" not in tops, name
