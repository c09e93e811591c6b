"""`tickwire wait`."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import SettingsError, StartError
from .upstream import CaFile, valid

if TYPE_CHECKING:
    import ssl
    from urllib.parse import SplitResult

PATH = "/readyz"
PAUSE = 0.1
"""Seconds between two looks."""
LONGEST_LOOK = 5.0
SHOWN = 120
"""Characters that are told at the most of what was seen."""


def wait(
    url: Annotated[str, typer.Argument(help="Such as http://127.0.0.1:8600.", metavar="URL")],
    timeout: Annotated[float, typer.Option(min=0, help="Seconds to wait at the most.")] = 30.0,
    ca_file: CaFile = None,
) -> None:
    """Wait until a server is ready: until its /readyz says so.

    Prints nothing. Exit status 0 when it is ready, 1 if it is not in time.

    Example: tickwire serve --port 8600 & tickwire wait http://127.0.0.1:8600
    """
    # No proxy: the server is one's own.
    from ..client import Network

    server, network = _server(url), Network(ca_file)
    trust = valid("--ca-file", Network.context_for, network, url)
    end = time.monotonic() + timeout
    while (seen := _look(server, end - time.monotonic(), trust)) is not None:
        if (left := end - time.monotonic()) <= 0:
            raise StartError(f"{url} was not ready within {timeout:g} s: {seen}.")
        time.sleep(min(PAUSE, left))


def _server(url: str) -> SplitResult:
    from ..client.address import parts_of

    parts = parts_of(url)
    if parts is None or parts.scheme not in ("http", "https"):
        raise SettingsError(f"{url!r} is no URL of a server such as http://127.0.0.1:8600.")
    return parts


def _look(server: SplitResult, timeout: float, trust: ssl.SSLContext | None) -> str | None:
    """What is seen instead of a server that is ready; None if it is."""
    from http.client import HTTPConnection, HTTPException, HTTPSConnection

    from ..client.network import why

    patience = min(max(timeout, PAUSE), LONGEST_LOOK)
    connection: HTTPConnection
    if trust is None:
        connection = HTTPConnection(server.hostname or "", server.port, timeout=patience)
    else:
        connection = HTTPSConnection(server.hostname or "", server.port, timeout=patience, context=trust)
    try:
        connection.request("GET", server.path.rstrip("/") + PATH)
        answer = connection.getresponse()
        body = answer.read(2**16)
    except TimeoutError:
        return "it does not answer"
    except (OSError, HTTPException) as error:
        return _short(why(error, server.geturl(), None)[0])
    finally:
        connection.close()
    with suppress(ValueError, RecursionError, AttributeError):
        if answer.status == 200 and json.loads(body).get("ready") is True:
            return None
    return _short(f"{PATH} answered {answer.status} {body.decode(errors='replace')}")


def _short(text: str) -> str:
    """On one line, without a full stop."""
    return " ".join(text[:SHOWN].split()).rstrip(".")
