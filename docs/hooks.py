"""What `mkdocs build` makes of the code: the table of configuration keys, from the schema."""

from __future__ import annotations

import json
from collections.abc import Iterator
from html import escape
from typing import Any

from specvit.config.schema import schema_text

MARK = "<!-- keys -->"


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put the table in the place of its mark."""
    return markdown.replace(MARK, keys_text(json.loads(schema_text())))


def keys_text(schema: dict[str, Any]) -> str:
    """One table for each top-level key: every key below it, its type, default and meaning."""
    parts = []
    for name, node in schema["properties"].items():
        rows = list(_rows(name, node, schema["$defs"]))
        section = _resolved(node, schema["$defs"])
        about = escape(section["description"]) if section is not node else ""
        head = f"## {name}\n\n{about}\n"
        table = ["| key | type | default | meaning |", "|---|---|---|---|", *rows]
        parts.append("\n".join([head, *table]))
    return "\n\n".join(parts)


def _rows(key: str, node: dict[str, Any], defs: dict[str, Any]) -> Iterator[str]:
    """Rows of a key, or of the keys below it where it is a section."""
    inner = _resolved(node, defs)
    if "properties" in inner:
        for name, below in inner["properties"].items():
            yield from _rows(f"{key}.{name}", below, defs)
        return
    cells = (f"`{key}`", _type(node, defs), _default(node), escape(node.get("description", "")))
    yield (
        "| " + " | ".join(str(cell).replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
    )


def _resolved(node: dict[str, Any], defs: dict[str, Any]) -> dict[str, Any]:
    """The section that a node refers to, also where it may be null or a list of it."""
    options = [node, *node.get("anyOf", ()), *node.get("allOf", ())]
    for option in options:
        if "$ref" in option:
            return {**defs[option["$ref"].rsplit("/", 1)[1]]}
        if "$ref" in option.get("items", {}):
            return {**defs[option["items"]["$ref"].rsplit("/", 1)[1]]}
    return node


def _type(node: dict[str, Any], defs: dict[str, Any]) -> str:
    if "anyOf" in node:
        return " or ".join(dict.fromkeys(_type(option, defs) for option in node["anyOf"]))
    if "enum" in node:
        return ", ".join(f"`{value}`" for value in node["enum"])
    if "const" in node:
        return f"`{node['const']}`"
    if node.get("type") == "array":
        inner = node.get("items") or (node.get("prefixItems") or [{}])[0]
        return f"list of {_type(inner, defs)}"
    return str(node.get("type", "mapping")) + _limits(node)


def _limits(node: dict[str, Any]) -> str:
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    return "".join(f", {sign} {node[key]:g}" for key, sign in signs.items() if key in node)


def _default(node: dict[str, Any]) -> str:
    return f"`{json.dumps(node['default'])}`" if "default" in node else "must be set"
