"""What operations of the OpenAPI document are made of."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ... import wire
from . import examples
from .components import Schema, ref

Path = dict[str, Any]
"""A path item: operations by method."""

TOKENS: list[dict[str, list[str]]] = [{"token": []}, {"bearer": []}, {"tokenHeader": []}]
"""The ways in which a token may come."""
OPEN: list[dict[str, list[str]]] = [{}]
PLAIN = {"schema": {"type": "string"}}
NO_METHOD = {
    "description": "The path does not have that method.",
    "headers": {"Allow": {"$ref": "#/components/headers/Allow"}},
    "content": {"text/plain": PLAIN},
}


def operation(
    name: str,
    tag: str,
    summary: str,
    answers: dict[str, Any],
    *,
    parameters: Iterable[Any] = (),
    security: Iterable[Any] = TOKENS,
    **more: Any,
) -> Path:
    """An operation of a path; `name` is its id."""
    made = {"operationId": name, "tags": [tag], "summary": summary, "security": [*security], **more}
    return (
        made
        | ({"parameters": listed} if (listed := [*parameters]) else {})
        | {"responses": dict(sorted(answers.items()))}
    )


def plain(name: str, description: str, schema: Schema, example: Any) -> dict[str, Any]:
    """A parameter of the query string that may be left out."""
    return {"name": name, "in": "query", "description": description, "schema": schema, "example": example}


def succeeded(data: str, example: Any) -> dict[str, Any]:
    """A success with data of that type."""
    return {
        "description": "The data.",
        "schema": {
            "allOf": [
                ref(f"{data}Answer"),
                {"properties": {"ret": {"const": wire.OK.code}, "msg": {"const": wire.OK.msg}}},
            ]
        },
        "example": examples.succeeded(example),
    }


def answer(description: str, schema: Schema, *shown: Any, headers: Iterable[str] = ()) -> dict[str, Any]:
    """A response of JSON, with its examples."""
    content: dict[str, Any] = {"schema": schema}
    if shown:
        content["examples"] = {f"example {number}": {"value": one} for number, one in enumerate(shown, 1)}
    made: dict[str, Any] = {"description": description, "content": {"application/json": content}}
    if headers := [*headers]:
        made["headers"] = {name: {"$ref": f"#/components/headers/{name}"} for name in headers}
    return made
