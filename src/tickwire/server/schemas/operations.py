"""The operations of the OpenAPI document that are described by hand: see openapi.toml."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from ...wire import ret as table
from .components import Schema, ref
from .errors import GUARDED, refer, responses
from .written import EXAMPLES, succeeded, written

Path = dict[str, Any]
"""A path item: operations by method."""

WRITTEN = written("openapi")
LIMITS = ("RateLimit-Policy", "RateLimit")
STOPPED: Schema = {"anyOf": [ref("TallyAnswer"), ref("HttpError")]}
"""What ends the reading of a body, with what was taken until then."""


def operation(
    name: str,
    tag: str,
    summary: str,
    answers: dict[str, Any],
    *,
    named: Iterable[str] = (),
    security: str = "token",
    **more: Any,
) -> Path:
    """An operation of a path; `name` is its id, `named` are the parameters that are described by hand."""
    if described := [{"name": name, "in": "query"} | WRITTEN["parameters"][name] for name in named]:
        more["parameters"] = described
    who = WRITTEN["security"][security]
    made = {"operationId": name, "tags": [tag], "summary": summary, "security": who, **more}
    return made | {"responses": dict(sorted(answers.items()))}


def success(data: str) -> dict[str, Any]:
    """A success with data of that type."""
    ok = {"properties": {"ret": {"const": table.OK.code}, "msg": {"const": table.OK.msg}}}
    return {
        "description": "The data.",
        "schema": {"allOf": [ref(f"{data}Answer"), ok]},
        "example": succeeded(EXAMPLES[data]),
    }


def common(group: str, *statuses: int) -> dict[str, Any]:
    """Answers of that group; all of them if no status is named."""
    found = WRITTEN["answers"][group]
    return {status: _answer(status, found[status]) for status in map(str, statuses or found)}


def written_paths() -> dict[str, Path]:
    """The paths and their operations."""
    lines = EXAMPLES["lines"]  # which AsyncAPI shows as well
    content = WRITTEN["operations"]["post /v1/publish"]["body"]["content"]
    content["application/x-ndjson"]["example"] = "".join(f"{json.dumps(line)}\n" for line in lines.values())
    content["application/json"]["examples"] = {name: {"value": line} for name, line in lines.items()}
    made: defaultdict[str, Path] = defaultdict(dict)
    for place, one in WRITTEN["operations"].items():
        method, path = place.split()
        made[path][method] = _operation(one)
    return made


def _operation(one: dict[str, Any]) -> Path:
    answers: dict[str, Any] = {}
    if "data" in one:
        rets = (*GUARDED, *(getattr(table, name) for name in one.get("rets", ())))
        answers = responses(success(one["data"]), rets, [*LIMITS, *one.get("headers", ())])
    for group, statuses in one.get("common", {}).items():
        answers |= common(group, *statuses)
    answers |= {status: _answer(status, of) for status, of in one.get("answers", {}).items()}
    more = {"requestBody": one["body"]} if "body" in one else {}
    return operation(
        one["id"],
        one["tag"],
        one["summary"],
        answers,
        named=one.get("parameters", ()),
        security=one.get("security", "token"),
        **more,
    )


def _answer(status: str, one: dict[str, Any]) -> dict[str, Any]:
    """A response, with what it shows: an example of its type, or each text of an error."""
    made: dict[str, Any] = {"description": one["description"]}
    if "headers" in one:
        made["headers"] = refer(one["headers"])
    if "types" in one:
        made["content"] = {name: {"schema": {"type": "string"}} for name in one["types"]}
    elif "content" in one:
        made["content"] = one["content"]
    elif "data" in one:
        found = success(one["data"])
        made["content"] = _json(found["schema"], found["example"])
    elif (name := one.get("schema")) is not None:
        errors = [_error(name, int(status), text) for text in one.get("texts", ())]
        shown = errors or [EXAMPLES[one.get("example", name)]]
        made["content"] = _json(STOPPED if name == "Stopped" else ref(name), *shown)
    return made


def _error(schema: str, status: int, text: str) -> dict[str, Any]:
    """An error with that text, in the form of that schema."""
    match schema:
        case "Failure":
            return {"error": text}
        case "SuspensionError":
            return {"success": False, "error": text}
        case "Stopped":
            return {"ret": status, "msg": text, "trace": "", "data": EXAMPLES["Tally"]}
        case _:
            return {"msg": text, "trace": "", "ret": status}


def _json(schema: Schema, *shown: Any) -> dict[str, Any]:
    examples = {f"example {number}": {"value": one} for number, one in enumerate(shown, 1)}
    return {"application/json": {"schema": schema, "examples": examples}}
