"""What a stage imports, read from the source: inside functions too, module by module."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ROOT / "src"
# Imported only where somebody installed it and asks for it: each has an extra of its own ...
OPTIONAL = {"hats", "onnxruntime", "onnxscript", "wandb"}
# ... or hands in its objects.
BROUGHT = {"specutils"}
# Behind methods for people at a notebook, which no stage calls.
BY_HAND = {"specvit.spectrum.show"}


def stages_by_environment(rules: Path = ROOT / "workflow" / "rules") -> dict[str, set[str]]:
    """Environment -> stages of the rules that name it; a rule with a command must name one."""
    found: dict[str, set[str]] = {}
    for path in sorted(rules.glob("*.smk")):
        for rule in re.split(r"^(?=rule \w+:)", path.read_text(), flags=re.MULTILINE):
            stages = re.findall(r"python -m specvit ([\w-]+)", rule)
            if not stages:
                assert "shell:" not in rule, f"a command without a stage:\n{rule}"
                continue
            (environment,) = re.findall(r'conda:\s+"\.\./\.\./envs/(\w+)\.yaml"', rule)
            found.setdefault(environment, set()).update(stages)
    return found


def imports_of(stages: set[str]) -> set[tuple[str, str]]:
    """Return (module, name or "") of every import that the stages can come to."""
    found: set[tuple[str, str]] = set()
    seen: set[str] = set()
    waiting = {
        "specvit.__main__",
        *(f"specvit.commands.{stage.replace('-', '_')}" for stage in stages),
    }
    while waiting:
        module = waiting.pop()
        path = _source(module)
        if module in seen | BY_HAND or path is None:
            continue
        seen.add(module)
        if "." in module:
            waiting.add(module.rpartition(".")[0])  # a package's own imports run first
        for name, item in imports_in(ast.parse(path.read_text())):
            if name.split(".")[0] in OPTIONAL | BROUGHT | {"__future__"}:
                continue
            found.add((name, item))
            waiting |= {name, f"{name}.{item}"}
        waiting |= _named_in_a_run(path)
    return found


def distributions_of(imports: set[tuple[str, str]]) -> set[str]:
    """Return the names of the installed packages that hold these modules."""
    tops = {name.split(".")[0] for name, _ in imports} - sys.stdlib_module_names - {"specvit"}
    holders = packages_distributions()
    return {holder.lower().replace("_", "-") for top in tops for holder in holders[top]}


def _source(module: str) -> Path | None:
    path = SOURCES / module.replace(".", "/")
    candidates = (path.with_suffix(".py"), path / "__init__.py")
    return next((each for each in candidates if each.is_file()), None)


def _named_in_a_run(path: Path) -> set[str]:
    """All modules of the package in `import_module(f"package.{name}")`."""
    text = path.read_text()
    packages = re.findall(r'import_module\(f"(specvit\.\w+)\.\{', text)
    if "resolve_name(" in text:  # of a registration, of this package's modules
        packages.append(f"specvit.{path.parent.name}")
    folders = [SOURCES / package.replace(".", "/") for package in packages]
    return {
        f"specvit.{folder.name}.{module.stem}"
        for folder in folders
        for module in (*folder.glob("[a-z]*.py"), *(p.parent for p in folder.glob("*/__init__.py")))
    }


def imports_in(node: ast.AST) -> Iterator[tuple[str, str]]:
    """(module, name or "") of every import below a node, but those for type checkers alone."""
    match node:
        case ast.If(test=ast.Name(id="TYPE_CHECKING")):
            return
        case ast.Import(names=names):
            yield from ((each.name, "") for each in names)
        case ast.ImportFrom(module=str(module), names=names, level=0):
            yield from ((module, each.name) for each in names)
        case ast.ImportFrom():
            raise AssertionError(f"a relative import in line {node.lineno}")
    for child in ast.iter_child_nodes(node):
        yield from imports_in(child)
