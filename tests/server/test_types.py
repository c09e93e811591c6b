"""The terminal's types: scripts/make_types.py makes them of the two documents."""

from __future__ import annotations

import re
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent.parent
TYPES = ROOT / "web/src/protocol/messages.ts"
SCRIPT = runpy.run_path(str(ROOT / "scripts/make_types.py"))
typescript: Callable[[], str] = SCRIPT["typescript"]
declaration: Callable[[str, dict[str, Any]], str] = SCRIPT["declaration"]


def test_the_types_in_the_tree_are_those_of_the_documents() -> None:
    assert TYPES.read_text("utf-8") == typescript(), "Make them anew: .venv/bin/python scripts/make_types.py"


def test_every_name_is_declared_once_and_nothing_is_of_any_type() -> None:
    text = typescript()
    declared = re.findall(r"^export (?:interface|type) (\w+)", text, re.MULTILINE)
    assert len(declared) == len({*declared})
    code = re.sub(r"/\*.*?\*/|\"[^\"]*\"", "", text, flags=re.DOTALL)
    known = {*declared, "Record", "Readonly"}
    assert {*re.findall(r"\b[A-Z][a-z][A-Za-z]*\b", code)} - known == set()
    assert re.search(r"\bany\b", code) is None


@pytest.mark.parametrize(
    ("schema", "made"),
    [
        ({"type": "integer"}, "export type X = number;\n"),
        ({"enum": ["a", 1]}, 'export type X = "a" | 1;\n'),
        ({"type": "array", "items": {"$ref": "#/components/schemas/Y"}}, "export type X = readonly Y[];\n"),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, "export type X = number | null;\n"),
        (
            {"type": "array", "items": {"anyOf": [{"type": "integer"}, {"type": "string"}]}},
            "export type X = readonly (number | string)[];\n",
        ),
        (
            {"type": "array", "items": {"type": "string"}, "minItems": 2, "maxItems": 2},
            "export type X = readonly [string, string];\n",
        ),
        (
            {"type": "object", "additionalProperties": {"type": "string"}},
            "export type X = Readonly<Record<string, string>>;\n",
        ),
        ({"type": "object"}, "export type X = object;\n"),
        ({"type": "object", "maxProperties": 0}, "export type X = Record<string, never>;\n"),
        (
            {
                "description": "What */ it is.",
                "type": "object",
                "properties": {"a": {"type": ["string", "null"], "description": "One."}, "b": {}},
                "required": ["a"],
            },
            "/** What *\\/ it is. */\n"
            "export interface X {\n  /** One. */\n  readonly a: string | null;\n  readonly b?: unknown;\n}\n",
        ),
        (
            {"type": "integer", "enum": [1, 2], "x-enum-varnames": ["ONE", "TWO"]},
            "export const X = {\n  ONE: 1,\n  TWO: 2,\n} as const;\n"
            "export type X = (typeof X)[keyof typeof X];\n",
        ),
    ],
)
def test_a_schema_becomes_the_type_that_says_the_same(schema: dict[str, Any], made: str) -> None:
    assert declaration("X", schema) == made
