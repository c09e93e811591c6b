"""How the HTTP API refuses: section 1."""

from __future__ import annotations

import httpx

HEADER, DATA = "request header param invalid", "request data param invalid"


def check(
    response: httpx.Response, status: int, ret: int, msg: str, trace: str = "", allow: str | None = None
) -> None:
    """The response is that error: status, body, types and headers."""
    assert (response.status_code, response.json()) == (status, {"msg": msg, "trace": trace, "ret": ret})
    assert response.headers["content-type"] == "application/json"
    assert response.headers["access-control-allow-origin"] == "*"
    assert response.headers.get("allow") == allow
