"""What a server says of itself: when it starts, and at `/`."""

from __future__ import annotations

import shlex
import sys

from ..engine import Engine
from ..model import Family
from ..wire import WS_PATHS

VENDOR = "wss://quote.alltick.co"
CLIENT = """\
import json, contextlib, websockets.sync.client as c; \
w = contextlib.ExitStack().enter_context(c.connect('{url}')); \
w.send(json.dumps(dict(cmd_id=22004, data=dict(symbol_list=[dict(code='{code}')])))); \
[print(m) for m in w]"""


def welcome(engine: Engine, url: str) -> str:
    """A few lines for a person, below the server's URL."""
    guarded = engine.admission.guarded
    token = "one that `tickwire token create` printed" if guarded else "any text that is not empty"
    feeds, sockets = engine.feeds, url.replace("http", "ws", 1)
    served = len(feeds.codes)
    codes = f"{served} codes" if served else "what clients ask for"
    stock, other = (next(path for path, of in WS_PATHS.items() if of is family) for family in Family)
    path = stock if engine.example.family is Family.STOCK else other
    shown = "TOKEN" if guarded else "test"
    client = CLIENT.format(url=f"{sockets}{path}?token={shown}", code=engine.example.code)
    return f"""\
Tickwire serves {feeds.name}{" (simulated data)" if feeds.simulated else ""}: {codes}.

  stocks      {sockets}{stock}   {url}/quote-stock-b-api
  all others  {sockets}{other}         {url}/quote-b-api
  token       {token}
  terminal    {url}/
  documents   {url}/docs
  probes      {url}/healthz   {url}/readyz

In a program written for AllTick change the host, nothing else:
  from  {VENDOR}{path}?token=TOKEN
  to    {sockets}{path}?token=TOKEN

A client to paste:
  {shlex.quote(sys.executable)} -c "{client}"
"""
