"""A server that refuses upgrades."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response


def refusal(status: int, body: bytes = b"{}", **headers: str) -> Any:
    """A gate that refuses."""

    def gate(connection: ServerConnection, request: Request) -> Response:
        response = connection.respond(HTTPStatus(status), body.decode())
        for name, value in headers.items():
            if name == "Date":
                del response.headers[name]
            response.headers[name.replace("_", "-")] = value
        return response

    return gate
