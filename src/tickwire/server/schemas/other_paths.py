"""The paths that count against no plan: publishing, probes, the admin API."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from ... import wire
from ...wire import Ret
from .. import publish
from . import examples
from .components import ref
from .operation import NO_METHOD, OPEN, PLAIN, TOKENS, Path, answer, operation, plain, succeeded

ADMINS: list[dict[str, list[str]]] = [{}, {"bearer": []}, {"tokenHeader": []}]
"""The server's own machine needs no token; others send an admin's, never in the URL."""


def other_paths() -> dict[str, Path]:
    """The paths and their operations."""
    return {wire.PUBLISH_PATH: _publishing()} | _probes() | _admin()


# Publishing.
def _publishing() -> Path:
    publisher = plain(
        "publisher",
        "Who of those that share the token publishes: each has a sequence of its own.",
        {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"},
        "desk-2",
    )
    lines = {"schema": {"type": "string", "description": "Lines, each a `Line` as JSON."}}
    all_lines = "".join(f"{json.dumps(line)}\n" for line in examples.LINES.values())
    one_line = {
        "schema": ref("Line"),
        "examples": {name: {"value": of} for name, of in examples.LINES.items()},
    }
    standing = succeeded("Standing", examples.STANDING)
    tally = succeeded("Tally", examples.TALLY)
    security = [{}, *TOKENS]
    return {
        "get": operation(
            "standing",
            "publishing",
            "How far the publisher is; an upgrade makes it a WebSocket",
            {"101": {"description": "The connection is a WebSocket now."}}
            | {"200": answer("The data.", standing["schema"], standing["example"])}
            | _refusals(),
            parameters=[publisher],
            security=security,
        ),
        "post": operation(
            "publish",
            "publishing",
            "Takes lines, each by itself: `bad_lines` were refused",
            {"200": answer("Read to the end.", tally["schema"], tally["example"])} | _refusals() | _stops(),
            parameters=[publisher],
            security=security,
            requestBody={
                "required": True,
                "description": "Of whatever length; packed if it says `Content-Encoding: gzip`.",
                "content": {
                    "application/x-ndjson": lines | {"example": all_lines},
                    "application/json": one_line,
                },
            },
        ),
    }


def _refusals() -> dict[str, Any]:
    """What is answered before a body is read."""
    texts = {
        400: "publisher must be 1 to 64 of the characters A-Z a-z 0-9 . _ -",
        401: "token is required",
        403: "This token may not publish. Create one: tickwire token create --publish.",
        404: "Nothing is published here: start the server with --source publish.",
        405: "Send POST, or GET to learn the last seq.",
        429: "too many publishers",
        500: "The server cannot read how far this publisher was.",
    }
    described = {
        400: "`publisher` is no name.",
        401: "There is no token, or it counts no more.",
        403: "The token may not publish, or a web page of another origin asks.",
        404: "The server runs without `--source publish`.",
        405: "The path does not have that method.",
        429: "There are too many publishers.",
        500: "The server cannot read or write its store.",
    }
    return {
        str(status): answer(
            described[status],
            ref("HttpError"),
            {"msg": text, "trace": "", "ret": status},
            headers=["Allow"] if status == 405 else (),
        )
        for status, text in texts.items()
    }


def _stops() -> dict[str, Any]:
    """What ends the reading of a body. What was taken until then is told."""

    def stop(description: str, *rets: Ret, headers: Iterable[str] = ()) -> dict[str, Any]:
        shown = [{"ret": ret.code, "msg": ret.msg, "trace": "", "data": examples.TALLY} for ret in rets]
        schema = {"anyOf": [ref("TallyAnswer"), ref("HttpError")]}
        return answer(description, schema, *shown, headers=headers)

    bad = "`publisher` is no name, the gzip is broken, or over 10 000 lines are bad or empty."
    revoked = Ret(401, "token revoked", 401)
    error = {"msg": "A body may be encoded with gzip, or not at all.", "trace": "", "ret": 415}
    return {
        "400": stop(bad, publish.GZIP_BROKEN, publish.USELESS),
        "401": stop("There is no token, or it counts no more.", revoked),
        "408": stop("Nothing of the body came for 60 seconds.", publish.STALLED),
        "413": stop("The body unpacks to more than 200 times its size.", publish.GZIP_BOMB),
        "415": answer("Another type or encoding of the body.", ref("HttpError"), error),
        "500": stop("The server cannot read or write its store.", publish.NOT_KEPT),
        "503": stop("There was no room for 5 seconds.", publish.BUSY, headers=["Retry-After"]),
    }


# Probes.
def _probes() -> dict[str, Path]:
    metrics = {
        "description": "The metrics; `Accept` chooses the form.",
        "content": {"text/plain": PLAIN, "application/openmetrics-text": PLAIN},
    }
    unready = examples.READINESS | {"ready": False}
    return {
        "/healthz": {
            "get": operation(
                "health",
                "probes",
                "Whether the process answers",
                {"200": answer("It does.", ref("Health"), {"status": "ok"}), "405": NO_METHOD},
                security=OPEN,
            )
        },
        "/readyz": {
            "get": operation(
                "readiness",
                "probes",
                "Whether the server serves, and how its sources are",
                {
                    "200": answer("It serves.", ref("Readiness"), examples.READINESS),
                    "405": NO_METHOD,
                    "503": answer("It does not serve.", ref("Readiness"), unready),
                },
                security=OPEN,
            )
        },
        "/metrics": {
            "get": operation(
                "metrics",
                "probes",
                "Metrics for Prometheus",
                {"200": metrics, "405": NO_METHOD} | _denials(401, 403),
                security=ADMINS,
            )
        },
    }


# The admin API.
DENIALS = {
    400: ("The scenario is wrong; the sentence says where.", "name is none of burst, delisted."),
    401: ("The token is no admin's.", "That is no admin token. Create one: tickwire token create --admin."),
    403: (
        "Asked without a token from elsewhere, or by a web page of another origin.",
        "Use 127.0.0.1 on the server's own machine, or send an admin token as Bearer.",
    ),
    404: ("No scenario runs under that number.", "No scenario runs under the number '7'."),
    408: (
        "The body stalled, or took longer than a minute.",
        f"{wire.BODY_STALLED.msg.capitalize()}.",
    ),
    413: ("The body is longer than 1 MiB.", "A scenario has at most 1048576 bytes."),
    415: ("The body is not called JSON.", "Send application/json."),
    503: (
        "The server holds as many unfinished bodies as it may.",
        f"{wire.TOO_MANY_BODIES.msg.capitalize()}.",
    ),
}


def _denials(*statuses: int) -> dict[str, Any]:
    return {
        str(status): answer(DENIALS[status][0], ref("Failure"), {"error": DENIALS[status][1]})
        for status in statuses
    }


def _admin() -> dict[str, Path]:
    guarded = {"405": NO_METHOD} | _denials(401, 403)

    def of(name: str, summary: str, success: dict[str, Any], *statuses: int, **more: Any) -> Path:
        answers = {"200": success} | guarded | _denials(*statuses)
        return operation(name, "admin", summary, answers, security=ADMINS, **more)

    library = {"halt-and-resume": "A US, a Hong Kong and a Shanghai stock are halted for half a minute."}
    scenarios = {"running": [examples.RUN], "library": library}
    number = {
        "name": "number",
        "in": "path",
        "required": True,
        "schema": {"type": "integer", "minimum": 1, "maximum": 999_999_999},
        "example": 1,
    }
    asked = {
        "schema": {"anyOf": [ref("ScenarioName"), ref("Scenario")]},
        "examples": {
            "of the library": {"value": {"name": "halt-and-resume"}},
            "your own": {"value": examples.SCENARIO},
        },
    }
    connections = {"connections": [examples.CONNECTION], "http": [examples.HTTP_DEVIATIONS]}
    stopped = answer("Their numbers.", ref("StoppedList"), {"stopped": [1]})
    return {
        "/admin/scenario": {
            "get": of(
                "scenarios",
                "Scenarios that run, and those of the library",
                answer("The scenarios.", ref("ScenarioList"), scenarios),
            ),
            "post": of(
                "begin_scenario",
                "Begins a scenario: one of the library by its name, or one of your own",
                answer("It runs.", ref("ScenarioRun"), examples.RUN),
                *(400, 408, 413, 415, 503),
                requestBody={"required": True, "content": {"application/json": asked}},
            ),
            "delete": of("stop_scenarios", "Stops all scenarios", stopped),
        },
        "/admin/scenario/{number}": {
            "delete": of("stop_scenario", "Stops a scenario", stopped, 404, parameters=[number])
        },
        "/admin/connections": {
            "get": of(
                "connections",
                "The open WebSockets of clients, and what clients did that the documents do not allow",
                answer("The connections.", ref("ConnectionList"), connections),
            )
        },
    }
