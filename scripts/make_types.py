"""Writes the protocol's types for the terminal from the server's two documents.

python scripts/make_types.py
"""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import Any

from tickwire.server.schemas.asyncapi import asyncapi_document
from tickwire.server.schemas.openapi import openapi_document

TARGET = Path(__file__).parent.parent / "web/src/protocol/messages.ts"
HEAD = """\
/**
 * The messages of the protocol, over HTTP and WebSocket.
 *
 * Made by scripts/make_types.py from the server's OpenAPI and AsyncAPI documents: do not edit.
 */
"""
WIDTH = 110
PRIMITIVES = {
    "integer": "number",
    "number": "number",
    "string": "string",
    "boolean": "boolean",
    "null": "null",
}


def typescript() -> str:
    """The whole module."""
    schemas: dict[str, Any] = {}
    for document in (openapi_document(), asyncapi_document()):
        for name, schema in document["components"]["schemas"].items():
            if schemas.setdefault(name, schema) != schema:
                raise SystemExit(f"The two documents do not agree on {name}.")
    return "\n".join([HEAD, *(declaration(name, schema) for name, schema in sorted(schemas.items()))])


def declaration(name: str, schema: dict[str, Any]) -> str:
    """The component of that name, as it stands in the module."""
    comment = _comment(schema.get("description", ""), "")
    if "x-enum-varnames" in schema:
        pairs = zip(schema["x-enum-varnames"], schema["enum"], strict=True)
        members = "".join(f"  {key}: {json.dumps(value)},\n" for key, value in pairs)
        constant = f"export const {name} = {{\n{members}}} as const;\n"
        return f"{comment}{constant}export type {name} = (typeof {name})[keyof typeof {name}];\n"
    if schema.get("properties"):
        return f"{comment}export interface {name} {_object(schema, '')}\n"
    return f"{comment}export type {name} = {_type(schema, '')};\n"


def _object(schema: dict[str, Any], indent: str) -> str:
    lines = ["{"]
    inner = f"{indent}  "
    for name, of in schema["properties"].items():
        mark = "" if name in schema.get("required", ()) else "?"
        comment = _comment(of.get("description", ""), inner)
        lines.append(f"{comment}{inner}readonly {name}{mark}: {_type(of, inner)};")
    return "\n".join([*lines, f"{indent}}}"])


def _type(schema: dict[str, Any], indent: str) -> str:
    """The type of a schema, as it stands behind a colon."""
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return " | ".join(dict.fromkeys(_type(one, indent) for one in schema[key]))
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "enum" in schema:
        return " | ".join(json.dumps(value, ensure_ascii=False) for value in schema["enum"])
    kind = schema.get("type")
    if isinstance(kind, list):
        return " | ".join(dict.fromkeys(PRIMITIVES[one] for one in kind))
    if kind == "array":
        item = _type(schema["items"], indent)
        if schema.get("minItems") is not None and schema["minItems"] == schema.get("maxItems"):
            return f"readonly [{', '.join([item] * schema['minItems'])}]"
        return f"readonly ({item})[]" if " " in item else f"readonly {item}[]"
    if kind == "object":
        if schema.get("properties"):
            return _object(schema, indent)
        if schema.get("additionalProperties") is False or schema.get("maxProperties") == 0:
            return "Record<string, never>"
        values = schema.get("additionalProperties")
        return f"Readonly<Record<string, {_type(values, indent)}>>" if values else "object"
    return PRIMITIVES[kind] if kind else "unknown"


def _comment(text: str, indent: str) -> str:
    """The description as a comment before what it describes."""
    if not text:
        return ""
    text = text.replace("*/", "*\\/")
    if "\n" not in text and len(indent) + len(text) + 7 <= WIDTH:
        return f"{indent}/** {text} */\n"
    lines = []
    for paragraph in text.split("\n\n"):
        lines += ["", *textwrap.wrap(" ".join(paragraph.split()), WIDTH - len(indent) - 3)]
    body = "".join(f"{indent} *{' ' if line else ''}{line}\n" for line in lines[1:])
    return f"{indent}/**\n{body}{indent} */\n"


if __name__ == "__main__":
    TARGET.write_text(typescript(), encoding="utf-8")
