"""The configuration's JSON schema, generated from the models; a test keeps the file in sync."""

from __future__ import annotations

import json

from specvit.config.models import Config


def schema_text() -> str:
    """The JSON schema as text, ending in a newline."""
    schema = Config.model_json_schema()
    many = schema["properties"]["render"]
    # validate() takes a single set of plots for a list of one, so the schema must too.
    one = {"$ref": "#/$defs/Render"}
    kept = {key: many.pop(key) for key in ("description", "default", "title") if key in many}
    schema["properties"]["render"] = {"anyOf": [one, many], **kept}
    return json.dumps(schema, indent=2) + "\n"
