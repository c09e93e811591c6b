"""Clients of the servers under test."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tickwire.testing import AllTickServer

from ..serving import PATIENCE


@pytest.fixture(scope="module")
def quiet() -> Iterator[AllTickServer]:
    """A quiet server for tests that leave nothing behind."""
    with AllTickServer(quiet=True, seed=7) as server:
        yield server


class Client:
    """A WebSocket client that reads one message after the other."""

    def __init__(self, link: ClientConnection) -> None:
        self.link = link

    def send(self, cmd_id: int, data: object = None) -> None:
        self.link.send(
            msgspec.json.encode({"cmd_id": cmd_id, "seq_id": 1, "trace": "t", "data": data}).decode()
        )

    def read(self) -> dict[str, Any]:
        message: dict[str, Any] = msgspec.json.decode(self.link.recv(timeout=PATIENCE))
        return message

    def subscribe(self, cmd_id: int, *codes: str) -> list[dict[str, Any]]:
        """Subscribes; returns the data of the snapshots, one of each code."""
        self.send(cmd_id, {"symbol_list": [{"code": code} for code in codes]})
        assert self.read()["ret"] == 200
        return [self.read()["data"] for _ in codes]

    def data(self) -> dict[str, Any]:
        """Of the next push."""
        data: dict[str, Any] = self.read()["data"]
        return data

    def closing(self) -> tuple[int, str]:
        """Code and reason of the close frame; messages before it are passed over."""
        with contextlib.suppress(ConnectionClosed):
            while True:
                self.link.recv(timeout=PATIENCE)
        return self.link.close_code or 0, self.link.close_reason or ""


@pytest.fixture
def linked() -> Iterator[Callable[..., Client]]:
    """Connects clients, which are closed at the end."""
    with contextlib.ExitStack() as links:

        def link(server: AllTickServer, *arguments: Any, **options: Any) -> Client:
            url = server.websocket_url(*arguments, **options)
            return Client(links.enter_context(connect(url, compression=None)))

        yield link


Linked = Callable[..., Client]
