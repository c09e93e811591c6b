"""Checks values against the schemas of a document, which a field that no schema knows fails, too."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker  # type: ignore[import-untyped]


def closed(document: dict[str, Any]) -> dict[str, Any]:
    """The document, in which every object has the fields that it names and no others."""
    made = copy.deepcopy(document)
    for schema in parts(made["components"]["schemas"]):
        if schema.get("type") == "object" and "properties" in schema:
            schema.setdefault("additionalProperties", False)
    return made


def parts(value: Any) -> Iterator[dict[str, Any]]:
    """Every object in a JSON value, itself included."""
    if isinstance(value, dict):
        yield value
        for one in value.values():
            yield from parts(one)
    elif isinstance(value, list):
        for one in value:
            yield from parts(one)


def validator(document: dict[str, Any], schema: dict[str, Any]) -> Any:
    """What checks values by a schema of the document."""
    return Draft202012Validator(
        schema | {"components": document["components"]}, format_checker=FormatChecker()
    )


def faults(document: dict[str, Any], schema: dict[str, Any], value: Any) -> list[str]:
    """What is wrong with a value, by a schema of the document."""
    errors = validator(document, schema).iter_errors(value)
    return [f"{error.json_path}: {error.message[:300]}" for error in errors]


def dangling(document: dict[str, Any]) -> list[str]:
    """References that lead nowhere."""
    return [
        one["$ref"]
        for one in parts(document)
        if isinstance(one.get("$ref"), str) and not _leads(document, one)
    ]


def unused(document: dict[str, Any], kind: str) -> set[str]:
    """Components of a kind that nothing refers to."""
    used = {one["$ref"] for one in parts(document) if isinstance(one.get("$ref"), str)}
    return {name for name in document["components"][kind] if f"#/components/{kind}/{name}" not in used}


def _leads(document: dict[str, Any], reference: dict[str, Any]) -> bool:
    place: Any = document
    for step in reference["$ref"].removeprefix("#/").split("/"):
        step = step.replace("~1", "/").replace("~0", "~")
        if not isinstance(place, dict) or step not in place:
            return False
        place = place[step]
    return True
