"""What of uvicorn and websockets the server overrides or reads that they do not promise to keep.

Where a new version fails here, look at `server/http_protocol.py`, `server/serve.py` and `wire/frames.py`, and
only then raise its bound in pyproject.toml.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import tomllib
from pathlib import Path
from typing import Any

import httptools
import pytest
from uvicorn.config import Config
from uvicorn.protocols.http import httptools_impl
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import Server, ServerState
from websockets.protocol import Protocol, State
from websockets.server import ServerProtocol

import tickwire
from tickwire.server.flow import Flow
from tickwire.server.http_protocol import HttpProtocol
from tickwire.server.serve import Server as OurServer
from tickwire.wire.frames import _Protocol

SOURCE = Path(tickwire.__file__).parent

METHODS: dict[type, dict[str, str]] = {
    HttpToolsProtocol: {
        "__init__": "self, config, server_state, app_state, _loop",
        "connection_made": "self, transport",
        "data_received": "self, data",
        "connection_lost": "self, exc",
        "pause_writing": "self",
        "resume_writing": "self",
        "on_message_begin": "self",
        "on_url": "self, url",
        "on_header": "self, name, value",
        "on_headers_complete": "self",
        "on_body": "self, body",
        "on_message_complete": "self",
        "on_response_complete": "self",
        "timeout_keep_alive_handler": "self",
        "shutdown": "self",
        "_should_upgrade": "self",
        "_start_asgi_task": "self, cycle, app",
        "_unset_keepalive_if_required": "self",
    },
    FlowControl: {
        "__init__": "self, transport",
        "pause_reading": "self",
        "resume_reading": "self",
        "pause_writing": "self",
        "resume_writing": "self",
        "drain": "self",
    },
    RequestResponseCycle: {"receive": "self", "send": "self, message"},
    Server: {
        "__init__": "self, config",
        "serve": "self, sockets",
        "startup": "self, sockets",
        "main_loop": "self",
        "on_tick": "self, counter",
        "shutdown": "self, sockets",
        "capture_signals": "self",
    },
    Protocol: {
        "parse": "self",
        "recv_frame": "self, frame",
        "receive_data": "self, data",
        "data_to_send": "self",
        "events_received": "self",
        "fail": "self, code, reason",
        "send_eof": "self",
    },
    ServerProtocol: {
        "accept": "self, request",
        "parse": "self",
        "process_request": "self, request",
        "reject": "self, status, text",
        "send_response": "self, response",
        "select_subprotocol": "self, subprotocols",
    },
}
OURS: dict[type, type] = {
    HttpToolsProtocol: HttpProtocol,
    FlowControl: Flow,
    Server: OurServer,
    Protocol: _Protocol,
    ServerProtocol: _Protocol,
}


@pytest.mark.parametrize(
    ("owner", "name"), [(owner, name) for owner, names in METHODS.items() for name in names]
)
def test_a_method_takes_what_it_took(owner: type, name: str) -> None:
    taken = ", ".join(inspect.signature(vars(owner)[name]).parameters)
    assert taken == METHODS[owner][name]


@pytest.mark.parametrize("owner", OURS)
def test_every_method_that_is_overridden_is_named_here(owner: type) -> None:
    own = {name for name, value in vars(OURS[owner]).items() if callable(value)}
    overridden = {name for name in own if name in vars(owner)}
    assert overridden - METHODS[owner].keys() == set()


CONNECTION = set(
    "client connections cycle expect_100_continue flow headers loop parser pipeline scheme scope server "
    "tasks timeout_keep_alive_task transport url ws_protocol_class".split()
)


def test_the_attributes_of_a_connection() -> None:
    config = Config(app=_application, lifespan="off", log_config=None)
    config.load()
    loop = asyncio.new_event_loop()
    theirs = HttpToolsProtocol(config, ServerState(), {}, loop)
    loop.close()
    theirs.on_message_begin()  # makes the url
    assert CONNECTION - vars(theirs).keys() == set()
    source = ast.parse((SOURCE / "server/http_protocol.py").read_text("utf-8"))
    (ours,) = (node for node in source.body if isinstance(node, ast.ClassDef) and node.name == "HttpProtocol")
    named = {
        node.attr
        for node in ast.walk(ours)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self"
    }
    assert named & vars(theirs).keys() - CONNECTION == set()
    assert named & vars(HttpToolsProtocol).keys() - METHODS[HttpToolsProtocol].keys() == set()


def test_the_attributes_of_a_request() -> None:
    nothing: Any = None
    cycle = RequestResponseCycle(**dict.fromkeys(inspect.signature(RequestResponseCycle).parameters, nothing))
    for name in ("response_started", "response_complete", "disconnected", "keep_alive", "message_event"):
        assert hasattr(cycle, name)
    for name in ("waiting_for_100_continue", "default_headers", "flow", "on_response", "scope", "transport"):
        assert hasattr(cycle, name)
    assert httptools_impl.STATUS_LINE[200] == b"HTTP/1.1 200 OK\r\n"
    assert "httptools.parse_url(self.url)" in inspect.getsource(HttpToolsProtocol.on_headers_complete)


def test_the_attributes_of_what_is_left() -> None:
    state = vars(ServerState())
    assert {"connections", "tasks", "default_headers", "total_requests"} <= state.keys()
    flow = FlowControl(None)  # type: ignore[arg-type]
    assert (flow.read_paused, flow.write_paused) == (False, False)
    protocol = vars(ServerProtocol())
    assert {"current_size", "_state", "parser", "parser_exc", "reader", "writes"} <= protocol.keys()
    assert ServerProtocol().state is State.CONNECTING
    for name in ("HttpParserUpgrade", "HttpParserCallbackError", "HttpParserError"):
        assert issubclass(getattr(httptools, name), Exception)
    assert hasattr(httptools_impl, "HttpToolsProtocol")


def test_versions_are_bounded_above() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))
    for name in ("uvicorn", "websockets"):
        (line,) = (one for one in project["project"]["dependencies"] if one.startswith(f"{name}>"))
        assert ",<" in line, line


async def _application(scope: Any, receive: Any, send: Any) -> None:
    """Is never called."""
