"""The errors of HTTP as OpenAPI's responses: the rows of the protocol's table, with texts and statuses."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from typing import Any

import msgspec

from ...wire import ret as table
from ...wire.http import failure
from ...wire.ret import OK, Ret
from .components import Schema, ref

WHEN: dict[Ret, str] = {
    OK: "The request was carried out.",
    table.HEADER_INVALID: "The request is no object, or its `trace` is longer than 64.",
    table.DATA_INVALID: "`data`, or a field in it, is missing or of an impossible type.",
    table.TOKEN_REQUIRED: "There is no token.",
    table.TOKEN_INVALID: "The token is unknown, expired or revoked.",
    table.QUERY_INVALID: "`query` is missing, or is no JSON.",
    table.METHOD_INVALID: "The path does not have that method.",
    table.BODY_EMPTY: "There is no body.",
    table.BODY_TOO_LARGE: "The body is longer than 1 MiB.",
    table.BODY_STALLED: "Nothing of the body came for 30 seconds.",
    table.BODY_TOO_SLOW: "The body took longer than a minute.",
    table.TOO_MANY_BODIES: "The server holds as many unfinished bodies as it may.",
    table.CODE_INVALID: "None of the codes is known.",
    table.LEVEL_TOO_LOW: "It is more than the plan allows, and the plan refuses where others truncate.",
    table.CODE_UNAUTHORIZED: "The token may read none of the codes.",
    table.TOO_FAST: "Subscriptions of one interface came closer together than the plan allows.",
    table.TOO_FAST_CLOSED: "That, for the third time in 10 seconds: the connection is closed.",
    table.TOO_MANY_REQUESTS: "The plan allows no more requests now; `Retry-After` says when it does.",
    table.TOO_MANY_CONNECTIONS: "The plan allows no more connections.",
    table.UPGRADE_REQUIRED: "The request asks for no WebSocket.",
    table.SERVER_ERROR: "The server cannot read its store.",
    table.STOPPING: "The server stops, and takes nothing new.",
}
"""When each row is answered."""

GUARDED = (
    table.TOKEN_REQUIRED,
    table.TOKEN_INVALID,
    table.METHOD_INVALID,
    table.TOO_MANY_REQUESTS,
    table.SERVER_ERROR,
    table.STOPPING,
)
"""What every path answers that takes a token."""
OF_STATUS = {405: ["Allow"], 426: ["Upgrade"], 429: ["Retry-After"], 503: ["Retry-After"]}
"""Headers of a status."""


def responses(success: Schema, rets: Collection[Ret], headers: Iterable[str] = ()) -> dict[str, Any]:
    """What an operation answers: a success of 200, which has `description`, `schema` and `example`, and rows
    of the table. `headers` come with all answers."""
    unhappy = [ret for ret in rets if ret.status == OK.status]
    schema = success["schema"]
    found = {
        "200": {
            "description": " ".join(
                [success["description"], *(f"{ret.code}: {WHEN[ret]}" for ret in unhappy)]
            ),
            "headers": refer(headers),
            "content": _json(
                {"anyOf": [schema, refusal(unhappy)]} if unhappy else schema,
                {"success": {"value": success["example"]}} | _examples(unhappy),
            ),
        }
    }
    return found | refusals((ret for ret in rets if ret not in unhappy), headers)


def refusals(rets: Iterable[Ret], headers: Iterable[str] = ()) -> dict[str, Any]:
    """The answers that are rows of the table, by their statuses. `headers` come with all but 401, which
    counts against no limit."""
    by_status: defaultdict[int, list[Ret]] = defaultdict(list)
    for ret in rets:
        by_status[ret.status].append(ret)
    return {
        str(status): {
            "description": " ".join(dict.fromkeys(WHEN[ret] for ret in rows)),
            "headers": refer([*(headers if status != 401 else ()), *OF_STATUS.get(status, ())]),
            "content": _json(refusal(rows), _examples(rows)),
        }
        for status, rows in sorted(by_status.items())
    }


def refusal(rows: list[Ret]) -> Schema:
    """The schema of an error that is one of these rows."""
    too_many = [ret for ret in rows if ret == table.TOO_MANY_REQUESTS]
    others = [ret for ret in rows if ret != table.TOO_MANY_REQUESTS]
    schemas = [_narrowed(name, of) for name, of in (("HttpTooMany", too_many), ("HttpError", others)) if of]
    return schemas[0] if len(schemas) == 1 else {"anyOf": schemas}


def _narrowed(name: str, rows: list[Ret]) -> Schema:
    codes, texts = dict.fromkeys(ret.code for ret in rows), dict.fromkeys(ret.msg for ret in rows)
    return {"allOf": [ref(name), {"properties": {"ret": {"enum": [*codes]}, "msg": {"enum": [*texts]}}}]}


def refer(names: Iterable[str]) -> dict[str, Any]:
    """Headers of that name."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in dict.fromkeys(names)}


def _json(schema: Schema, examples: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema, "examples": examples}}


def _examples(rows: Iterable[Ret]) -> dict[str, Any]:
    return {f"{ret.code} {ret.msg}": {"value": msgspec.json.decode(failure(ret))} for ret in rows}
